//! Packets and texts that rules ask for.

use portcullis_flow::{Direction, FlowBit, FlowBits};
use portcullis_wire::Decoded;
use portcullis_wire::decoded::{Icmp, Tcp, TcpFlags, Transport, mapped};
use regex_syntax::hir::{Class, Hir, HirKind};

use super::Random;
use crate::header::Side;
use crate::input::FlowFacts;
use crate::ruleset::RuleSet;
use crate::syntax;

/// The packet and the flow that header and flow options ask for.
pub(super) fn packet(
    raw: &syntax::RawRule<'_>,
    rules: &RuleSet,
    random: &mut Random,
) -> (Decoded, FlowFacts, FlowBits) {
    let rule = &rules.rules[0];
    let value = |name: &str| {
        let option = raw.options.iter().find(|option| option.name == name);
        option.and_then(|option| option.value).map_or("", |value| value.text().unwrap())
    };
    let first =
        |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0);
    let only_v6 = |side: &Side| side.addresses.as_ref().is_some_and(|set| set.v4().is_empty());
    let v6 = only_v6(&rule.header.source) || only_v6(&rule.header.destination);
    let address = |side: &Side, other: [u8; 4]| match &side.addresses {
        Some(set) if v6 => set.v6().spans().first().map_or([9; 16], |(first, _)| first.to_be_bytes()),
        Some(set) => {
            set.v4().spans().first().map_or_else(|| mapped(other), |(first, _)| mapped(first.to_be_bytes()))
        }
        None if v6 => [9; 16],
        None => mapped(other),
    };
    let port = |side: &Side, other| {
        side.ports.as_ref().and_then(|ports| ports.spans().first()).map_or(other, |(first, _)| *first)
    };
    let protocol = match raw.header[1].text {
        "udp" => 17,
        "icmp" => 1,
        _ => 6,
    };
    let mut flags = 0;
    for (letter, flag) in [
        ('S', TcpFlags::SYN),
        ('A', TcpFlags::ACK),
        ('F', TcpFlags::FIN),
        ('R', TcpFlags::RST),
        ('P', TcpFlags::PSH),
    ] {
        if value("flags").split(',').next().unwrap_or("").contains(letter) {
            flags |= flag;
        }
    }
    let decoded = Decoded {
        ip_version: if v6 { 6 } else { 4 },
        protocol,
        source: address(&rule.header.source, [203, 0, 113, 200]),
        destination: address(&rule.header.destination, [203, 0, 113, 201]),
        source_port: port(&rule.header.source, 40_000),
        destination_port: port(&rule.header.destination, 40_001),
        transport: match protocol {
            17 => Transport::Udp(Default::default()),
            1 => Transport::Icmpv4(Icmp {
                kind: first(value("itype")),
                code: first(value("icode")),
                ..Icmp::default()
            }),
            _ => Transport::Tcp(Tcp { flags: TcpFlags(flags), ..Tcp::default() }),
        },
        ..Decoded::default()
    };
    let sizes = [0, 1, 100, 1000, 1_000_000];
    let flow = FlowFacts {
        direction: rule.flow.direction.unwrap_or(Direction::ToServer),
        established: rule.flow.established.unwrap_or(true),
        first_in_direction: true,
        stream_data: !rule.flow.no_stream && protocol == 6,
        stream_bytes: Some([sizes[random.below(5) as usize], sizes[random.below(5) as usize]]),
        ..FlowFacts::default()
    };
    let mut bits = FlowBits::default();
    for option in raw.options.iter().filter(|option| option.name == "flowbits") {
        let text = option.value.map_or("", |value| value.text().unwrap());
        if let Some(name) = text.strip_prefix("isset,") {
            assert!(bits.insert(FlowBit::named(name.split('|').next().unwrap().trim().as_bytes())));
        }
    }
    (decoded, flow, bits)
}

/// Text that the pattern matches, as far as it is regular.
pub(super) fn sample(value: &str, random: &mut Random) -> Vec<u8> {
    let inner = value.trim_matches('"');
    let end = inner.rfind('/').unwrap();
    let pattern = inner[1..end]
        .replace("\\2", "")
        .replace("(?!=[\\r\\n])", "")
        .replace("{?", "\\{?")
        .replace("}?(", "\\}?(")
        .replace("\\>", ">");
    let repeated = pattern.replace("\\1", "(abc)").replace("(\\w{3})", "(abc)");
    let parsed = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(&repeated);
    let mut bytes = Vec::new();
    if let Ok(hir) = parsed {
        draw(&hir, random, &mut bytes);
    }
    bytes
}

fn draw(hir: &Hir, random: &mut Random, bytes: &mut Vec<u8>) {
    match hir.kind() {
        HirKind::Literal(literal) => bytes.extend_from_slice(&literal.0),
        HirKind::Class(Class::Bytes(class)) => {
            let ranges = class.ranges();
            let range = &ranges[random.below(ranges.len() as u64) as usize];
            let spread = u64::from(range.end() - range.start()) + 1;
            bytes.push(range.start() + random.below(spread) as u8);
        }
        HirKind::Class(Class::Unicode(_)) | HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Repetition(repetition) => {
            let more = repetition.max.map_or(2, |max| (max - repetition.min).min(2));
            for _ in 0..repetition.min + random.below(u64::from(more) + 1) as u32 {
                draw(&repetition.sub, random, bytes);
            }
        }
        HirKind::Capture(capture) => draw(&capture.sub, random, bytes),
        HirKind::Concat(parts) => parts.iter().for_each(|part| draw(part, random, bytes)),
        HirKind::Alternation(parts) => draw(&parts[random.below(parts.len() as u64) as usize], random, bytes),
    }
}
