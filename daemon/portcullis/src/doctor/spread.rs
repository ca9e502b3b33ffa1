//! How packets get to CPUs: receive queues, the card's hash, interrupts, memory nodes.

use super::finding::Finding;
use super::port::Port;

/// What a key repeats that is the same in both directions.
const SYMMETRIC: [u8; 2] = portcullis_bpf::device::Rss::SYMMETRIC;

/// Findings about one port; `cpus` are those that the configuration pins workers to.
pub(crate) fn check(port: &Port, cpus: &[usize]) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("queues", format!("{} receive queues", port.queues))];
    if port.queues > 1 {
        findings.push(hash(port));
        findings.extend(interrupts(port));
    }
    findings.extend(node(port, cpus));
    findings.into_iter().map(|finding| finding.at(&port.name)).collect()
}

fn hash(port: &Port) -> Finding {
    let Some(rss) = port.rss.as_ref().filter(|rss| !rss.key.is_empty() && !rss.table.is_empty()) else {
        return Finding::ok(
            "rss",
            "the driver does not tell how it spreads packets: workers pass on what is not theirs",
        );
    };
    let mut used = rss.table.clone();
    used.sort_unstable();
    used.dedup();
    if used.len() < port.queues as usize {
        let text = format!("packets go to {} of {} queues only", used.len(), port.queues);
        let command = format!("ethtool -X {} equal {}", port.name, port.queues);
        return Finding::warning("rss", text).mended_by(&command);
    }
    let pairs = rss.key.chunks_exact(2);
    if rss.symmetric || pairs.clone().all(|pair| Some(pair) == rss.key.get(..2)) {
        return Finding::ok("rss", "both directions of a flow go to the same queue number");
    }
    let text = "the directions of a flow go to different queues: workers pass packets on to each other";
    let key: Vec<String> =
        (0..rss.key.len()).map(|at| format!("{:02x}", SYMMETRIC[at % SYMMETRIC.len()])).collect();
    Finding::warning("rss", text).mended_by(&format!("ethtool -X {} hkey {}", port.name, key.join(":")))
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
    use portcullis_bpf::facts::Rss;

    fn port(table: &[u32], key: &[u8], symmetric: bool) -> Port {
        let rss = Some(Rss { table: table.to_vec(), key: key.to_vec(), symmetric });
        Port { name: "eth0".to_owned(), queues: 2, rss, ..Port::default() }
    }

    fn check_one(port: &Port, cpus: &[usize], topic: &str, level: Level, text: &str) -> Option<String> {
        let findings = check(port, cpus);
        let found = findings.iter().find(|finding| finding.topic == topic).unwrap();
        assert!(found.level == level && found.text.contains(text), "{found}");
        found.mend.as_ref().map(ToString::to_string)
    }

    #[test]
    fn the_hash_is_judged() {
        let plain = port(&[0, 1, 0, 1], &[1, 2, 3, 4], false);
        let mend = check_one(&plain, &[], "rss", Level::Warning, "different queues");
        assert_eq!(mend.unwrap(), "ethtool -X eth0 hkey 6d:5a:6d:5a");
        for good in [port(&[0, 1], &[1, 2, 3, 4], true), port(&[0, 1], &[0x6d, 0x5a, 0x6d, 0x5a], false)] {
            assert_eq!(check_one(&good, &[], "rss", Level::Ok, "same queue number"), None);
        }
        let lame = port(&[1, 1, 1], &[1, 2], true);
        let mend = check_one(&lame, &[], "rss", Level::Warning, "1 of 2 queues");
        assert_eq!(mend.unwrap(), "ethtool -X eth0 equal 2");
        let silent = Port { rss: None, ..plain.clone() };
        check_one(&silent, &[], "rss", Level::Ok, "does not tell");
        let single = Port { queues: 1, ..plain };
        assert!(check(&single, &[]).iter().all(|finding| finding.topic != "rss"));
    }

    #[test]
    fn interrupts_and_nodes_are_judged() {
        let at = |interrupts: &[(u32, Vec<usize>)], node_cpus: Vec<usize>| {
            let place =
                Place { node: Some(1), node_cpus, interrupts: interrupts.to_vec(), ..Place::default() };
            Port { place, ..port(&[0, 1], &[1, 1], false) }
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
