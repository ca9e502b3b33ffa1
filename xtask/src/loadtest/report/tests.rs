use portcullis_trial::{Outcome, Place, Trial};
use serde_json::json;

use super::super::figures::HALF_LOAD;
use super::super::results::{self, Key};
use super::super::subject::Subject;
use super::*;

/// Numbers as a run might leave them.
fn made_up() -> Results {
    let mut results = Results::default();
    results.machine.date = "2026-01-02 03:04:05 UTC".to_owned();
    results.machine.cpu = "2 × a \"fast\" one & more".to_owned();
    results.profile = Some(json!({"instructions_per_packet": 900.0, "stages": [
        {"stage": "decode", "instructions": 200.0}, {"stage": "look-up", "instructions": 350.0}
    ]}));
    let subjects = Subject::all();
    for (place, subject) in (1_u32..).zip(&subjects) {
        let slower = f64::from(place);
        for round in 0..3_u32 {
            let noise = 1.0 + f64::from(round) / 20.0;
            let at = usize::try_from(round).unwrap();
            let mut add = |scenario: &str, case: &str, x, quantity: &str, value: f64| {
                let key = Key::new(scenario, &subject.name, case, x);
                results.add(&key, at, quantity, "unit", value * noise);
            };
            for (case, x) in
                [("64", Some(64.0)), ("512", Some(512.0)), ("1518", Some(1518.0)), ("IMIX", None)]
            {
                add("throughput", case, x, "throughput", 1.5e6 / slower);
            }
            for (quantity, factor) in
                [("p50", 1.0), ("p90", 1.6), ("p99", 3.0), ("p99.9", 11.0), ("max", 90.0)]
            {
                add("latency", HALF_LOAD, None, quantity, 12.0 * slower * factor);
                add("latency", "20000/s", Some(2e4), quantity, 9.0 * slower * factor);
                add("latency", "100000/s", Some(1e5), quantity, 15.0 * slower * factor);
            }
            add("cost", "100000 packets/s of 64 bytes", None, "own CPU", 300.0 * (slower - 1.0));
            add("cost", "100000 packets/s of 64 bytes", None, "machine CPU", 900.0 + 100.0 * slower);
            add("bursts", "64", Some(64.0), "burst", 4096.0 / slower);
        }
        for rate in [2e5, 4e5, 8e5, 1.6e6] {
            let lost = (rate - 1.5e6 / slower).max(0.0);
            results.trials.push(trial(&subject.name, rate, lost));
        }
    }
    for (flows, rate) in [(1_u32, 9e5), (1_000, 8.5e5), (100_000, 7e5), (1_000_000, 6e5)] {
        let key = |scenario| Key::new(scenario, "portcullis", flows.to_string(), Some(f64::from(flows)));
        results.add(&key("flows"), 0, "throughput", "packets/s", rate);
        results.add(&key("rules"), 0, "throughput", "packets/s", rate / 2.0);
    }
    results
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "made up")]
fn trial(subject: &str, rate: f64, lost: f64) -> results::Trial {
    let (sent, received) = (rate as u64, (rate - lost) as u64);
    // As the load generator prints it.
    let outcome = json!({
        "trial": Trial::between(Place::here("a"), Place::here("b")), "sent": sent, "sent_bytes": sent * 60,
        "received": received, "received_bytes": received * 60, "lost": sent - received, "refused": 0,
        "duplicated": 0, "reordered": 0, "reordered_in_flow": 0, "reordered_furthest": 0, "corrupted": 0,
        "seconds": 1.0, "offered_pps": rate, "received_pps": rate - lost, "latency": null, "returned": null,
        "established": null, "sender_cpu_seconds": 0.5,
    });
    let outcome: Outcome = serde_json::from_value(outcome).unwrap();
    let key = Key::new("throughput", subject, "64", Some(64.0));
    results::Trial { key, round: 0, command: outcome.trial.arguments(), outcome }
}

#[test]
fn everything_is_in_one_page_that_asks_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let results = made_up();
    write(&results, folder.path()).unwrap();
    let page = fs::read_to_string(folder.path().join(PAGE)).unwrap();
    for name in
        ["throughput", "loss", "latency", "latency-by-load", "cpu", "stages", "flows", "rules", "bursts"]
    {
        assert!(page.contains(&format!("<figure id=\"{name}\">")), "no plot {name}");
        assert!(folder.path().join(format!("{name}.svg")).exists());
    }
    assert_eq!(page.matches("<svg ").count(), 9);
    for foreign in ["<script", "src=", "<link", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.contains("2 × a &quot;fast&quot; one &amp; more"));
    let summary = fs::read_to_string(folder.path().join(MARKDOWN)).unwrap();
    assert!(summary.contains("| portcullis | 64 | 1.57 M (1.5 M to 1.65 M) |"), "{summary}");
    assert!(
        summary.contains("| latency at half load, median | within 5 µs of the module alone |"),
        "{summary}"
    );
    let again = read(folder.path()).unwrap();
    // Made anew of what was written, it is the same.
    let anew = tempfile::tempdir().unwrap();
    write(&again, anew.path()).unwrap();
    assert!(fs::read_to_string(anew.path().join(PAGE)).unwrap() == page, "another page");
    if let Some(keep) = std::env::var_os("PORTCULLIS_KEEP_REPORT") {
        write(&again, Path::new(&keep)).unwrap();
    }
}

#[test]
fn a_run_of_nothing_still_makes_a_page() {
    let folder = tempfile::tempdir().unwrap();
    write(&Results::default(), folder.path()).unwrap();
    let page = fs::read_to_string(folder.path().join(PAGE)).unwrap();
    assert!(page.contains("not measured in this run"));
}
