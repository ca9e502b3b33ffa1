//! Which plots there are, and what they are made of.

use anyhow::Result;

use super::super::results::Results;
use super::super::{bench, figures, subject};
use super::plot::{Plot, Point, Series};

/// A plot that was drawn.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    /// A word for files and links.
    pub(crate) name: &'static str,
    /// What a reader who does not see it has to know.
    pub(crate) title: String,
    /// What has to be said about it.
    pub(crate) remark: &'static str,
    pub(crate) svg: String,
}

/// Every plot of which there are numbers.
pub(crate) fn all(results: &Results) -> Result<Vec<Drawn>> {
    let plots = [
        (
            "throughput",
            throughput(results),
            "The fastest rate at which nothing is lost (RFC 2544, 26.1): the median of the rounds, with their range.",
        ),
        (
            "loss",
            loss(results),
            "Every trial of the searches at 64 bytes, all rounds: what was really sent, and what of it did not arrive.",
        ),
        ("latency", latency(results), "At half of Portcullis's own throughput, the same rate for everyone."),
        ("latency-by-load", latency_by_load(results), "The 99th percentile at fixed loads."),
        (
            "cpu",
            cpu(results),
            "At one and the same rate. What the hosts' two ends take by themselves, sender and counting receiver, is \
             in the machine's figure of everyone.",
        ),
        ("stages", stages(results), "From cargo xtask profile: Portcullis alone, frames in memory."),
        ("flows", scaling(results, "flows", "flows"), "Zero-loss throughput at 64 bytes."),
        ("rules", scaling(results, "rules", "rules"), "Zero-loss throughput at 512 bytes of TCP."),
        ("bursts", bursts(results), "The longest back-to-back burst that loses nothing (RFC 2544, 26.4)."),
    ];
    let mut drawn = Vec::new();
    for (name, plot, remark) in plots {
        let Some(plot) = plot else { continue };
        if let Some(svg) = plot.svg()? {
            drawn.push(Drawn { name, title: plot.title, remark, svg });
        }
    }
    Ok(drawn)
}

/// Bars or lines over the cases of a scenario, a series for each subject.
fn by_case(results: &Results, scenario: &str, quantity: &str, scale: f64) -> (Vec<String>, Vec<Series>) {
    let cases = results.cases(scenario);
    let words = cases.iter().map(|(case, _)| (*case).to_owned()).collect();
    let series = results.subjects(scenario).into_iter().map(|name| {
        let points = cases.iter().zip(0_u32..).filter_map(|((case, _), place)| {
            let spread = results.spread(scenario, name, case, quantity)?;
            Some(Point::of(f64::from(place), spread, scale))
        });
        Series { name: name.to_owned(), look: subject::rank(name), points: points.collect() }
    });
    let series = series.filter(|series| !series.points.is_empty()).collect();
    (words, series)
}

fn throughput(results: &Results) -> Option<Plot> {
    let (words, series) = by_case(results, "throughput", "throughput", 1.0);
    (!series.is_empty()).then(|| Plot {
        title: "Throughput without loss".to_owned(),
        across: "frame size in bytes, check sequence included".to_owned(),
        upwards: "packets a second".to_owned(),
        words: Some(words),
        bars: true,
        logarithmic: false,
        series,
    })
}

fn bursts(results: &Results) -> Option<Plot> {
    let (words, series) = by_case(results, "bursts", "burst", 1.0);
    (!series.is_empty()).then(|| Plot {
        title: "Longest burst without loss".to_owned(),
        across: "frame size in bytes, check sequence included".to_owned(),
        upwards: "frames".to_owned(),
        words: Some(words),
        bars: true,
        logarithmic: true,
        series,
    })
}

fn loss(results: &Results) -> Option<Plot> {
    let mut series: Vec<Series> = Vec::new();
    for trial in &results.trials {
        if trial.key.scenario != "throughput" || trial.key.case != "64" {
            continue;
        }
        let outcome = &trial.outcome;
        let share = bench::float(outcome.lost) / bench::float(outcome.sent.max(1));
        let point = Point { x: outcome.offered_pps, y: 100.0 * share, range: None };
        let name = &trial.key.subject;
        match series.iter_mut().find(|series| series.name == *name) {
            Some(series) => series.points.push(point),
            None => {
                series.push(Series { name: name.clone(), look: subject::rank(name), points: vec![point] })
            }
        }
    }
    series.sort_by_key(|series| series.look);
    for series in &mut series {
        series.points.sort_by(|one, other| one.x.total_cmp(&other.x));
    }
    (!series.is_empty()).then(|| Plot {
        title: "Loss against rate, 64 bytes".to_owned(),
        across: "packets a second sent".to_owned(),
        upwards: "percent lost".to_owned(),
        words: None,
        bars: false,
        logarithmic: false,
        series,
    })
}

const PERCENTILES: [(&str, &str); 5] =
    [("p50", "50"), ("p90", "90"), ("p99", "99"), ("p99.9", "99.9"), ("max", "most")];

fn latency(results: &Results) -> Option<Plot> {
    let series = results.subjects("latency").into_iter().map(|name| {
        let points = PERCENTILES.iter().zip(0_u32..).filter_map(|((quantity, _), place)| {
            let spread = results.spread("latency", name, figures::HALF_LOAD, quantity)?;
            Some(Point::of(f64::from(place), spread, 1.0))
        });
        Series { name: name.to_owned(), look: subject::rank(name), points: points.collect() }
    });
    let series: Vec<Series> = series.filter(|series| !series.points.is_empty()).collect();
    (!series.is_empty()).then(|| Plot {
        title: "Latency at half load".to_owned(),
        across: "percentile".to_owned(),
        upwards: "microseconds".to_owned(),
        words: Some(PERCENTILES.iter().map(|(_, word)| (*word).to_owned()).collect()),
        bars: false,
        logarithmic: true,
        series,
    })
}

fn latency_by_load(results: &Results) -> Option<Plot> {
    let cases: Vec<(&str, f64)> =
        results.cases("latency").into_iter().filter_map(|(case, x)| Some((case, x?))).collect();
    let series = results.subjects("latency").into_iter().map(|name| {
        let points = cases
            .iter()
            .filter_map(|(case, x)| Some(Point::of(*x, results.spread("latency", name, case, "p99")?, 1.0)));
        Series { name: name.to_owned(), look: subject::rank(name), points: points.collect() }
    });
    let series: Vec<Series> = series.filter(|series| !series.points.is_empty()).collect();
    (cases.len() > 1 && !series.is_empty()).then(|| Plot {
        title: "Latency by load, 99th percentile".to_owned(),
        across: "packets a second".to_owned(),
        upwards: "microseconds".to_owned(),
        words: None,
        bars: false,
        logarithmic: true,
        series,
    })
}

fn cpu(results: &Results) -> Option<Plot> {
    let subjects = results.subjects("cost");
    let (case, _) = *results.cases("cost").first()?;
    let kinds = [("own CPU", "the forwarder's own threads"), ("machine CPU", "the whole machine")];
    let series = kinds.iter().zip([0, 4]).map(|((quantity, name), look)| {
        let points = subjects.iter().zip(0_u32..).filter_map(|(name, place)| {
            Some(Point::of(f64::from(place), results.spread("cost", name, case, quantity)?, 1.0))
        });
        Series { name: (*name).to_owned(), look, points: points.collect() }
    });
    Some(Plot {
        title: format!("CPU time of a packet, {case}"),
        across: String::new(),
        upwards: "nanoseconds a packet".to_owned(),
        words: Some(subjects.iter().map(|name| (*name).to_owned()).collect()),
        bars: true,
        logarithmic: false,
        series: series.collect(),
    })
}

/// What a packet costs by stage, as the profile has it: an object of numbers under `stages`, or a list of objects
/// with a name and a number each.
fn stages(results: &Results) -> Option<Plot> {
    let stages = super::tables::stages(results.profile.as_ref()?);
    let points = stages.iter().zip(0_u32..);
    let points =
        points.map(|(stage, place)| Point { x: f64::from(place), y: stage.1, range: None }).collect();
    (!stages.is_empty()).then(|| Plot {
        title: "Cost of a packet by stage".to_owned(),
        across: String::new(),
        upwards: "instructions a packet".to_owned(),
        words: Some(stages.into_iter().map(|(name, _)| name).collect()),
        bars: true,
        logarithmic: false,
        series: vec![Series { name: "portcullis".to_owned(), look: 0, points }],
    })
}

fn scaling(results: &Results, scenario: &'static str, what: &str) -> Option<Plot> {
    let (words, series) = by_case(results, scenario, "throughput", 1.0);
    (!series.is_empty()).then(|| Plot {
        title: format!("Throughput by {what}"),
        across: what.to_owned(),
        upwards: "packets a second".to_owned(),
        words: Some(words),
        bars: false,
        logarithmic: false,
        series,
    })
}
