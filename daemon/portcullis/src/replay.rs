//! `portcullis replay`: the packets of a capture file through the very engine that runs inline, by
//! as many workers as wanted, with the same records whatever their number.

use crate::cli::{Checksums, ConfigArgs, ReplayArgs};
use crate::config::{self, Config, Inline, Loaded};
use crate::exit::Failure;
use crate::log::Log;
use crate::output;
use crate::progress::Progress;
use crate::report::{Summary, peak_memory};
use crate::rules::{self, LoadedRules};
use crate::workers::{Judged, Worker, judge};
use portcullis_capture::OfflineOptions;
use portcullis_capture_pcap::{PcapError, PcapModule, PcapOptions};
use portcullis_detect::RuleSet;
use portcullis_event::{Reporter, RingMode, RuleCounts, StatsRecord};
use portcullis_wire::Timestamp;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Without a configuration file every kind of record is written.
const ALL_RECORDS: &str = r#"outputs.eve-log.types=["alert", "drop", "flow", "netflow", "stats"]"#;

/// What one worker is made from.
#[derive(Debug)]
pub struct Seat<'a> {
    /// Its number, from 0.
    pub index: u8,
    /// How many there are.
    pub workers: NonZeroU8,
    /// The settings.
    pub config: &'a Config,
    /// The rules, the same for all.
    pub rules: Arc<RuleSet>,
    /// Can packets be dropped?
    pub inline: bool,
    /// What it reports through.
    pub reporter: Reporter,
}

/// What a replay came to.
#[derive(Debug)]
pub struct Replayed {
    /// What was judged and written.
    pub summary: Summary,
    /// Why the capture could not be read to its end.
    pub damage: Option<Failure>,
}

/// Replays with workers that `start` makes.
///
/// # Errors
/// Where settings, rule files or the capture cannot be used, or the records not be written. A
/// capture that is damaged is judged up to the damage first.
pub fn replay_with<W: Worker>(
    arguments: &ReplayArgs,
    start: impl Fn(Seat<'_>) -> Result<W, Failure>,
) -> Result<Replayed, Failure> {
    let loaded = settings(arguments)?;
    output::warnings(&loaded);
    let config = loaded.config;
    let rules = rules::load(&config, arguments.rules.as_deref())?;
    output::rule_remarks(&rules);
    let counts = rule_counts(&rules);

    let started = Instant::now();
    let workers = arguments.workers;
    let modules = PcapModule::open(&arguments.pcap, module_options(arguments)).map_err(failure)?;
    let read = modules.first().map(PcapModule::progress);
    let folder = log_folder(arguments, &config);
    let (mut log, reporters) =
        Log::start(&config, &folder, Vec::new(), usize::from(workers.get()), RingMode::Lossless)?;
    let rules = Arc::new(rules.rules);
    let seat = |(index, reporter)| {
        let rules = Arc::clone(&rules);
        start(Seat { index, workers, config: &config, rules, inline: arguments.simulate_ips, reporter })
    };
    let made: Vec<W> = (0..=u8::MAX).zip(reporters).map(seat).collect::<Result<_, _>>()?;
    let mut progress = Progress::new(read.as_ref().map_or(0, |read| read.total()));
    let pairs = modules.into_iter().zip(made).collect();
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
    let Judged { counters, packets_by_worker, error, .. } = judged;
    let summary = Summary {
        counters,
        packets_by_worker,
        rules: counts.loaded,
        rules_refused: counts.failed,
        records: written.path.clone().map(|path| (written.lines(), path)),
        elapsed: started.elapsed(),
        peak_memory: peak_memory(),
    };
    Ok(Replayed { summary, damage: error.map(failure) })
}

/// The settings, with what the command line says about them.
fn settings(arguments: &ReplayArgs) -> Result<Loaded, Failure> {
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
        offline: OfflineOptions::for_workers(usize::from(arguments.workers.get())),
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
        failed: rules.errors.len() as u64,
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
