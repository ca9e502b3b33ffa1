//! The way from a command line to files.

use super::*;
use crate::cli::{Cli, Command};
use clap::Parser as _;
use std::fs;
use std::path::Path;

mod faults;

fn arguments(line: &str) -> ReplayArgs {
    let words = ["portcullis", "replay"].into_iter().chain(line.split_whitespace());
    match Cli::try_parse_from(words).unwrap().command {
        Command::Replay(arguments) => arguments,
        other => panic!("{other:?}"),
    }
}

/// An ICMP echo request between two hosts, whose payload is `ping ` and the sequence number.
fn ping(sequence: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let mut header = [0x45, 0, 0, 34, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    let mut message = [8, 0, 0, 0, 0, 1, 0, sequence, b'p', b'i', b'n', b'g', b' ', sequence];
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum);
    frame.extend(header);
    frame.extend(message);
    frame.resize(60, 0);
    frame
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    (!u16::try_from(folded).unwrap()).to_be_bytes()
}

/// A little-endian pcap file of so many pings, one a second.
fn capture(frames: u8) -> Vec<u8> {
    let word = |value: u32| value.to_le_bytes();
    let mut file = [word(0xa1b2_c3d4), [2, 0, 4, 0], word(0), word(0), word(65_535), word(1)].concat();
    for second in 1..=frames {
        file.extend([word(second.into()), word(0), word(60), word(60)].concat());
        file.extend(ping(second));
    }
    file
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How many records there are of each kind.
fn kinds(path: &Path) -> Vec<(&'static str, usize)> {
    let records = lines(path);
    ["alert", "drop", "flow", "netflow", "stats"]
        .map(|kind| (kind, records.iter().filter(|record| record["event_type"] == kind).count()))
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect()
}

#[test]
fn from_a_capture_to_records_and_accepted_packets() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("in.pcap"), capture(9)).unwrap();
    let line = |more: &str| {
        let (pcap, logs) = (at("in.pcap"), at("new/logs"));
        arguments(&format!("{} -l {} {more}", pcap.display(), logs.display()))
    };

    let replayed = replay(&line("")).unwrap();
    assert!(replayed.damage.is_none());
    assert_eq!(replayed.summary.counters.decoder_pkts, 9);
    assert_eq!(replayed.summary.counters.flow_total, 1);
    assert_eq!(replayed.summary.records, Some((3, at("new/logs/eve.json"))));
    assert_eq!(kinds(&at("new/logs/eve.json")), [("flow", 1), ("netflow", 1), ("stats", 1)]);

    let rule = "drop icmp any any -> any any (msg:\"nine\"; content:\"ping |09|\"; sid:1;)\n";
    fs::write(at("a.rules"), rule).unwrap();
    let (rules, out) = (at("a.rules"), at("out.pcap"));
    let more = format!("--simulate-ips -S {} --write {}", rules.display(), out.display());
    fs::remove_file(at("new/logs/eve.json")).unwrap();
    let replayed = replay(&line(&more)).unwrap();
    let counters = &replayed.summary.counters;
    assert_eq!((counters.ips_accepted, counters.ips_blocked, counters.detect_alert), (8, 1, 1));
    assert_eq!(replayed.summary.rules, 1);
    assert_eq!(fs::metadata(at("out.pcap")).unwrap().len(), 24 + 8 * 76);
    let expected = [("alert", 1), ("drop", 1), ("flow", 1), ("netflow", 1), ("stats", 1)];
    assert_eq!(kinds(&at("new/logs/eve.json")), expected);
    replay(&line("")).unwrap();
    assert_eq!(lines(&at("new/logs/eve.json")).len(), 5 + 3, "records are appended");
}

#[test]
fn a_threshold_file_is_read_and_hosts_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("in.pcap"), capture(9)).unwrap();
    fs::write(at("a.rules"), "alert icmp any any -> any any (itype:8; sid:1;)\n").unwrap();
    fs::write(at("t.config"), "threshold gen_id 1, sig_id 1, type limit, track by_src, count 1, seconds 3\n")
        .unwrap();
    fs::write(at("x.toml"), "threshold-file = \"t.config\"\n").unwrap();
    let show = |name: &str| at(name).display().to_string();
    let line =
        format!("{} -c {} -S {} -l {}", show("in.pcap"), show("x.toml"), show("a.rules"), show("logs"));
    let counters = replay(&arguments(&line)).unwrap().summary.counters;
    // One a second: the first, the fifth and the ninth begin a window.
    assert_eq!((counters.detect_alert, counters.detect_alerts_suppressed), (3, 6));
    fs::write(at("t.config"), "suppress gen_id 1, sig_id 1, track by_src, ip 192.0.2.0/24\n").unwrap();
    let counters = replay(&arguments(&line)).unwrap().summary.counters;
    assert_eq!((counters.detect_alert, counters.detect_alerts_suppressed), (0, 9));
}

#[test]
fn the_same_records_with_any_number_of_workers() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("in.pcap"), capture(200)).unwrap();
    fs::write(at("a.rules"), "alert icmp any any -> any any (msg:\"ping\"; content:\"ping\"; sid:1;)\n")
        .unwrap();
    let records = |workers: u8| {
        let (pcap, rules, logs) = (at("in.pcap"), at("a.rules"), at(&workers.to_string()));
        let (pcap, rules, folder) = (pcap.display(), rules.display(), logs.display());
        replay(&arguments(&format!("{pcap} -S {rules} -l {folder} --workers {workers}"))).unwrap();
        let mut records: Vec<String> = lines(&logs.join("eve.json"))
            .into_iter()
            .filter(|record| record["event_type"] != "stats")
            .map(|mut record| {
                record.as_object_mut().unwrap().remove("flow_id");
                record.to_string()
            })
            .collect();
        records.sort();
        records
    };
    let one = records(1);
    assert_eq!(one.len(), 202);
    assert_eq!(one, records(2));
    assert_eq!(one, records(4));
}

#[test]
fn a_damaged_capture_is_judged_up_to_the_damage() {
    let folder = tempfile::tempdir().unwrap();
    let (pcap, logs) = (folder.path().join("in.pcap"), folder.path().join("logs"));
    let mut bytes = capture(9);
    bytes.truncate(bytes.len() - 10);
    fs::write(&pcap, bytes).unwrap();
    let replayed = replay(&arguments(&format!("{} -l {}", pcap.display(), logs.display()))).unwrap();
    assert_eq!(replayed.summary.counters.decoder_pkts, 8);
    let damage = replayed.damage.unwrap();
    let message = damage.to_string();
    assert!(matches!(damage, Failure::Input(_)), "{message}");
    assert!(message.contains("is damaged at byte 632, after 8 packets"), "{message}");
    let records = lines(&logs.join("eve.json"));
    let stats = records.iter().find(|record| record["event_type"] == "stats").unwrap();
    assert_eq!(stats["stats"]["decoder"]["pkts"], 8);
}

#[test]
fn what_cannot_be_read_or_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("in.pcap"), capture(1)).unwrap();
    fs::write(at("empty"), "").unwrap();
    fs::write(at("text"), "hello, world").unwrap();
    let check = |line: &str, input: bool, expected: &str| {
        let failure = replay(&arguments(line)).unwrap_err();
        assert!(failure.to_string().contains(expected), "{line}: {failure}");
        assert_eq!(matches!(failure, Failure::Input(_)), input, "{line}: {failure:?}");
    };
    let logs = at("logs");
    check(&format!("{} -l {logs}", at("none.pcap")), true, "none.pcap: No such file");
    check(&format!("{} -l {logs}", at("empty")), true, "is empty");
    check(&format!("{} -l {logs}", at("text")), true, "neither pcap nor pcapng");
    check(&format!("{} -l {logs} -S {}", at("in.pcap"), at("none.rules")), true, "none.rules: No such file");
    check(
        &format!("{} -l {logs} --write {}", at("in.pcap"), at("in.pcap")),
        true,
        "it is the capture being read",
    );
    assert!(!Path::new(&logs).exists(), "what fails at the start leaves no logs behind");
    check(&format!("{} -l {logs} --write {}", at("in.pcap"), at("no/o.pcap")), false, "cannot create");
    check(&format!("{} -l {}", at("in.pcap"), at("text")), false, "text");
}

#[test]
fn the_command_line_goes_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gate.toml");
    fs::write(&file, "default-log-dir = \"/logs\"\noutputs.eve-log.types = [\"alert\"]\n").unwrap();
    let read = |line: &str| {
        let arguments = arguments(line);
        let config = load(&arguments).unwrap().config;
        (log_folder(&arguments, &config), config)
    };
    let with_file = format!("x.pcap -c {}", file.display());

    let (folder, config) = read("x.pcap");
    assert_eq!((folder, config.eve.types.len()), (PathBuf::from("."), 5));
    assert!(config.stream.checksum_validation);
    let (folder, config) = read(&with_file);
    assert_eq!((folder, config.eve.types.len()), (PathBuf::from("/logs"), 1));
    let (folder, config) =
        read(&format!("{with_file} -l here -k none --set outputs.eve-log.types=[\"drop\",\"flow\"]"));
    assert_eq!((folder, config.eve.types.len()), (PathBuf::from("here"), 2));
    assert!(!config.stream.checksum_validation);
    let (_, config) =
        read("x.pcap --set outputs.eve-log.types=flow -k all --set stream.checksum-validation=no");
    assert_eq!(config.eve.types.len(), 1);
    assert!(config.stream.checksum_validation);
}

#[test]
fn dropping_depends_on_simulated_inline_mode() {
    use crate::config::ExceptionPolicy;
    let policy = |line: &str| load(&arguments(line)).unwrap().config.flow.memcap_policy;
    assert_eq!(policy("x.pcap"), ExceptionPolicy::Ignore);
    assert_eq!(policy("x.pcap --simulate-ips"), ExceptionPolicy::DropPacket);
}

#[test]
fn a_fault_that_the_command_line_injects_meets_the_policy() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("in.pcap"), capture(3)).unwrap();
    let check = |policy: &str, more: &str, expected: (u64, u64, u64)| {
        let (pcap, logs) = (at("in.pcap"), at(policy));
        let (pcap, logs) = (pcap.display(), logs.display());
        let fault = "--simulate-packet-flow-memcap=1";
        let line = format!("{pcap} -l {logs} {fault} {more} --set flow.memcap-policy={policy}");
        let counters = replay(&arguments(&line)).unwrap().summary.counters;
        assert_eq!(counters.flow_memcap, 1, "{policy}");
        assert_eq!(
            (counters.ips_accepted, counters.ips_blocked, counters.ips_rejected),
            expected,
            "{policy}"
        );
    };
    check("drop-packet", "--simulate-ips", (2, 1, 0));
    check("reject", "--simulate-ips", (2, 0, 1));
    check("pass-packet", "--simulate-ips", (3, 0, 0));
    check("drop-packet", "", (3, 0, 0));
}
