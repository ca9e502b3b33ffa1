//! Captures rewritten by fragroute, as Debian's tcpreplay has it, through `replay --write`: what hosts of every
//! kind read of the written capture never holds the keyword, and harmless captures come out as they went in.

#![expect(clippy::unwrap_used, reason = "a test's helper may fail the test")]

use portcullis_testkit::PcapWriter;
use portcullis_testkit::evasion::{Host, Manner, Overlap, Segment, Text, Wire};
use portcullis_wire::Timestamp;
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::TcpFlags;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const RULE: &str = r#"drop tcp any any -> any any (content:"forbidden"; sid:1;)"#;

/// How often what goes by chance is tried.
const TRIES: u64 = 8;

fn wire() -> Wire {
    Wire {
        attacker: ([2, 0, 0, 0, 0, 1], [10, 0, 0, 1].into(), 40_000),
        host: ([2, 0, 0, 0, 0, 2], [10, 0, 0, 2].into(), 80),
        isn: 1000,
        host_isn: 5000,
        timestamps: false,
        serves: false,
    }
}

/// The attacker's session, and what the host says in it.
fn session(text: &Text) -> Vec<Vec<u8>> {
    let wire = wire();
    let [syn, ack] = wire.handshake();
    let host = PacketBuilder::ethernet(wire.host.0, wire.attacker.0).ip(wire.host.1, wire.attacker.1);
    let host = host.tcp(wire.host.2, wire.attacker.2).seq(wire.host_isn).ack(wire.isn + 1);
    let answer = host.flags(TcpFlags::SYN | TcpFlags::ACK).to_vec();
    let request = Segment::part(&text.bytes, 0..text.bytes.len()).frame(&wire);
    vec![syn, answer, ack, request]
}

fn write(file: &Path, frames: &[Vec<u8>]) {
    let mut writer = PcapWriter::new(File::create(file).unwrap()).unwrap();
    for (second, frame) in (1_700_000_000..).zip(frames) {
        writer.write(Timestamp::from_secs(second), frame).unwrap();
    }
    writer.finish().unwrap();
}

/// The frames of a classic capture in this machine's byte order.
fn read(file: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(file).unwrap();
    let mut left = bytes.get(24..).unwrap_or_default();
    let mut frames = Vec::new();
    while let Some((header, rest)) = left.split_first_chunk::<16>() {
        let length = usize::try_from(u32::from_le_bytes(header[8..12].try_into().unwrap())).unwrap();
        frames.push(rest[..length].to_vec());
        left = &rest[length..];
    }
    frames
}

/// Has fragroute rewrite frames.
fn rewrite(folder: &Path, configuration: &str, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    write(&folder.join("plain.pcap"), frames);
    fs::write(folder.join("fragroute.conf"), configuration).unwrap();
    let arguments = ["--fragroute=fragroute.conf", "--infile=plain.pcap", "--outfile=cut.pcap"];
    let output = Command::new("tcprewrite").current_dir(folder).args(arguments).output();
    let output = output.expect("tcprewrite is installed: cargo xtask setup");
    assert!(output.status.success(), "{configuration}: {}", String::from_utf8_lossy(&output.stderr));
    read(&folder.join("cut.pcap"))
}

/// What `replay` lets through.
fn replay(folder: &Path, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    write(&folder.join("cut.pcap"), frames);
    fs::write(folder.join("test.rules"), RULE).unwrap();
    let arguments =
        ["replay", "cut.pcap", "--simulate-ips", "-S", "test.rules", "-l", ".", "--write", "out.pcap"];
    let program = env!("CARGO_BIN_EXE_portcullis");
    let output = Command::new(program).current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    read(&folder.join("out.pcap"))
}

/// What a host reads of these.
fn receive(manner: &Manner, frames: &[Vec<u8>]) -> Host {
    let mut host = Host::new(&wire(), manner);
    for frame in frames {
        host.receive(frame, Duration::ZERO);
    }
    host
}

fn manners() -> impl Iterator<Item = Manner> {
    let kinds = [(false, false), (false, true), (true, false), (true, true)];
    Overlap::ALL.into_iter().flat_map(move |overlap| {
        kinds.map(|(far, strict)| Manner { overlap, far, strict, urgent_inline: false, syn_data: far })
    })
}

/// Tries what fragroute makes by this configuration; `legal`: every host takes it as it is.
fn check(configuration: &str, legal: bool) {
    let folder = tempfile::tempdir().unwrap();
    let mut potent = false;
    let tries = if configuration.contains("random") { TRIES } else { 1 };
    for _ in 0..tries {
        let cut = rewrite(folder.path(), configuration, &session(&Text::request(true)));
        let out = replay(folder.path(), &cut);
        for manner in manners() {
            potent |= receive(&manner, &cut).has_read(Text::KEYWORD);
            assert!(!receive(&manner, &out).has_read(Text::KEYWORD), "{configuration:?}: {manner:?}");
        }
        if !legal {
            continue;
        }
        let harmless = Text::request(false);
        let cut = rewrite(folder.path(), configuration, &session(&harmless));
        let out = replay(folder.path(), &cut);
        assert!(out == cut, "{configuration:?}: {} frames of {} came out as they were", out.len(), cut.len());
        for manner in manners() {
            let read: Vec<Vec<u8>> = receive(&manner, &out).streams().map(<[u8]>::to_vec).collect();
            assert_eq!(read, [harmless.bytes.as_slice()], "{configuration:?}: {manner:?}");
        }
    }
    assert!(potent, "{configuration:?} hides nothing from anybody");
}

#[test]
fn segments_and_fragments() {
    for size in [1, 2, 3, 7] {
        check(&format!("tcp_seg {size}\n"), true);
        check(&format!("tcp_seg {size}\norder reverse\n"), false);
    }
    for size in [8, 16, 24] {
        check(&format!("ip_frag {size}\n"), true);
        check(&format!("tcp_seg 11\nip_frag {size}\n"), true);
        check(&format!("ip_frag {size}\norder random\n"), false);
    }
}

#[test]
fn overlaps_and_chaff() {
    for favour in ["old", "new"] {
        check(&format!("tcp_seg 4 {favour}\n"), false);
        check(&format!("ip_frag 16 {favour}\n"), false);
    }
    for chaff in ["cksum", "null", "paws", "rexmit", "seq", "syn", "3"] {
        check(&format!("tcp_seg 4\ntcp_chaff {chaff}\n"), false);
        check(&format!("tcp_seg 4\ntcp_chaff {chaff}\norder random\n"), false);
    }
    // Not `ip_chaff`: tcprewrite 4.4.3 writes beyond its memory then, and aborts.
}

#[test]
fn duplicates_losses_and_options() {
    check("tcp_seg 5\ndup random 50\n", true);
    check("tcp_seg 5\ndup last 100\n", true);
    check("tcp_seg 5\ntcp_opt mss 100\n", true);
    check("tcp_seg 5\ntcp_opt wscale 3\n", true);
    check("tcp_seg 5\nip_tos 0x10\n", true);
    check("ip_frag 8\ndup random 30\norder random\n", false);
    check("ip_frag 24\ntcp_seg 16\ntcp_chaff rexmit\ndup random 20\norder random\n", false);
}
