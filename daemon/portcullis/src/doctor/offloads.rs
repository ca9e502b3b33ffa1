//! What card and firmware do to frames before anybody sees them.

use super::finding::Finding;
use super::port::Port;

/// Offloads that damage what comes in: name, what `ethtool -K` calls it, and what it does.
const HARMFUL: [(&str, &str, &str); 3] = [
    ("rx-vlan-hw-parse", "rxvlan", "VLAN tags are taken off frames"),
    ("rx-lro", "lro", "segments are glued together, and cannot leave as they came"),
    ("rx-gro", "gro", "the stack glues segments together"),
];

/// Switches of drivers that keep LLDP frames in the firmware: name, and where it must be.
const LLDP: [(&str, bool); 2] = [("disable-fw-lldp", true), ("fw-lldp-agent", false)];

/// Findings about one port.
pub(crate) fn check(port: &Port) -> Vec<Finding> {
    let mut findings = harmful(port);
    findings.extend(glueing(port));
    findings.extend(sending(port));
    findings.extend(firmware(port));
    findings.into_iter().map(|finding| finding.at(&port.name)).collect()
}

fn harmful(port: &Port) -> Vec<Finding> {
    let finding = |(name, switch, damage): &(&str, &str, &str)| {
        let feature = port.is_on(name)?;
        if feature.fixed {
            let text = format!("{switch} is on and cannot be switched off: {damage}");
            let fault =
                Finding::fault("offloads", text).advise("this card cannot be used inline: use another");
            return Some(fault);
        }
        let text = format!("{switch} is on: {damage}; `run` switches it off while it stands");
        Some(Finding::warning("offloads", text).mended_by(&format!("ethtool -K {} {switch} off", port.name)))
    };
    let findings: Vec<Finding> = HARMFUL.iter().filter_map(finding).collect();
    if !findings.is_empty() {
        return findings;
    }
    let text =
        if port.features.is_empty() { "the driver tells of none" } else { "none that changes frames is on" };
    vec![Finding::ok("offloads", text)]
}

/// Drivers with native XDP switch it off for it, or refuse the program: what it is otherwise does not matter much.
fn glueing(port: &Port) -> Option<Finding> {
    let feature = port.is_on("rx-gro-hw").filter(|_| !port.xdp.native)?;
    let text = "rx-gro-hw is on: the card glues segments together, and they cannot leave as they came";
    let finding = Finding::warning("offloads", text);
    Some(match feature.fixed {
        true => finding.advise("use a card whose driver has native XDP"),
        false => finding.mended_by(&format!("ethtool -K {} rx-gro-hw off", port.name)),
    })
}

/// Segmentation and checksums on the way out do not touch frames that come through AF_XDP or XDP. But between
/// virtual ports nobody ever does what is put off.
fn sending(port: &Port) -> Option<Finding> {
    let put_off =
        ["tx-tcp-segmentation", "tx-checksum-ip-generic"].iter().any(|name| port.is_on(name).is_some());
    (port.driver == "veth" && put_off).then(|| {
        let text = "a virtual port: what its other end sends must be whole (there: ethtool -K PEER tx off txvlan off)";
        Finding::ok("offloads", text)
    })
}

fn firmware(port: &Port) -> Option<Finding> {
    let find = |(name, right): &(&'static str, bool)| {
        let flag = port.private_flags.iter().find(|flag| flag.name == *name)?;
        Some((*name, flag.on == *right, *right))
    };
    let (name, is_right, right) = LLDP.iter().find_map(find)?;
    if is_right {
        return Some(Finding::ok("lldp", "the firmware leaves LLDP frames alone"));
    }
    let to = if right { "on" } else { "off" };
    let text = "the firmware keeps LLDP frames to itself: they do not get through the gate";
    Some(
        Finding::warning("lldp", text)
            .mended_by(&format!("ethtool --set-priv-flags {} {name} {to}", port.name)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;
    use portcullis_bpf::facts::Feature;

    fn feature(name: &str, on: bool, fixed: bool) -> Feature {
        Feature { name: name.to_owned(), on, fixed }
    }

    fn port(features: Vec<Feature>, private_flags: Vec<Feature>) -> Port {
        Port { name: "eth0".to_owned(), features, private_flags, ..Port::default() }
    }

    fn check_one(port: &Port, level: Level, text: &str, command: Option<(&str, bool)>) {
        let findings = check(port);
        let [finding] = findings.as_slice() else { panic!("{findings:?}") };
        assert!(finding.level == level && finding.text.contains(text), "{finding}");
        let mend = finding.mend.as_ref().map(|mend| (mend.to_string(), mend.safe));
        assert_eq!(mend, command.map(|(command, safe)| (command.to_owned(), safe)));
    }

    #[test]
    fn offloads_that_damage_frames_are_found() {
        check_one(&port(vec![], vec![]), Level::Ok, "tells of none", None);
        let harmless = vec![feature("rx-checksum", true, false), feature("rx-gro", false, false)];
        check_one(&port(harmless, vec![]), Level::Ok, "none that changes", None);
        for (name, switch) in [("rx-gro", "gro"), ("rx-lro", "lro"), ("rx-vlan-hw-parse", "rxvlan")] {
            let command = format!("ethtool -K eth0 {switch} off");
            let on = port(vec![feature(name, true, false)], vec![]);
            check_one(&on, Level::Warning, &format!("{switch} is on"), Some((&command, true)));
            let stuck = port(vec![feature(name, true, true)], vec![]);
            let advice = Some(("this card cannot be used inline: use another", false));
            check_one(&stuck, Level::Fault, "cannot be switched off", advice);
        }
    }

    #[test]
    fn a_card_that_glues_matters_where_xdp_does_not_stop_it() {
        let mends = |fixed, native| {
            let mut port = port(vec![feature("rx-gro-hw", true, fixed)], vec![]);
            port.xdp.native = native;
            let findings = check(&port);
            let bad = findings.into_iter().filter(|finding| finding.level > Level::Ok);
            bad.map(|finding| finding.mend.unwrap().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(mends(false, false), ["ethtool -K eth0 rx-gro-hw off"]);
        assert_eq!(mends(true, false), ["use a card whose driver has native XDP"]);
        assert!(mends(true, true).is_empty());
    }

    #[test]
    fn firmware_that_keeps_lldp_is_found() {
        let level = |name: &str, on| {
            let findings =
                check(&port(vec![], vec![feature("other", true, false), feature(name, on, false)]));
            findings.into_iter().find(|finding| finding.topic == "lldp")
        };
        let kept = level("disable-fw-lldp", false).unwrap();
        assert_eq!(kept.mend.unwrap().to_string(), "ethtool --set-priv-flags eth0 disable-fw-lldp on");
        assert_eq!(level("disable-fw-lldp", true).unwrap().level, Level::Ok);
        let kept = level("fw-lldp-agent", true).unwrap();
        assert_eq!(kept.mend.unwrap().to_string(), "ethtool --set-priv-flags eth0 fw-lldp-agent off");
        assert_eq!(level("fw-lldp-agent", false).unwrap().level, Level::Ok);
        assert!(level("something", true).is_none());
    }

    #[test]
    fn virtual_ports_say_what_their_other_end_must_do() {
        let features = vec![feature("tx-tcp-segmentation", true, false)];
        let veth = Port { driver: "veth".to_owned(), ..port(features, vec![]) };
        let findings = check(&veth);
        assert!(findings.iter().any(|finding| finding.text.contains("tx off txvlan off")), "{findings:?}");
    }
}
