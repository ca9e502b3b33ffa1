//! Driver and XDP: can programs run in the driver, can it do without copying, and who else is there.

use super::finding::Finding;
use super::port::Port;
use portcullis_bpf::AttachedMode;
use portcullis_bpf::facts::XdpProgram;

/// What our own programs are called.
const OURS: [&str; 2] = ["gate", "gate_frags"];

/// Findings about one port; `zero_copy`: the configuration insists on it.
pub(crate) fn check(port: &Port, zero_copy: bool) -> Vec<Finding> {
    let mut findings = vec![support(port), copying(port, zero_copy), program(port)];
    findings.retain(|finding| !finding.text.is_empty());
    findings.into_iter().map(|finding| finding.at(&port.name)).collect()
}

/// Does a gate stand here?
pub(crate) fn is_guarded(port: &Port) -> bool {
    port.xdp.program.as_ref().is_some_and(|program| OURS.contains(&program.name.as_str()))
}

fn support(port: &Port) -> Finding {
    let driver = if port.driver.is_empty() { "without a name" } else { &port.driver };
    let xdp = &port.xdp;
    if !xdp.known {
        let text = format!(
            "driver {driver}: the kernel does not tell what it can do with XDP, or it can do nothing"
        );
        return Finding::warning("xdp", text)
            .advise("where native mode does not work: xdp-mode = \"generic\"");
    }
    if !xdp.native {
        let text =
            format!("driver {driver} cannot run XDP programs: they run in the stack, on copies, and slowly");
        return Finding::warning("xdp", text).advise("use a card whose driver has native XDP");
    }
    // Several drivers can only once a program is attached, and say so only then.
    if !xdp.redirect && xdp.program.is_some() {
        let text = format!(
            "driver {driver} has native XDP, but cannot pass frames on: fail = \"open\" may lose them"
        );
        return Finding::warning("xdp", text)
            .advise("on virtual ports, switch GRO on or attach an XDP program at the other end; else use another card");
    }
    let frames = if xdp.multi_buffer { "" } else { ", not with jumbo frames" };
    Finding::ok("xdp", format!("driver {driver}: native XDP{frames}"))
}

fn copying(port: &Port, demanded: bool) -> Finding {
    if !port.xdp.known {
        // What is not known is said already.
        return Finding::ok("zero-copy", "");
    }
    match (port.xdp.zero_copy, demanded) {
        (true, _) => Finding::ok("zero-copy", "the driver can"),
        (false, false) => Finding::ok("zero-copy", "the driver cannot: the kernel copies every frame"),
        (false, true) => Finding::fault("zero-copy", "the driver cannot, but capture.af-xdp asks for it")
            .advise("capture.af-xdp: require = \"native\" and bind-mode = \"auto\""),
    }
}

fn program(port: &Port) -> Finding {
    match &port.xdp.program {
        None => Finding::ok("programs", "no XDP program is attached"),
        Some(program) if OURS.contains(&program.name.as_str()) => {
            Finding::ok("programs", format!("the gate's own program is attached ({})", shown(program)))
        }
        Some(program) => {
            let text = format!("another XDP program is attached ({}): the gate cannot be", shown(program));
            let off = match program.mode {
                AttachedMode::Native => "xdp",
                AttachedMode::Generic => "xdpgeneric",
                AttachedMode::Offloaded => "xdpoffload",
            };
            Finding::fault("programs", text).advise(format!("ip link set dev {} {off} off", port.name))
        }
    }
}

fn shown(program: &XdpProgram) -> String {
    let name = if program.name.is_empty() { "without a name" } else { &program.name };
    format!("{name}, id {}", program.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;
    use portcullis_bpf::facts::XdpFacts;

    fn port(xdp: XdpFacts) -> Port {
        Port { name: "eth0".to_owned(), driver: "ice".to_owned(), xdp, ..Port::default() }
    }

    fn able() -> XdpFacts {
        XdpFacts {
            native: true,
            redirect: true,
            zero_copy: true,
            multi_buffer: true,
            known: true,
            program: None,
        }
    }

    fn check_one(xdp: XdpFacts, zero_copy: bool, topic: &str, level: Level, text: &str) {
        let findings = check(&port(xdp), zero_copy);
        let found = findings.iter().find(|finding| finding.topic == topic).unwrap();
        assert!(found.level == level && found.text.contains(text), "{found}");
        assert_eq!(found.interface.as_deref(), Some("eth0"));
    }

    #[test]
    fn what_a_driver_can_do_is_judged() {
        assert!(check(&port(able()), true).iter().all(|finding| finding.level == Level::Ok));
        check_one(XdpFacts::default(), true, "xdp", Level::Warning, "does not tell");
        assert!(check(&port(XdpFacts::default()), true).iter().all(|finding| finding.topic != "zero-copy"));
        check_one(XdpFacts { native: false, ..able() }, false, "xdp", Level::Warning, "cannot run XDP");
        let program = Some(XdpProgram { id: 7, name: "gate".to_owned(), mode: AttachedMode::Native });
        let lame = XdpFacts { redirect: false, program, ..able() };
        check_one(lame, false, "xdp", Level::Warning, "cannot pass frames on");
        check_one(XdpFacts { redirect: false, ..able() }, false, "xdp", Level::Ok, "native XDP");
        check_one(
            XdpFacts { multi_buffer: false, ..able() },
            false,
            "xdp",
            Level::Ok,
            "not with jumbo frames",
        );
        check_one(
            XdpFacts { zero_copy: false, ..able() },
            false,
            "zero-copy",
            Level::Ok,
            "copies every frame",
        );
        check_one(XdpFacts { zero_copy: false, ..able() }, true, "zero-copy", Level::Fault, "asks for it");
    }

    #[test]
    fn programs_of_others_are_told_from_ours() {
        let with = |name: &str, mode| {
            let program = Some(XdpProgram { id: 7, name: name.to_owned(), mode });
            XdpFacts { program, ..able() }
        };
        check_one(with("gate_frags", AttachedMode::Native), false, "programs", Level::Ok, "own program");
        check_one(with("", AttachedMode::Generic), false, "programs", Level::Fault, "without a name, id 7");
        let findings = check(&port(with("cilium_xdp", AttachedMode::Generic)), false);
        let mend = findings.iter().find_map(|finding| finding.mend.as_ref()).unwrap();
        assert_eq!((mend.to_string().as_str(), mend.safe), ("ip link set dev eth0 xdpgeneric off", false));
    }
}
