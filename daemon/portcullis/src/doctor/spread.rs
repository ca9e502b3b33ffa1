//! How packets get to CPUs: receive queues, the card's hash, interrupts, memory nodes.

use super::finding::Finding;
use super::port::Port;
use super::rss;
use crate::config::RssMode;

/// Findings about one port; `cpus` are those that the configuration pins workers to, `mode` what it has the gate make of
/// the card's own spread.
pub(crate) fn check(port: &Port, cpus: &[usize], mode: RssMode) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("queues", format!("{} receive queues", port.queues))];
    if port.queues > 1 {
        findings.push(rss::check(port, mode));
        findings.extend(interrupts(port));
    }
    findings.extend(node(port, cpus));
    findings.into_iter().map(|finding| finding.at(&port.name)).collect()
}

fn interrupts(port: &Port) -> Option<Finding> {
    let served: Vec<&Vec<usize>> = port.place.interrupts.iter().map(|(_, cpus)| cpus).collect();
    let (first, rest) = served.split_first()?;
    // A card may have one more for itself; what counts is that queues do not share a CPU.
    if rest.is_empty() || first.len() != 1 || rest.iter().any(|cpus| cpus != first) {
        return Some(Finding::ok("interrupts", format!("{} of them, spread", served.len())));
    }
    let text = format!("all {} are served by CPU {}", served.len(), first.first()?);
    let numbers: Vec<String> = port.place.interrupts.iter().map(|(number, _)| number.to_string()).collect();
    let advice = format!(
        "stop irqbalance, then write each worker's CPU to /proc/irq/N/smp_affinity_list, N being {}",
        numbers.join(" ")
    );
    Some(Finding::warning("interrupts", text).advise(advice))
}

fn node(port: &Port, cpus: &[usize]) -> Option<Finding> {
    let node = port.place.node?;
    let own = &port.place.node_cpus;
    let far: Vec<String> = cpus.iter().filter(|cpu| !own.contains(cpu)).map(ToString::to_string).collect();
    if own.is_empty() || far.is_empty() {
        return Some(Finding::ok("numa", format!("its memory is nearest on node {node}")));
    }
    let text = format!("it is at node {node}, but workers are pinned to CPU {} elsewhere", far.join(", "));
    let near: Vec<String> = own.iter().map(ToString::to_string).collect();
    Some(Finding::warning("numa", text).advise(format!("capture.cpus from these: {}", near.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;
    use crate::doctor::port::Place;

    fn port() -> Port {
        Port { name: "eth0".to_owned(), queues: 2, ..Port::default() }
    }

    fn check_one(port: &Port, cpus: &[usize], topic: &str, level: Level, text: &str) -> Option<String> {
        let findings = check(port, cpus, RssMode::Keep);
        let found = findings.iter().find(|finding| finding.topic == topic).unwrap();
        assert!(found.level == level && found.text.contains(text), "{found}");
        found.mend.as_ref().map(ToString::to_string)
    }

    #[test]
    fn one_queue_is_not_spread_to() {
        let topics = |queues| {
            let findings = check(&Port { queues, ..port() }, &[], RssMode::Keep);
            findings.iter().any(|finding| finding.topic == "rss")
        };
        assert_eq!([1, 2].map(topics), [false, true]);
    }

    #[test]
    fn interrupts_and_nodes_are_judged() {
        let at = |interrupts: &[(u32, Vec<usize>)], node_cpus: Vec<usize>| {
            let place =
                Place { node: Some(1), node_cpus, interrupts: interrupts.to_vec(), ..Place::default() };
            Port { place, ..port() }
        };
        let crowded = at(&[(40, vec![0]), (41, vec![0])], vec![]);
        let mend = check_one(&crowded, &[], "interrupts", Level::Warning, "all 2 are served by CPU 0");
        assert!(mend.unwrap().ends_with("N being 40 41"));
        check_one(&at(&[(40, vec![0]), (41, vec![1])], vec![]), &[], "interrupts", Level::Ok, "spread");
        let far = at(&[], vec![4, 5]);
        let mend = check_one(&far, &[0, 4], "numa", Level::Warning, "CPU 0 elsewhere");
        assert_eq!(mend.unwrap(), "capture.cpus from these: 4, 5");
        check_one(&far, &[5], "numa", Level::Ok, "node 1");
        check_one(&far, &[], "numa", Level::Ok, "node 1");
    }
}
