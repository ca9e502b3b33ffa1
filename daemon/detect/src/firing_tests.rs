//! Every rule fires on a payload made from it, and is silent on one that nearly is.
//!
//! The payloads are made from what the rules say; gaps are filled at random until the rule's numbers and
//! patterns agree. The rules are our own; `PORTCULLIS_RULES` may name a file of others to be tried as well.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is made from rules is small, and a wrong guess is made again"
)]

mod packets;

use std::cell::Cell;

use packets::{packet, sample};
use portcullis_flow::FlowBits;
use portcullis_wire::Decoded;
use portcullis_wire::decoded::{Transport, mapped};

use crate::input::{FlowFacts, Input};
use crate::lines::logical_lines;
use crate::pattern;
use crate::ruleset::{LoadOptions, RuleSet, Source};
use crate::scratch::Scratch;
use crate::syntax;

const RULES: &str = r#"
alert tcp any any -> any 80 (msg:"one"; flow:established,to_server; content:"GET /evil"; depth:9; content:"cmd="; distance:0; nocase; sid:1;)
alert tcp any 80 -> any any (flow:established,to_client; content:"CLSID"; nocase; content:"BDF3E9D2-5F7A"; distance:0; fast_pattern; sid:2;)
alert udp any any -> any 53 (content:"|00 01 00 00|"; offset:4; depth:4; content:"|03|bad|04|name|00|"; distance:0; sid:3;)
alert tcp 10.1.2.0/24 any -> 192.168.0.0/16 1024: (flags:S; sid:4;)
alert ip [203.0.113.7,203.0.113.9] any -> any any (sid:5;)
alert tcp any any -> any any (content:"len="; byte_test:2,>,64,0,relative; sid:6;)
alert tcp any any -> any any (content:"|13 37|"; byte_jump:1,0,relative; content:"tail"; within:4; sid:7;)
alert tcp any any -> any any (content:"key"; pcre:"/^[a-f0-9]{8}=(yes|no)/R"; sid:8;)
alert udp any any -> any any (dsize:28; content:"|00 01 00 08|"; depth:4; content:"|00 03 00 04|"; distance:16; within:4; sid:9;)
alert icmp any any -> any any (itype:3; icode:1; sid:10;)
alert tcp any any -> any any (flowbits:isset,marked; content:"second"; isdataat:10,relative; sid:11;)
alert tcp any any -> any any (content:"start"; startswith; content:"finish"; endswith; content:!"absent"; sid:12;)
alert tcp any any -> any any (content:"USER "; nocase; isdataat:!4,relative; bsize:<9; sid:13;)
alert tcp any any -> any any (pcre:"/(\w{3})=\1\;/"; content:"same"; sid:14;)
alert tcp any any -> any any (stream_size:client,<,160; content:"|89|PNG|0d 0a 1a 0a|"; sid:15;)
alert tcp-pkt any any -> any 445 (content:"|fe|SMB"; offset:4; depth:4; byte_extract:2,12,cmd,little; byte_test:2,=,cmd,14,little; sid:16;)
"#;

/// How often a payload is made for a rule until one fires.
const ATTEMPTS: usize = 40_000;

/// What was made from a rule.
struct Made {
    payload: Vec<u8>,
    decoded: Decoded,
    flow: FlowFacts,
    bits: FlowBits,
    /// Where a content that the rule needs stands.
    needed: Option<usize>,
}

/// Numbers that look random (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn byte(&mut self) -> u8 {
        let usual = [0, 0, 1, 2, 4, 8, 16, b'A', b'0', b'1', b'9', b' ', 0x80, 0xff];
        match self.below(20) {
            index @ 0..14 => usual[index as usize],
            _ => self.below(256) as u8,
        }
    }
}

fn options(text: &[u8]) -> LoadOptions {
    let mut options = LoadOptions::default();
    let text = String::from_utf8_lossy(text);
    for name in text.split('$').skip(1) {
        let name: String = name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        options.address_groups.insert(name.clone(), "[10.0.0.0/8,192.168.0.0/16,fd00::/8]".to_owned());
        options.port_groups.insert(name, "[80,8080]".to_owned());
    }
    options.address_groups.insert("EXTERNAL_NET".to_owned(), "[!10.0.0.0/8,!192.168.0.0/16]".to_owned());
    options
}

/// A packet and payload that the rule may match: a guess, with random filling.
fn make(text: &[u8], rules: &RuleSet, random: &mut Random) -> Made {
    let raw = syntax::cut(text).unwrap();
    let value =
        |name: &str| raw.options.iter().find(|option| option.name == name).and_then(|option| option.value);
    let size = value("dsize").or_else(|| value("bsize")).and_then(|value| {
        let digits: String = value
            .text()
            .unwrap()
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect();
        let number: usize = digits.parse().ok()?;
        let text = value.text().unwrap();
        Some(if text.starts_with('>') || text.contains("<>") {
            number + 1
        } else {
            number - usize::from(text.starts_with('<'))
        })
    });
    let (mut payload, mut end, mut needed) = (Vec::new(), 0, None);
    let mut ending = Vec::new();
    for (index, option) in raw.options.iter().enumerate() {
        let modifiers = raw.options[index + 1..].iter().take_while(|option| {
            [
                "nocase",
                "offset",
                "depth",
                "distance",
                "within",
                "startswith",
                "endswith",
                "fast_pattern",
                "rawbytes",
            ]
            .contains(&option.name)
        });
        let number = |name: &str| {
            let option = modifiers.clone().find(|option| option.name == name)?;
            Some(option.value.and_then(|value| value.text().unwrap().parse::<i64>().ok()).unwrap_or(0))
        };
        let bytes = match (option.name, option.value) {
            ("content", Some(value)) => match pattern::parse(value).unwrap() {
                (true, _) => continue,
                (false, bytes) => bytes,
            },
            ("pcre", Some(value)) if !value.bytes.starts_with(b"!") => sample(value.text().unwrap(), random),
            ("byte_jump", Some(value)) => {
                end = jump(value.text().unwrap(), &mut payload, (end, ending.len()), random);
                continue;
            }
            _ => continue,
        };
        if number("endswith").is_some() {
            ending = bytes;
            continue;
        }
        let placed = |random: &mut Random| {
            let at = number("offset")
                .or_else(|| number("startswith"))
                .or_else(|| number("depth").map(|_| 0))? as usize;
            let room = number("depth").map_or(0, |depth| depth as usize - bytes.len());
            Some(at + random.below(2) as usize * random.below(room as u64 + 1) as usize)
        };
        let relative = option.name == "pcre" || number("distance").is_some() || number("within").is_some();
        let start = if relative {
            let distance = number("distance").unwrap_or(0);
            (end as i64 + distance).max(0) as usize
                + if number("within").is_some() { 0 } else { random.below(2) as usize }
        } else {
            // Numbers that the rule looks at may stand before it.
            placed(random).unwrap_or_else(|| payload.len() + (random.below(2) * random.below(8)) as usize)
        };
        let start = if option.name == "pcre" {
            end.max(start) - random.below(2).min(start as u64) as usize
        } else {
            start
        };
        while payload.len() < start + bytes.len() {
            payload.push(random.byte());
        }
        payload[start..start + bytes.len()].copy_from_slice(&bytes);
        end = start + bytes.len();
        if option.name == "content" {
            needed = Some(start);
        }
    }
    // What has to follow what was found.
    let rest = raw
        .options
        .iter()
        .filter(|option| option.name == "isdataat")
        .filter_map(|option| option.value?.text().ok()?.split(',').next()?.trim().parse::<usize>().ok());
    let rest = rest.max().unwrap_or(0);
    let more = if random.below(3) == 0 { 0 } else { rest + random.below(300) as usize };
    // Often something must not follow, and most often that is a zero or a quote.
    let least = if random.below(2) == 0 { 0 } else { b'a' };
    let length = size.unwrap_or(payload.len() + ending.len() + more).max(payload.len());
    while payload.len() + ending.len() < length {
        payload.push(random.byte().max(least));
    }
    payload.extend_from_slice(&ending);
    let (decoded, flow, bits) = packet(&raw, rules, random);
    Made { payload, decoded, flow, bits, needed }
}

/// Writes a number that leads no further than the end of what there is, and says where it leads.
fn jump(text: &str, payload: &mut Vec<u8>, (end, ending): (usize, usize), random: &mut Random) -> usize {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let (length, offset) = (parts[0].parse::<usize>().unwrap_or(1), parts[1].parse::<i64>().unwrap_or(0));
    let base = if parts.contains(&"relative") { end } else { 0 };
    let Ok(start) = usize::try_from(base as i64 + offset) else { return end };
    while payload.len() < (start + length).max(end) {
        payload.push(random.byte());
    }
    let from_beginning = parts.contains(&"from_beginning");
    // From the beginning: past what will end it, too. Else a little further on.
    let little = random.below(3);
    let target = if from_beginning { end + ending } else { start + length + little as usize };
    let number = if from_beginning { target as u64 } else { little };
    for (index, byte) in payload[start..start + length].iter_mut().enumerate() {
        let place = if parts.contains(&"little") { index } else { length - 1 - index };
        *byte = (number >> (8 * place.min(7))) as u8;
    }
    target
}

/// How many matches the rules find.
fn fires(rules: &RuleSet, made: &Made) -> usize {
    let bits = Cell::new(made.bits);
    let payload = &made.payload;
    let input =
        Input { decoded: &made.decoded, frame: payload, payload, flow: Some(made.flow), bits: Some(&bits) };
    let mut scratch = Scratch::new(rules);
    let outcome = rules.inspect(&input, &mut scratch);
    outcome.alerts.len() + outcome.suppressed as usize
}

/// Makes a payload for the rule: does it fire, and is the rule silent without what it needs?
fn try_rule(text: &[u8], options: &LoadOptions, random: &mut Random) -> Option<(bool, bool)> {
    let loaded = RuleSet::load(&[Source { name: "rule", text }], options);
    if loaded.rules.is_empty() {
        return None;
    }
    let rules = loaded.rules;
    let Some(mut made) =
        (0..ATTEMPTS).map(|_| make(text, &rules, random)).find(|made| fires(&rules, made) == 1)
    else {
        return Some((false, false));
    };
    match made.needed {
        // Every place where the content may stand again is spoilt with it.
        Some(at) => {
            let spoilt = made.payload[at];
            for byte in &mut made.payload {
                if byte.eq_ignore_ascii_case(&spoilt) {
                    *byte ^= 0x41;
                }
            }
        }
        None => {
            made.payload.clear();
            made.decoded.source = mapped([198, 51, 100, 1]);
            made.decoded.destination = mapped([198, 51, 100, 2]);
            made.decoded.transport = Transport::None;
        }
    }
    Some((true, fires(&rules, &made) == 0))
}

fn try_all(text: &[u8]) -> (usize, Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let options = options(text);
    let mut random = Random(0x1234_5678_9abc_def1);
    let (mut loaded, mut never, mut always) = (0, Vec::new(), Vec::new());
    for line in logical_lines(text) {
        match try_rule(&line.text, &options, &mut random) {
            None => {}
            Some((fired, silent)) => {
                loaded += 1;
                if !fired {
                    never.push(line.text.clone());
                } else if !silent {
                    always.push(line.text.clone());
                }
            }
        }
    }
    (loaded, never, always)
}

#[test]
fn every_rule_fires_and_is_silent_on_a_near_miss() {
    let (loaded, never, always) = try_all(RULES.as_bytes());
    let shown = |rules: &[Vec<u8>]| {
        rules.iter().map(|rule| String::from_utf8_lossy(rule).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!((loaded, shown(&never), shown(&always)), (16, vec![], vec![]));
}

#[test]
fn rules_of_a_file_that_is_named_fire() {
    let Some(path) = std::env::var_os("PORTCULLIS_RULES") else { return };
    let (loaded, never, always) = try_all(&std::fs::read(path).unwrap());
    let sids = |rules: &[Vec<u8>]| {
        let sid = |text: &Vec<u8>| {
            String::from_utf8_lossy(text)
                .split("sid:")
                .nth(1)
                .unwrap_or("")
                .chars()
                .take_while(char::is_ascii_digit)
                .collect::<String>()
        };
        rules.iter().map(sid).collect::<Vec<_>>().join(" ")
    };
    assert!(
        never.is_empty() && always.is_empty(),
        "{loaded} loaded; {} never fire: {}; {} not silent: {}",
        never.len(),
        sids(&never),
        always.len(),
        sids(&always)
    );
}
