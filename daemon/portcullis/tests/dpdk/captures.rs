//! A capture file through DPDK's own reader comes to the same as `portcullis replay`.

use crate::gate::{Gate, PROGRAM, Place, eventually, lab};
use crate::ports::devices;
use crate::records::{RULES, TRAFFIC, lasting};
use portcullis_testkit::PcapWriter;
use std::fs::{self, File};
use std::process::Command;

#[test]
fn a_capture_is_judged_as_by_replay() {
    let (lab, live, replayed) = (lab(), Place::new(), Place::new());
    let capture = live.path("in.pcap");
    TRAFFIC.write_pcap(&capture).unwrap();
    let nothing = live.path("nothing.pcap");
    PcapWriter::new(File::create(&nothing).unwrap()).unwrap().finish().unwrap();
    let (back, out) = (live.path("back.pcap"), live.path("out.pcap"));

    let first = format!("net_pcap0,rx_pcap={},tx_pcap={}", capture.display(), back.display());
    let second = format!("net_pcap1,rx_pcap={},tx_pcap={}", nothing.display(), out.display());
    let gate = Gate::start(&lab, &live, &devices(&first, &second), RULES);
    eventually("all is judged", || gate.counter("decoder.pkts") == TRAFFIC.packets);
    gate.end(&lab);

    let config = replayed.configure("", RULES);
    let mut replay = Command::new(PROGRAM);
    replay.arg("replay").arg(&capture).arg("-c").arg(&config).arg("--simulate-ips");
    let output = replay.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = lasting(&replayed);
    assert!(expected.len() > 40, "{expected:#?}");
    assert_eq!(lasting(&live), expected);

    // What was dropped did not leave, and the rest left whole: each in the file with a header of 16 bytes.
    let dropped = live.records("drop").len() as u64;
    assert!(dropped > 0);
    let (mut frames, mut bytes) = (0, 24);
    TRAFFIC
        .for_each(|_, frame| {
            (frames, bytes) = (frames + 1, bytes + 16 + frame.len() as u64);
            Ok::<_, std::io::Error>(())
        })
        .unwrap();
    let length = fs::metadata(&out).unwrap().len();
    assert!(length < bytes && length > bytes / 2, "{length} of {bytes} for {frames} frames");
    assert_eq!(fs::metadata(&back).unwrap().len(), 24, "nothing went back");
}
