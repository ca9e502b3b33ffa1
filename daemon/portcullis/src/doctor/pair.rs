//! The two ports of a pair: whatever comes in at one must be able to leave by the other.

use super::finding::Finding;
use super::port::Port;
use portcullis_bpf::device::MAX_MTU;

/// Findings about the MTU of one port.
pub(crate) fn check_mtu(port: &Port) -> Finding {
    let mtu = port.mtu;
    let finding = if mtu > MAX_MTU {
        Finding::fault("mtu", format!("{mtu}, but at most {MAX_MTU} can be inspected"))
            .mended_by(&format!("ip link set dev {} mtu {MAX_MTU}", port.name))
    } else {
        Finding::ok("mtu", mtu.to_string())
    };
    finding.at(&port.name)
}

/// Findings about two ports together.
pub(crate) fn check(first: &Port, second: &Port) -> Vec<Finding> {
    [mtus(first, second), queues(first, second)].into_iter().flatten().collect()
}

/// Raises the lower one where that is possible: lowering would shut out what passes today.
fn mtus(first: &Port, second: &Port) -> Option<Finding> {
    let (low, high) = if first.mtu < second.mtu { (first, second) } else { (second, first) };
    // The one that is too high is a fault already, and is mended first.
    let goal = high.mtu.min(MAX_MTU);
    if low.mtu >= goal {
        return None;
    }
    let text =
        format!("{}, but its peer {} has {}: larger frames could not leave", low.mtu, high.name, high.mtu);
    let command = format!("ip link set dev {} mtu {goal}", low.name);
    Some(Finding::fault("mtu", text).mended_by(&command).at(&low.name))
}

fn queues(first: &Port, second: &Port) -> Option<Finding> {
    let (few, many) = if first.queues < second.queues { (first, second) } else { (second, first) };
    if few.queues == many.queues {
        return None;
    }
    let text = format!(
        "{} receive queues, but its peer {} has {}: a worker needs a queue of both",
        many.queues, few.name, few.queues
    );
    let command = format!("ethtool -L {} combined {}", many.name, few.queues);
    let virtual_command = format!("ethtool -L {} rx {}", many.name, few.queues);
    let command = if many.driver == "veth" { virtual_command } else { command };
    Some(Finding::fault("queues", text).mended_by(&command).at(&many.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    fn port(name: &str, mtu: u32, queues: u32) -> Port {
        Port { name: name.to_owned(), mtu, queues, ..Port::default() }
    }

    fn check_pair(first: (u32, u32), second: (u32, u32), expected: &[(&str, &str)]) {
        let findings = check(&port("a", first.0, first.1), &port("b", second.0, second.1));
        let found: Vec<(String, String)> = findings
            .iter()
            .map(|finding| {
                assert_eq!(finding.level, Level::Fault);
                (finding.interface.clone().unwrap(), finding.mend.as_ref().unwrap().to_string())
            })
            .collect();
        let found: Vec<(&str, &str)> = found.iter().map(|(at, mend)| (at.as_str(), mend.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn ports_that_do_not_fit_are_found() {
        check_pair((1500, 4), (1500, 4), &[]);
        check_pair((1500, 4), (1400, 4), &[("b", "ip link set dev b mtu 1500")]);
        check_pair((1400, 4), (1500, 4), &[("a", "ip link set dev a mtu 1500")]);
        check_pair((9000, 1), (9000, 2), &[("b", "ethtool -L b combined 1")]);
        check_pair((60_000, 2), (MAX_MTU, 2), &[]);
        let goal = format!("ip link set dev b mtu {MAX_MTU}");
        check_pair((60_000, 2), (1500, 1), &[("b", &goal), ("a", "ethtool -L a combined 1")]);
    }

    #[test]
    fn an_mtu_that_is_too_large_is_found() {
        assert_eq!(check_mtu(&port("a", 1500, 1)).level, Level::Ok);
        let finding = check_mtu(&port("a", 60_000, 1));
        assert_eq!(finding.level, Level::Fault);
        assert_eq!(finding.mend.unwrap().to_string(), format!("ip link set dev a mtu {MAX_MTU}"));
    }
}
