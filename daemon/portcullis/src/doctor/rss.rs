//! How a card spreads packets over its queues, and what the gate makes of it (`capture.af-xdp.rss`).

use super::finding::Finding;
use super::port::Port;
use super::xdp;
use crate::config::RssMode;
use portcullis_bpf::device;
use portcullis_bpf::device::{HashedBy, HashedFlow};
use portcullis_bpf::facts::Rss;

/// Bytes of a key that are shown.
const SHOWN: usize = 4;

/// The finding about a port of several queues, for a gate that is to spread packets so.
pub(crate) fn check(port: &Port, mode: RssMode) -> Finding {
    let Some(rss) = port.rss.as_ref().filter(|rss| !rss.key.is_empty() && !rss.table.is_empty()) else {
        let text =
            "the driver does not tell its key and table, so they stay: workers pass on what is not theirs";
        return Finding::ok("rss", text);
    };
    let wrong = wrong(port, rss);
    let now = shown(rss, port.queues);
    if wrong.is_empty() {
        return Finding::ok("rss", format!("{now}: both directions of a flow go to the same queue number"));
    }
    let parts: Vec<&str> = wrong.iter().map(|wrong| wrong.text).collect();
    let parts = parts.join(", ");
    let commands: Vec<&str> = wrong.iter().flat_map(|wrong| &wrong.commands).map(String::as_str).collect();
    match (mode, xdp::is_guarded(port)) {
        (RssMode::Symmetric, false) => {
            let text =
                format!("{now}; {parts}: `run` changes what the driver lets it, and restores it at its end");
            Finding::ok("rss", text)
        }
        (RssMode::Symmetric, true) => {
            let text = format!(
                "{now}; {parts}, though a gate stands: the driver refused, and workers pass packets on"
            );
            Finding::warning("rss", text).advise(commands.join(" && "))
        }
        (RssMode::Keep, _) => {
            let text = format!("{now}; {parts}, and capture.af-xdp.rss keeps it: workers pass packets on");
            let finding = Finding::warning("rss", text);
            match commands.as_slice() {
                [command] => finding.mended_by(command),
                _ => finding.advise(commands.join(" && ")),
            }
        }
    }
}

/// What is not as it should be.
struct Wrong {
    text: &'static str,
    commands: Vec<String>,
}

fn wrong(port: &Port, rss: &Rss) -> Vec<Wrong> {
    let name = &port.name;
    let plain = device::Rss { key: rss.key.clone(), table: rss.table.clone() };
    let mut wrong = Vec::new();
    if !rss.symmetric && !plain.is_symmetric() {
        let key: Vec<String> = plain.symmetric_key().iter().map(|byte| format!("{byte:02x}")).collect();
        let commands = vec![format!("ethtool -X {name} hkey {}", key.join(":"))];
        wrong.push(Wrong { text: "the key sends the directions of a flow to different queues", commands });
    }
    if (0..port.queues).any(|queue| !rss.table.contains(&queue)) {
        let commands = vec![format!("ethtool -X {name} equal {}", port.queues)];
        wrong.push(Wrong { text: "the table leaves queues without packets", commands });
    }
    let by_ports = port.hashed.iter().filter(|(_, by)| *by != HashedBy::ADDRESSES);
    let commands: Vec<String> =
        by_ports.map(|(flow, _)| format!("ethtool -N {name} rx-flow-hash {} sd", word(*flow))).collect();
    if !commands.is_empty() {
        let text = "not only addresses are hashed, so fragments go another way than the rest of a flow";
        wrong.push(Wrong { text, commands });
    }
    wrong
}

/// As ethtool(8) calls it.
const fn word(flow: HashedFlow) -> &'static str {
    match flow {
        HashedFlow::Tcp4 => "tcp4",
        HashedFlow::Udp4 => "udp4",
        HashedFlow::Tcp6 => "tcp6",
        HashedFlow::Udp6 => "udp6",
    }
}

fn shown(rss: &Rss, queues: u32) -> String {
    let key: Vec<String> = rss.key.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
    let more = if rss.key.len() > SHOWN { ":…" } else { "" };
    let used = (0..queues).filter(|queue| rss.table.contains(queue)).count();
    let alike = if rss.symmetric { ", directions made alike" } else { "" };
    let (bytes, entries) = (rss.key.len(), rss.table.len());
    format!(
        "key {}{more} ({bytes} bytes{alike}), {entries} entries for {used} of {queues} queues",
        key.join(":")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;
    use portcullis_bpf::AttachedMode;
    use portcullis_bpf::facts::{XdpFacts, XdpProgram};

    const PORTS: HashedBy = HashedBy(HashedBy::ADDRESSES.0 | 0xc0);

    fn port(table: &[u32], key: &[u8], symmetric: bool, hashed: &[(HashedFlow, HashedBy)]) -> Port {
        let rss = Some(Rss { table: table.to_vec(), key: key.to_vec(), symmetric });
        Port { name: "eth0".to_owned(), queues: 2, rss, hashed: hashed.to_vec(), ..Port::default() }
    }

    #[track_caller]
    fn check_one(port: &Port, mode: RssMode, level: Level, text: &str, mend: Option<&str>) {
        let finding = check(port, mode);
        assert!(finding.level == level && finding.text.contains(text), "{finding}");
        assert_eq!(finding.mend.as_ref().map(ToString::to_string).as_deref(), mend, "{finding}");
    }

    #[test]
    fn a_good_spread_is_told_and_left_alone() {
        let addresses = [(HashedFlow::Tcp4, HashedBy::ADDRESSES)];
        let shown = "key 6d:5a:6d:5a:… (6 bytes), 4 entries for 2 of 2 queues: both directions";
        let good = port(&[0, 1, 0, 1], &[0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a], false, &addresses);
        check_one(&good, RssMode::Symmetric, Level::Ok, shown, None);
        check_one(&good, RssMode::Keep, Level::Ok, shown, None);
        let alike = port(&[0, 1], &[1, 2, 3, 4], true, &[]);
        check_one(&alike, RssMode::Keep, Level::Ok, "directions made alike", None);
        let silent = Port { rss: None, ..alike };
        check_one(&silent, RssMode::Symmetric, Level::Ok, "does not tell", None);
    }

    #[test]
    fn a_bad_spread_is_the_gates_to_change_or_the_operators() {
        let plain = port(&[0, 1, 0, 1], &[1, 2, 3, 4], false, &[]);
        check_one(&plain, RssMode::Symmetric, Level::Ok, "different queues: `run` changes", None);
        let key = "ethtool -X eth0 hkey 6d:5a:6d:5a";
        check_one(&plain, RssMode::Keep, Level::Warning, "rss keeps it", Some(key));
        let program = Some(XdpProgram { id: 7, name: "gate".to_owned(), mode: AttachedMode::Native });
        let guarded = Port { xdp: XdpFacts { program, ..XdpFacts::default() }, ..plain };
        check_one(&guarded, RssMode::Symmetric, Level::Warning, "the driver refused", Some(key));
        let lame = port(&[1, 1, 1], &[1, 2], true, &[]);
        let equal = "ethtool -X eth0 equal 2";
        check_one(&lame, RssMode::Keep, Level::Warning, "for 1 of 2 queues", Some(equal));
        let both = port(&[1, 1], &[1, 2], true, &[(HashedFlow::Udp6, PORTS)]);
        let commands = format!("{equal} && ethtool -N eth0 rx-flow-hash udp6 sd");
        check_one(&both, RssMode::Keep, Level::Warning, "so fragments go another way", Some(&commands));
        check_one(&both, RssMode::Symmetric, Level::Ok, "leaves queues without packets", None);
    }
}
