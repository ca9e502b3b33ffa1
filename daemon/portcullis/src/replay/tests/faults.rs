//! Every value of every exception policy, met by a fault that the command line injects.

use super::{arguments, replay};
use portcullis_wire::PacketBuilder;
use portcullis_wire::decoded::TcpFlags;
use std::fs;
use std::path::Path;

/// A place that has a policy: its setting, the fault that meets it, its counters, and whether there is a flow to act on.
struct Place {
    setting: &'static str,
    fault: &'static str,
    counters: &'static str,
    has_flow: bool,
}

/// The numbers are those of [`frames`].
const PLACES: [Place; 5] = [
    Place {
        setting: "flow.memcap-policy",
        fault: "--simulate-packet-flow-memcap=9",
        counters: "flow.memcap",
        has_flow: false,
    },
    Place {
        setting: "defrag.memcap-policy",
        fault: "--simulate-packet-defrag-memcap=7",
        counters: "defrag.memcap",
        has_flow: false,
    },
    Place {
        setting: "stream.memcap-policy",
        fault: "--simulate-packet-tcp-ssn-memcap=1",
        counters: "tcp.ssn_memcap",
        has_flow: true,
    },
    Place {
        setting: "stream.reassembly.memcap-policy",
        fault: "--simulate-packet-tcp-reassembly-memcap=4",
        counters: "tcp.reassembly",
        has_flow: true,
    },
    Place {
        setting: "stream.midstream-policy",
        fault: "--simulate-packet-loss=1",
        counters: "tcp.midstream",
        has_flow: true,
    },
];

/// What each value does where there is a flow, and where there is none; and whether something is dropped.
const VALUES: [(&str, &str, &str, bool); 9] = [
    ("auto", "drop_flow", "drop_packet", true),
    ("drop-flow", "drop_flow", "drop_packet", true),
    ("drop-packet", "drop_packet", "drop_packet", true),
    ("reject", "reject", "reject", true),
    ("rejectboth", "reject_both", "reject_both", true),
    ("bypass", "bypass", "", false),
    ("pass-flow", "pass_flow", "pass_packet", false),
    ("pass-packet", "pass_packet", "pass_packet", false),
    ("ignore", "", "", false),
];

/// A session with data in both directions (1 to 6), a datagram in two fragments (7 and 8), and a whole one (9).
fn frames() -> Vec<Vec<u8>> {
    let ethernet = || PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let up = || ethernet().ipv4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(1024, 80).flags(TcpFlags::ACK);
    let down = || ethernet().ipv4([10, 0, 0, 2], [10, 0, 0, 1]).tcp(80, 1024).flags(TcpFlags::ACK);
    let part = |offset, more| {
        let whole = ethernet().ipv4([10, 0, 0, 3], [10, 0, 0, 2]).ip_id(7).protocol(17);
        whole.fragment(offset, more).payload(&[0, 9, 0, 9, 0, 16, 0, 0]).to_vec()
    };
    vec![
        up().flags(TcpFlags::SYN).seq(99).to_vec(),
        down().flags(TcpFlags::SYN | TcpFlags::ACK).seq(199).ack(100).to_vec(),
        up().seq(100).ack(200).to_vec(),
        up().seq(100).ack(200).payload(b"request").to_vec(),
        down().seq(200).ack(107).payload(b"answer").to_vec(),
        up().seq(107).ack(206).payload(b"more").to_vec(),
        part(0, true),
        part(8, false),
        ethernet().ipv4([10, 0, 0, 4], [10, 0, 0, 2]).udp(9, 9).payload(b"datagram").to_vec(),
    ]
}

fn write(path: &Path) {
    let word = |value: u32| value.to_le_bytes();
    let mut file = [word(0xa1b2_c3d4), [2, 0, 4, 0], word(0), word(0), word(65_535), word(1)].concat();
    for (second, frame) in (1_u32..).zip(frames()) {
        let length = u32::try_from(frame.len()).unwrap();
        file.extend([word(second), word(0), word(length), word(length)].concat());
        file.extend(frame);
    }
    fs::write(path, file).unwrap();
}

/// Replays with this policy at this place and none elsewhere.
fn check(
    folder: &Path,
    place: &Place,
    (value, with_flow, without, drops): (&str, &str, &str, bool),
    ips: bool,
) {
    let (pcap, rules) = (folder.join("in.pcap"), folder.join("all.rules"));
    let line = format!(
        "{} -l {} -S {} {} {} --set exception-policy=ignore --set {}={value}",
        pcap.display(),
        folder.display(),
        rules.display(),
        place.fault,
        if ips { "--simulate-ips" } else { "" },
        place.setting
    );
    let counters = replay(&arguments(&line)).unwrap().summary.counters;
    let counted: Vec<_> = counters
        .iter()
        .filter(|(name, value)| name.starts_with("exception_policy.") && *value > 0)
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let does = if place.has_flow { with_flow } else { without };
    // Where nothing can be dropped, what drops is ignored.
    let ignored = does.is_empty() || drops && !ips;
    let wanted = (!ignored).then(|| (format!("exception_policy.{}.{does}", place.counters), 1));
    let wanted: Vec<_> = wanted.into_iter().collect();
    assert_eq!(counted, wanted, "{line}");
    let dropped = counters.ips_blocked + counters.ips_rejected;
    assert_eq!(dropped > 0, drops && ips, "{line}: {dropped}");
    let follow = counters.ips_drop_reason_exception_policy_flow_drop;
    assert!(follow > 0 || does != "drop_flow" || !ips, "{line}: what follows was let through");
    assert!(follow == 0 || does != "drop_packet", "{line}: a packet was to be dropped, not its flow");
}

#[test]
fn every_value_acts_at_every_place() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("in.pcap"));
    // Without a rule that looks at streams none is put together.
    let rule = "alert tcp any any -> any any (content:\"never sent\"; sid:1;)\n";
    fs::write(folder.path().join("all.rules"), rule).unwrap();
    for place in &PLACES {
        for value in VALUES {
            // This one acts on flows only.
            if place.counters == "tcp.midstream" && matches!(value.0, "drop-packet" | "pass-packet") {
                continue;
            }
            for ips in [true, false] {
                // There it is a fault in the configuration to drop where nothing can be dropped.
                let refused = place.counters == "tcp.midstream" && value.3 && value.0 != "auto" && !ips;
                if !refused {
                    check(folder.path(), place, value, ips);
                }
            }
        }
    }
}
