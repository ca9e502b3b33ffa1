//! What never reaches the engine, or no further than its first packet: dropped by a rule, dropped by a blocklist,
//! passed by a bypass; and what a long blocklist costs those who are not on it.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use portcullis_trial::Rate;

use super::super::bench::{Bench, Traffic, float};
use super::super::gates::Setup;
use super::super::results::Key;
use super::super::subject::{PORTCULLIS, Subject};
use super::peers::cost;

pub(super) fn measure(bench: &mut Bench) -> Result<()> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let [listed, others] = ["listed.txt", "others.txt"].map(|name| folder.path().join(name));
    std::fs::write(&others, addresses(bench.plan.listed, None)).context("cannot write a list")?;
    let client = bench.plan.listed.saturating_sub(1);
    std::fs::write(&listed, addresses(client, Some([10, 77, 0, 1].into()))).context("cannot write a list")?;
    let list = |file: &std::path::Path| {
        format!("[[blocklist]]\nname = \"long\"\nfiles = [{file:?}]\naction = \"drop\"\nforce = true\n")
    };
    let drop_all = "drop ip any any -> any any (msg:\"everything\"; sid:1;)\n".to_owned();
    let bypass = "[[bypass]]\nname = \"load\"\nnetwork = \"10.77.0.0/24\"\n".to_owned();
    let dropping = Setup { passes: false, ..Setup::default() };
    let passing = Setup::default();
    let cases = [
        ("all dropped by a rule", Setup { rules: drop_all, ..dropping.clone() }),
        ("dropped by a blocklist", Setup { more: list(&listed), ..dropping }),
        ("blocklist, not on it", Setup { more: list(&others), ..passing.clone() }),
        ("bypassed", Setup { more: bypass, ..passing.clone() }),
        ("inspected", passing),
    ];
    for round in 0..bench.plan.rounds {
        for (case, setup) in &cases {
            let key = Key::new("decided", PORTCULLIS, *case, None);
            let mut stand = bench.stand(&Subject::portcullis(), setup)?;
            let traffic = Traffic { flows: 1_000, ..Traffic::default() };
            if setup.passes {
                bench.throughput(&mut stand, &key, round, traffic)?;
            } else {
                let trial = traffic.trial(&stand, Rate::Max, bench.plan.seconds);
                let outcome = bench.run(&mut stand, &key, round, &trial)?;
                ensure!(outcome.received == 0, "{case}: {} packets passed", outcome.received);
                bench.results.add(&key, round, "taken in", "packets/s", outcome.offered_pps);
                bench.results.add(&key, round, "passed", "packets", float(outcome.received));
            }
            cost(bench, &mut stand, &key, round, traffic)?;
            stand.end()?;
        }
    }
    Ok(())
}

/// A list of so many addresses, and of one more.
fn addresses(count: u32, more: Option<Ipv4Addr>) -> String {
    // Every third, so that no two of them are neighbours: no list can be shortened to networks.
    let all = (0..count).map(|number| Ipv4Addr::from(0x1000_0000 + number * 3));
    let mut text = String::new();
    for address in all.chain(more) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{address}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_as_long_as_they_should_be() {
        let text = addresses(3, Some([10, 77, 0, 1].into()));
        assert_eq!(text, "16.0.0.0\n16.0.0.3\n16.0.0.6\n10.77.0.1\n");
        let last = addresses(1_000_000, None).lines().last().map(str::to_owned);
        assert_eq!(last.unwrap().parse::<Ipv4Addr>().unwrap().octets()[0], 16);
    }
}
