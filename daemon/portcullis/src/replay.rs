//! `portcullis replay`: the packets of a capture file through the very engine that runs inline, by
//! as many workers as wanted, with the same records whatever their number.

use crate::cli::{Checksums, ConfigArgs, ReplayArgs};
use crate::config::{self, Config, Inline, Loaded};
use crate::exit::Failure;
use crate::log::Log;
use crate::progress::Progress;
use crate::report::{Summary, peak_memory};
use crate::rules::{self, LoadedRules};
use crate::workers::{Judged, Work, judge};
use crate::{output, plugins, settings};
use portcullis_capture::WorkerId;
use portcullis_capture_pcap::{PcapError, PcapModule, PcapOptions};
use portcullis_engine::{EngineSettings, FlowWorker, Rules, WorkerParts, drive, publish};
use portcullis_event::{Reporter, RingMode, RuleCounts, StatsRecord};
use portcullis_flow::Callbacks;
use portcullis_wire::Timestamp;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Without a configuration file every kind of record is written.
const ALL_RECORDS: &str = r#"outputs.eve-log.types=["alert", "drop", "flow", "netflow", "stats"]"#;

/// Seed and start of a replay: always the same, so that the same capture gives the same records,
/// flow ids included.
const SEED: u64 = 0x706f_7274_6375_6c6c;

/// Runs the replay and prints what it came to.
///
/// # Errors
/// The configuration, the rules or the file cannot be used, or an output fails; also where the capture is damaged,
/// after what is before the damage.
pub fn run(arguments: &ReplayArgs) -> Result<(), Failure> {
    let replayed = replay(arguments)?;
    output::summary(&replayed.summary);
    replayed.damage.map_or(Ok(()), Err)
}

/// What a replay came to.
#[derive(Debug)]
pub struct Replayed {
    /// What was judged and written.
    pub summary: Summary,
    /// Why the capture could not be read to its end.
    pub damage: Option<Failure>,
}

/// Replays.
///
/// # Errors
/// Where settings, rule files or the capture cannot be used, or the records not be written. A
/// capture that is damaged is judged up to the damage, and that is no failure here.
fn replay(arguments: &ReplayArgs) -> Result<Replayed, Failure> {
    let loaded = load(arguments)?;
    output::warnings(&loaded);
    let plugins = plugins::load(&loaded)?;
    let config = loaded.config;
    let rules = rules::load(&config, arguments.rules.as_deref())?;
    output::rule_remarks(&rules);
    rules.unless_fatal(arguments.init_errors_fatal)?;
    let counts = rule_counts(&rules);

    let started = Instant::now();
    let modules = PcapModule::open(&arguments.pcap, module_options(arguments)).map_err(failure)?;
    let read = modules.first().map(PcapModule::progress);
    let folder = log_folder(arguments, &config);
    let workers = usize::from(arguments.workers.get());
    let (mut log, reporters) = Log::start(&config, &folder, Vec::new(), workers, RingMode::Lossless)?;
    let mut engine = settings::engine(&config, arguments.simulate_ips, false, SEED);
    engine.faults = settings::faults(&arguments.faults);
    let hosts = rules::hosts(&config, &rules.rules, SEED);
    let rules = Arc::new(Rules::with_hosts(rules.rules, hosts));
    let mut works = Vec::with_capacity(workers);
    for (index, reporter) in (0..=u8::MAX).map(WorkerId).zip(reporters) {
        let callbacks = plugins.registry.instantiate(index);
        works.push(work(&engine, &rules, index, arguments.workers, callbacks, reporter)?);
    }
    // Start-up is behind us: what follows is from the first packet to the last record.
    let judging = Instant::now();
    let mut progress = Progress::new(read.as_ref().map_or(0, |read| read.total()));
    let pairs = modules.into_iter().zip(works).collect();
    let judged = judge(pairs, || progress.set(read.as_ref().map_or(0, |read| read.read())));
    progress.finish();
    let judged = judged?;

    log.stats(StatsRecord {
        timestamp: judged.now,
        uptime: started.elapsed().as_secs(),
        counters: Box::new(judged.counters),
        rules: Some(counts),
    });
    let written = log.finish()?;
    let Judged { counters, hooks, packets_by_worker, error, .. } = judged;
    let summary = Summary {
        counters,
        packets_by_worker,
        hooks: plugins.hooks.into_iter().zip(hooks).collect(),
        rules: counts.loaded,
        rules_refused: counts.failed,
        records: written.path.clone().map(|path| (written.lines(), path)),
        elapsed: judging.elapsed(),
        peak_memory: peak_memory(),
    };
    Ok(Replayed { summary, damage: error.map(failure) })
}

/// One worker, ready to judge what a state of the module lends it.
fn work(
    engine: &EngineSettings,
    rules: &Arc<Rules>,
    id: WorkerId,
    workers: NonZeroU8,
    callbacks: Callbacks,
    reporter: Reporter,
) -> Result<impl FnOnce(&mut PcapModule) -> Work<PcapError> + use<>, Failure> {
    let (publisher, mut published) = publish::channel();
    let parts = WorkerParts {
        id,
        workers: workers.get(),
        rules: Arc::clone(rules),
        callbacks,
        reporter,
        publisher,
        start: Timestamp::ZERO,
    };
    let mut worker = FlowWorker::new(engine, parts).map_err(|error| Failure::Runtime(error.to_string()))?;
    Ok(move |module: &mut PcapModule| {
        // Kept to the end: without it the worker would think that it is to stop.
        let (_commander, commands) = crossbeam::channel::bounded(0);
        let outcome = drive(module, &mut worker, &commands);
        Work { counters: *published.latest(), hooks: published.hook_costs().to_vec(), outcome }
    })
}

/// The settings, with what the command line says about them.
fn load(arguments: &ReplayArgs) -> Result<Loaded, Failure> {
    let mut source: ConfigArgs = arguments.config.clone();
    if source.config.is_none() {
        source.set.insert(0, ALL_RECORDS.to_owned());
    }
    let inline = if arguments.simulate_ips { Inline::Yes } else { Inline::No };
    let mut loaded = config::load(&source, inline)?;
    if let Some(checksums) = arguments.checksums {
        loaded.config.stream.checksum_validation = checksums == Checksums::All;
    }
    Ok(loaded)
}

fn module_options(arguments: &ReplayArgs) -> PcapOptions {
    PcapOptions {
        write: arguments.write.clone(),
        simulate_ips: arguments.simulate_ips,
        ..PcapOptions::for_workers(usize::from(arguments.workers.get()))
    }
}

/// Where logs go: as `-l` says, or the configuration file, or here.
fn log_folder(arguments: &ReplayArgs, config: &Config) -> PathBuf {
    match (&arguments.log_dir, &arguments.config.config) {
        (Some(folder), _) => folder.clone(),
        (None, Some(_)) => config.log_dir.clone(),
        (None, None) => PathBuf::from("."),
    }
}

fn rule_counts(rules: &LoadedRules) -> RuleCounts {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    RuleCounts {
        last_reload: Timestamp::ZERO.after(now),
        loaded: rules.rules.len() as u64,
        failed: rules.refused as u64,
        skipped: 0,
    }
}

/// Trouble with the capture that is read is trouble with the input; with the one that is written,
/// it is a failure of the replay.
fn failure(error: PcapError) -> Failure {
    match error {
        PcapError::Create { .. } | PcapError::Write { .. } | PcapError::MixedLinkTypes { .. } => {
            Failure::Runtime(error.to_string())
        }
        _ => Failure::Input(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
