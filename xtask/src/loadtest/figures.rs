//! The figures that the project wants to reach, held against what was measured.

use super::report::plot::short;
use super::results::Results;
use super::subject::{MODULE, PORTCULLIS};

/// The case of the latency scenario at half of Portcullis's throughput.
pub(crate) const HALF_LOAD: &str = "half load";

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Figure {
    pub(crate) what: &'static str,
    pub(crate) mark: &'static str,
    /// In words; empty where it was not measured.
    pub(crate) measured: String,
    /// Was it reached? Nothing where it was not measured.
    pub(crate) met: Option<bool>,
}

/// All of them.
pub(crate) fn all(results: &Results) -> Vec<Figure> {
    [engine(results), replay(results), inline(results), latency(results), flood(results)].concat()
}

fn figure(
    what: &'static str,
    mark: &'static str,
    value: Option<f64>,
    unit: &str,
    is_met: impl Fn(f64) -> bool,
) -> Figure {
    let measured = value.map(|value| format!("{}{unit}", short(value))).unwrap_or_default();
    Figure { what, mark, measured, met: value.map(is_met) }
}

fn engine(results: &Results) -> Vec<Figure> {
    let cost = |case: &str| results.median("engine", PORTCULLIS, case, "CPU");
    let instructions = ["instructions_per_packet", "instructions", "total"];
    let profile = results.profile.as_ref();
    let counted = instructions.iter().find_map(|name| profile?.get(name)?.as_f64());
    vec![
        figure("engine alone, 1 k flows", "at most 40 ns a packet", cost("1000"), " ns", |ns| ns <= 40.0),
        figure("engine alone, 1 M flows", "at most 60 ns a packet", cost("1000000"), " ns", |ns| ns <= 60.0),
        figure("engine alone, instructions a packet", "stated", counted, "", |_| true),
    ]
}

fn replay(results: &Results) -> Vec<Figure> {
    let median = |case: &str, quantity: &str| results.median("replay", PORTCULLIS, case, quantity);
    let memory = |case: &str| median(case, "memory");
    let most = memory("mapped file").into_iter().chain(memory("memory")).reduce(f64::max);
    vec![
        figure(
            "replay with flow records, mapped file",
            "at least 8 M packets a second",
            median("mapped file", "rate"),
            "/s",
            |rate| rate >= 8e6,
        ),
        figure(
            "replay with flow records, from memory",
            "at least 12 M packets a second",
            median("memory", "rate"),
            "/s",
            |rate| rate >= 12e6,
        ),
        figure("replay, peak memory", "under 200 MB", most, " MB", |megabytes| megabytes < 200.0),
    ]
}

fn inline(results: &Results) -> Vec<Figure> {
    let ratio = |flows: &str| results.median("inline", PORTCULLIS, flows, "against the module alone");
    let lost = results.samples.iter().filter(|sample| {
        sample.key.subject == PORTCULLIS
            && ["throughput", "flows"].contains(&sample.key.scenario.as_str())
            && sample.quantity == "lost below 0.9"
    });
    let lost = lost.map(|sample| sample.value).reduce(|sum, value| sum + value);
    vec![
        figure("inline, 64 bytes, 1 flow", "at least 0.92 of the module alone", ratio("1"), "", |ratio| {
            ratio >= 0.92
        }),
        figure(
            "inline, 64 bytes, 100 k flows",
            "at least 0.92 of the module alone",
            ratio("100000"),
            "",
            |ratio| ratio >= 0.92,
        ),
        figure("lost below 0.9 of the throughput", "nothing", lost, " packets", |lost| lost <= 0.0),
    ]
}

fn latency(results: &Results) -> Vec<Figure> {
    let of = |subject: &str, quantity: &str| results.median("latency", subject, HALF_LOAD, quantity);
    let both = |quantity: &str| of(PORTCULLIS, quantity).zip(of(MODULE, quantity));
    let more = both("p50").map(|(ours, module)| ours - module);
    let times = both("p99.9").filter(|(_, module)| *module > 0.0).map(|(ours, module)| ours / module);
    vec![
        figure(
            "latency at half load, median",
            "within 5 µs of the module alone",
            more,
            " µs more",
            |more| more <= 5.0,
        ),
        figure(
            "latency at half load, 99.9th percentile",
            "within 1.5 times the module alone",
            times,
            " times",
            |times| times <= 1.5,
        ),
    ]
}

fn flood(results: &Results) -> Vec<Figure> {
    let of = |case: &str, quantity: &str| results.median("flood", PORTCULLIS, case, quantity);
    let rates = of("every packet new", "throughput").zip(of("one established flow", "throughput"));
    let ratio = rates.filter(|(_, one)| *one > 0.0).map(|(flood, one)| flood / one);
    let memory = of("every packet new", "flow memory by memcap");
    let answers = of("every packet new", "answers on an established flow");
    vec![
        figure("SYN flood, every packet new", "at least 0.5 of one established flow", ratio, "", |ratio| {
            ratio >= 0.5
        }),
        figure("SYN flood, memory for flows", "at most the cap", memory, " of it", |share| share <= 1.0),
        figure("SYN flood, established flows", "keep working", answers, " answers a second", |rate| {
            rate > 0.0
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::results::Key;
    use super::*;

    #[test]
    fn what_was_not_measured_is_neither_met_nor_missed() {
        let figures = all(&Results::default());
        assert!(figures.len() >= 14, "{figures:?}");
        assert!(
            figures.iter().all(|figure| figure.met.is_none() && figure.measured.is_empty()),
            "{figures:?}"
        );
    }

    fn check(figure: &str, numbers: &[(&str, &str, &str, &str, f64)], met: bool) {
        let mut results = Results::default();
        for (scenario, subject, case, quantity, value) in numbers {
            results.add(&Key::new(scenario, subject, *case, None), 0, quantity, "", *value);
        }
        let figures = all(&results);
        let found = figures.iter().find(|found| found.what == figure).unwrap();
        assert_eq!(found.met, Some(met), "{found:?}");
        assert!(!found.measured.is_empty(), "{found:?}");
    }

    #[test]
    fn marks_are_met_and_missed() {
        let engine = |ns| [("engine", PORTCULLIS, "1000", "CPU", ns)];
        check("engine alone, 1 k flows", &engine(40.0), true);
        check("engine alone, 1 k flows", &engine(41.0), false);
        let inline = |ratio| [("inline", PORTCULLIS, "100000", "against the module alone", ratio)];
        check("inline, 64 bytes, 100 k flows", &inline(0.92), true);
        check("inline, 64 bytes, 100 k flows", &inline(0.91), false);
        let latency = |ours, module| {
            [("latency", PORTCULLIS, HALF_LOAD, "p50", ours), ("latency", MODULE, HALF_LOAD, "p50", module)]
        };
        check("latency at half load, median", &latency(25.0, 20.0), true);
        check("latency at half load, median", &latency(26.0, 20.0), false);
        let flood = |new, one| {
            [
                ("flood", PORTCULLIS, "every packet new", "throughput", new),
                ("flood", PORTCULLIS, "one established flow", "throughput", one),
            ]
        };
        check("SYN flood, every packet new", &flood(5.0, 10.0), true);
        check("SYN flood, every packet new", &flood(4.0, 10.0), false);
        let lost = |count| [("throughput", PORTCULLIS, "64", "lost below 0.9", count)];
        check("lost below 0.9 of the throughput", &lost(0.0), true);
        check("lost below 0.9 of the throughput", &lost(1.0), false);
        let memory = |most| [("replay", PORTCULLIS, "mapped file", "memory", most)];
        check("replay, peak memory", &memory(199.0), true);
        check("replay, peak memory", &memory(200.0), false);
    }
}
