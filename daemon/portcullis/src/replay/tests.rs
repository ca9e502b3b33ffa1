//! The way from a command line to files, with a worker that only counts and drops every third
//! packet.

use super::*;
use crate::cli::{Cli, Command};
use clap::Parser as _;
use portcullis_capture::{Burst, CaptureStats, DropReason, Verdict};
use portcullis_event::Counters;
use std::fs;
use std::path::Path;

struct Counting {
    counters: Counters,
    inline: bool,
    _reporter: Reporter,
}

impl Worker for Counting {
    fn inspect(&mut self, burst: &mut Burst<'_>) {
        for slot in 0..burst.len() {
            self.counters.decoder_pkts += 1;
            let third = burst.packets()[slot].meta.id.is_multiple_of(3);
            let verdict =
                if self.inline && third { Verdict::Drop(DropReason::Rules) } else { Verdict::Accept };
            burst.judge(slot, verdict);
        }
    }

    fn finish(self, _now: Timestamp, _capture: &CaptureStats) -> Counters {
        self.counters
    }
}

fn replay(arguments: &ReplayArgs) -> Result<Replayed, Failure> {
    replay_with(arguments, |seat| {
        Ok(Counting { counters: Counters::default(), inline: seat.inline, _reporter: seat.reporter })
    })
}

fn arguments(line: &str) -> ReplayArgs {
    let words = ["portcullis", "replay"].into_iter().chain(line.split_whitespace());
    match Cli::try_parse_from(words).unwrap().command {
        Command::Replay(arguments) => arguments,
        other => panic!("{other:?}"),
    }
}

/// A little-endian pcap file of so many Ethernet frames, one a second.
fn capture(frames: u32) -> Vec<u8> {
    let word = |value: u32| value.to_le_bytes();
    let mut file = [word(0xa1b2_c3d4), [2, 0, 4, 0], word(0), word(0), word(65_535), word(1)].concat();
    for second in 1..=frames {
        file.extend([word(second), word(0), word(60), word(60)].concat());
        file.extend([0; 60]);
    }
    file
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
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
    assert_eq!(replayed.summary.records, Some((1, at("new/logs/eve.json"))));
    let records = lines(&at("new/logs/eve.json"));
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["event_type"], "stats");
    assert_eq!(records[0]["stats"]["decoder"]["pkts"], 9);

    replay(&line(&format!("--simulate-ips --write {}", at("out.pcap").display()))).unwrap();
    assert_eq!(fs::metadata(at("out.pcap")).unwrap().len(), 24 + 6 * 76);
    assert_eq!(lines(&at("new/logs/eve.json")).len(), 2, "records are appended");
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
    assert_eq!(lines(&logs.join("eve.json"))[0]["stats"]["decoder"]["pkts"], 8);
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
        let config = settings(&arguments).unwrap().config;
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
    let policy = |line: &str| settings(&arguments(line)).unwrap().config.flow.memcap_policy;
    assert_eq!(policy("x.pcap"), ExceptionPolicy::Ignore);
    assert_eq!(policy("x.pcap --simulate-ips"), ExceptionPolicy::DropPacket);
}
