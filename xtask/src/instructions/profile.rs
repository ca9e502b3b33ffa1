//! What a packet costs by stage: frames in memory through the flow worker, and a whole replay by thread.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use portcullis_testkit::Traffic;
use serde_json::{Value, json};

use super::callgrind::{self, Counted};
use super::places::{self, Place};
use super::{BINARY, PACKAGE, count_one, per};
use crate::{say, workspace};

/// Where a stage's code is: the first that a source begins with counts.
const STAGES: &[(&str, Stage)] = &[
    ("daemon/wire/", Stage::Decode),
    ("daemon/defrag/", Stage::Decode),
    ("daemon/flow/src/key", Stage::Key),
    ("daemon/flow/src/hash.rs", Stage::Key),
    ("daemon/flow/src/callbacks.rs", Stage::Hooks),
    ("daemon/flow/src/hooks.rs", Stage::Hooks),
    ("daemon/flow/src/registry.rs", Stage::Hooks),
    ("daemon/flow/src/storage.rs", Stage::Hooks),
    ("daemon/flow/src/words.rs", Stage::Hooks),
    ("daemon/plugin/", Stage::Hooks),
    ("daemon/flow/", Stage::LookUp),
    ("daemon/stream/", Stage::Stream),
    ("daemon/detect/", Stage::Detection),
    ("daemon/host/", Stage::Detection),
    ("regex-automata", Stage::Detection),
    ("pcre2", Stage::Detection),
    ("daemon/event/src/ring.rs", Stage::Rings),
    ("rtrb", Stage::Rings),
    ("triple_buffer", Stage::Rings),
    ("crossbeam", Stage::Rings),
    ("daemon/event/", Stage::Events),
    ("daemon/eve/", Stage::Events),
    ("daemon/engine/src/report", Stage::Events),
    ("itoa", Stage::Events),
    ("serde", Stage::Events),
    ("daemon/engine/", Stage::Verdict),
    ("daemon/capture", Stage::Module),
    ("daemon/", Stage::Other),
];

/// What is done for a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Decode,
    Key,
    LookUp,
    Hooks,
    Stream,
    Detection,
    Verdict,
    Events,
    Rings,
    Module,
    Other,
}

impl Stage {
    const ALL: [Self; 11] = [
        Self::Decode,
        Self::Key,
        Self::LookUp,
        Self::Hooks,
        Self::Stream,
        Self::Detection,
        Self::Verdict,
        Self::Events,
        Self::Rings,
        Self::Module,
        Self::Other,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Key => "key",
            Self::LookUp => "look-up",
            Self::Hooks => "hooks",
            Self::Stream => "stream",
            Self::Detection => "detection",
            Self::Verdict => "verdict",
            Self::Events => "events",
            Self::Rings => "ring work",
            Self::Module => "packet module",
            Self::Other => "other",
        }
    }

    fn of(place: &Place) -> Self {
        let found = STAGES.iter().find(|(source, _)| place.source.starts_with(source));
        found.map_or(Self::Other, |(_, stage)| *stage)
    }
}

/// Attribute what a packet costs to its stages.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where the figures go as JSON; below the target folder where not given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Packets of the capture that is replayed, seven a flow.
    #[arg(long, default_value_t = 140_000)]
    packets: u64,
    /// Functions that are named of each part.
    #[arg(long, default_value_t = 12)]
    functions: usize,
}

/// One part of the profile.
#[derive(Debug)]
struct Part {
    name: String,
    /// Instructions of a packet.
    functions: BTreeMap<Place, f64>,
}

/// Works of `bench-micro` that are profiled; the first is what the report shows.
const WORKS: [(&str, &str); 2] = [
    ("sessions-under-rules", "whole flows in memory, 1,000 rules"),
    ("engine-and-house", "known UDP flows in memory, no rules"),
];

/// Counts, prints, and writes the figures.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut parts = Vec::new();
    let micro = workspace::build(PACKAGE, BINARY, true)?;
    for (work, name) in WORKS {
        say::step(&format!("Counting: {name}"));
        let (_, functions) = count_one(&micro, work)?;
        parts.push(Part { name: name.to_owned(), functions });
    }
    say::step(&format!("Counting: a replay of {} packets", options.packets));
    parts.extend(replay(options.packets)?);
    for part in &parts {
        print(part, options.functions);
    }
    let out = match &options.out {
        Some(file) => file.clone(),
        None => workspace::target()?.join("loadtest").join("profile.json"),
    };
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let text = serde_json::to_string_pretty(&to_value(&parts))? + "\n";
    fs::write(&out, text).with_context(|| format!("cannot write {}", out.display()))?;
    say::detail(&format!("written to {}", out.display()));
    Ok(())
}

/// The whole program over a generated capture, a part a thread. What the main thread does is starting and ending.
fn replay(packets: u64) -> Result<Vec<Part>> {
    let program = workspace::build("portcullis", "portcullis", true)?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let capture = folder.path().join("generated.pcap");
    let flows = u32::try_from(packets / 7).context("too many packets")?;
    Traffic::new(packets, flows).write_pcap(&capture).context("cannot write the capture")?;
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path is no text");
    let (capture, logs) = (text(&capture)?, text(&folder.path().join("logs"))?);
    let types = r#"outputs.eve-log.types=["flow", "stats"]"#;
    let arguments = ["replay", &capture, "-l", &logs, "--workers", "1", "--set", types];
    let run = callgrind::run(&program, &arguments, Counted::Threads)?;
    let mut parts = Vec::new();
    for executed in &run.threads {
        let places = places::by_place(executed, &program, &workspace::root()?)?;
        let functions: BTreeMap<Place, f64> =
            places.into_iter().map(|(place, count)| (place, per(count, packets))).collect();
        parts.push(Part { name: format!("replay, {}", role(&functions)), functions });
    }
    ensure!(parts.len() >= 3, "{} threads, where there should be main, logger and worker", parts.len());
    Ok(parts)
}

/// What a thread is for, by what it does most of.
fn role(functions: &BTreeMap<Place, f64>) -> &'static str {
    let of = |source: &str| -> f64 {
        let own = functions.iter().filter(|(place, _)| place.source.starts_with(source));
        own.map(|(_, count)| count).sum()
    };
    let (worker, logger) = (of("daemon/engine/"), of("daemon/eve/"));
    if worker.max(logger) < 10.0 {
        "another thread: start, end, reading ahead"
    } else if worker > logger {
        "worker thread"
    } else {
        "logger thread"
    }
}

fn by_stage(part: &Part) -> BTreeMap<Stage, f64> {
    let mut stages = BTreeMap::new();
    for (place, count) in &part.functions {
        *stages.entry(Stage::of(place)).or_default() += count;
    }
    stages
}

fn print(part: &Part, functions: usize) {
    let total: f64 = part.functions.values().sum();
    say::step(&format!("{}: {total:.0} instructions a packet", part.name));
    let stages = by_stage(part);
    for stage in Stage::ALL {
        if let Some(count) = stages.get(&stage) {
            say::detail(&format!("{:<14} {count:>8.1} {:>5.1} %", stage.name(), count / total * 100.0));
        }
    }
    say::detail("");
    for (place, count) in dearest(part).into_iter().take(functions) {
        say::detail(&format!("{count:>8.1} {place}"));
    }
}

fn dearest(part: &Part) -> Vec<(&Place, f64)> {
    let mut functions: Vec<_> = part.functions.iter().map(|(place, count)| (place, *count)).collect();
    functions.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    functions
}

/// The first part as such, for who wants one figure a stage, and then all of them.
fn to_value(parts: &[Part]) -> Value {
    let part_value = |part: &Part| {
        let total: f64 = part.functions.values().sum();
        let stages: Vec<Value> = by_stage(part)
            .into_iter()
            .map(|(stage, count)| json!({ "stage": stage.name(), "instructions": count }))
            .collect();
        let functions: Vec<Value> = dearest(part)
            .into_iter()
            .filter(|(_, count)| *count >= total / 1000.0)
            .map(|(place, count)| {
                let stage = Stage::of(place).name();
                json!({ "source": place.source, "function": place.function, "stage": stage, "instructions": count })
            })
            .collect();
        json!({ "name": part.name, "instructions_per_packet": total, "stages": stages, "functions": functions })
    };
    let mut value = parts.first().map_or_else(|| json!({}), part_value);
    if let Some(object) = value.as_object_mut() {
        object.insert("parts".to_owned(), parts.iter().map(part_value).collect());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(source: &str) -> Place {
        Place { source: source.to_owned(), function: "f".to_owned() }
    }

    #[test]
    fn sources_have_stages() {
        let check = |source: &str, stage: Stage| assert_eq!(Stage::of(&place(source)), stage, "{source}");
        check("daemon/wire/src/decode.rs", Stage::Decode);
        check("daemon/flow/src/key.rs", Stage::Key);
        check("daemon/flow/src/track.rs", Stage::LookUp);
        check("daemon/engine/src/report.rs", Stage::Events);
        check("daemon/engine/src/worker.rs", Stage::Verdict);
        check("rtrb", Stage::Rings);
        check("other", Stage::Other);
    }

    #[test]
    fn every_source_named_is_there() {
        let root = workspace::root().unwrap();
        let ours = STAGES.iter().filter(|(source, _)| source.contains('/'));
        for (source, _) in ours {
            let (folder, start) = source.rsplit_once('/').unwrap();
            let entries = fs::read_dir(root.join(folder)).unwrap().flatten();
            let mut names = entries.map(|entry| entry.file_name());
            assert!(names.any(|name| name.to_str().unwrap().starts_with(start)), "{source}");
        }
    }

    #[test]
    fn figures_have_stages_and_parts() {
        let functions = [(place("daemon/wire/src/a.rs"), 30.0), (place("daemon/flow/src/key.rs"), 10.0)];
        let part = Part { name: "one".to_owned(), functions: functions.into_iter().collect() };
        let value = to_value(&[part]);
        assert_eq!(value["instructions_per_packet"], 40.0);
        assert_eq!(value["stages"][0], json!({ "stage": "decode", "instructions": 30.0 }));
        assert_eq!(value["parts"][0]["stages"], value["stages"]);
    }
}
