//! Whose a port is: it should have no life of its own, and nobody else should manage it.

use super::finding::Finding;
use super::port::Port;
use super::source::setting;

/// Findings about one port.
pub(crate) fn check(port: &Port) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(route(port));
    findings.extend(addresses(port));
    findings.extend(master(port));
    findings.extend(network_manager(port));
    findings.extend(networkd(port));
    if findings.is_empty() {
        let text = "no address, and nobody manages it";
        findings.push(Finding::ok("owners", if port.place.known { text } else { "no address" }));
    }
    findings.into_iter().map(|finding| finding.at(&port.name)).collect()
}

fn route(port: &Port) -> Option<Finding> {
    let text = "this host's default route leaves by it: `run` refuses such a port";
    port.default_route.then(|| Finding::fault("owners", text).advise("use another port, or move the route"))
}

fn addresses(port: &Port) -> Option<Finding> {
    let first = port.addresses.first()?;
    let text = format!(
        "has {}: `run` takes addresses off while it stands, and routes with them",
        port.addresses.join(", ")
    );
    // It may be the one by which the host is managed.
    Some(Finding::warning("owners", text).advise(format!("ip address del {first} dev {}", port.name)))
}

fn master(port: &Port) -> Option<Finding> {
    let (master, kind) = port.place.master.as_ref()?;
    let text = format!("is part of the {kind} {master}, which takes its frames");
    Some(Finding::fault("owners", text).advise(format!("ip link set dev {} nomaster", port.name)))
}

fn network_manager(port: &Port) -> Option<Finding> {
    let managed = setting(&port.managers.network_manager, "managed")?;
    if matches!(managed, "false" | "0" | "unmanaged") {
        return None;
    }
    let text = "NetworkManager manages it, and may put addresses on it or take it down";
    Some(Finding::warning("owners", text).mended_by(&format!("nmcli device set {} managed no", port.name)))
}

fn networkd(port: &Port) -> Option<Finding> {
    let state = setting(&port.managers.networkd, "ADMIN_STATE")?;
    if state == "unmanaged" {
        return None;
    }
    let text = "systemd-networkd manages it, and may put addresses on it or take it down";
    let advice = format!(
        "in a file below /etc/systemd/network: [Match] Name={} and [Link] Unmanaged=yes; then networkctl reload",
        port.name
    );
    Some(Finding::warning("owners", text).advise(advice))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;
    use crate::doctor::port::{Managers, Place};

    fn port() -> Port {
        let place = Place { known: true, ..Place::default() };
        Port { name: "eth0".to_owned(), place, ..Port::default() }
    }

    fn check_one(port: &Port, level: Level, text: &str, command: Option<(&str, bool)>) {
        let findings = check(port);
        let [finding] = findings.as_slice() else { panic!("{findings:?}") };
        assert!(finding.level == level && finding.text.contains(text), "{finding}");
        let mend = finding.mend.as_ref().map(|mend| (mend.to_string(), mend.safe));
        assert_eq!(mend, command.map(|(command, safe)| (command.to_owned(), safe)));
    }

    fn managed(network_manager: &str, networkd: &str) -> Port {
        let managers =
            Managers { network_manager: network_manager.to_owned(), networkd: networkd.to_owned() };
        Port { managers, ..port() }
    }

    #[test]
    fn whoever_has_a_port_is_found() {
        check_one(&port(), Level::Ok, "nobody manages it", None);
        check_one(&Port::default(), Level::Ok, "no address", None);
        let addressed = Port { addresses: vec!["10.0.0.1/24".to_owned(), "fd00::1/64".to_owned()], ..port() };
        let command = Some(("ip address del 10.0.0.1/24 dev eth0", false));
        check_one(&addressed, Level::Warning, "has 10.0.0.1/24, fd00::1/64", command);
        let advice = Some(("use another port, or move the route", false));
        check_one(&Port { default_route: true, ..port() }, Level::Fault, "default route", advice);
        let place = Place { known: true, master: Some(("br0".to_owned(), "bridge")), ..Place::default() };
        let command = Some(("ip link set dev eth0 nomaster", false));
        check_one(&Port { place, ..port() }, Level::Fault, "part of the bridge br0", command);
    }

    #[test]
    fn managers_are_found_by_what_they_keep() {
        let command = Some(("nmcli device set eth0 managed no", true));
        check_one(&managed("[device]\nmanaged=true\n", ""), Level::Warning, "NetworkManager", command);
        check_one(&managed("[device]\nmanaged=false\n", ""), Level::Ok, "nobody", None);
        check_one(&managed("", "ADMIN_STATE=unmanaged\nOPER_STATE=off\n"), Level::Ok, "nobody", None);
        let findings = check(&managed("", "# private\nADMIN_STATE=configured\n"));
        assert!(findings[0].text.contains("systemd-networkd") && !findings[0].mend.as_ref().unwrap().safe);
    }
}
