//! Searches for many patterns at once, in turn over the same payloads: the rules' own, and the libraries it was
//! compared with before it was chosen. Ours does more: what is found is judged as a rule.

use anyhow::{Result, anyhow, ensure};
use portcullis_bench_micro::spread::Spread;
#[cfg(feature = "vectorscan")]
use portcullis_bench_micro::vectorscan::Database;
use portcullis_bench_micro::{cpu_time, payloads, rulegen};
use portcullis_detect::{FlowFacts, Input, LoadOptions, RuleSet, Scratch, Source};
use portcullis_wire::Decoded;
use portcullis_wire::decoded::{Tcp, TcpFlags, Transport};
use std::hint::black_box;
use std::time::Duration;

/// More states than this many patterns have take gigabytes as a DFA.
const DFA_MOST: usize = 5000;

/// Arguments of `matchers`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Numbers of rules that patterns are taken from, one each
    #[arg(long, value_delimiter = ',', default_value = "1000,25000")]
    rules: Vec<u32>,

    /// Payloads of each corpus
    #[arg(long, default_value_t = 2000)]
    payloads: usize,

    /// Rounds, each over every corpus with every search
    #[arg(long, default_value_t = 7)]
    rounds: usize,
}

/// A search over one payload: how many matches it tells.
type Search = Box<dyn FnMut(&[u8]) -> usize>;

/// Measures and prints.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    for count in &arguments.rules {
        let patterns = patterns(*count);
        let mut searches = searches(&patterns)?;
        let corpora = [
            ("HTTP-like", payloads::http(arguments.payloads)),
            ("match-dense", rulegen::dense(arguments.payloads, &patterns)),
        ];
        println!("{} patterns, whatever their case", patterns.len());
        for (corpus_name, corpus) in &corpora {
            let mut rates = vec![Vec::new(); searches.len()];
            for _ in 0..arguments.rounds {
                for ((_, search), rates) in searches.iter_mut().zip(&mut rates) {
                    rates.push(rate(search, corpus));
                }
            }
            for ((name, _), rates) in searches.iter().zip(rates) {
                println!("  {corpus_name} {name:<24} {:.1} Gbit/s", Spread::of(rates.into_iter()));
            }
        }
    }
    Ok(())
}

/// The longest content of each rule, in lower case, each once.
fn patterns(rules: u32) -> Vec<Vec<u8>> {
    let text = rulegen::rules(rules, false);
    let longest = |rule: &str| {
        rulegen::sought(rule).into_iter().max_by_key(Vec::len).map(|bytes| bytes.to_ascii_lowercase())
    };
    let mut patterns: Vec<Vec<u8>> =
        text.lines().filter_map(longest).filter(|bytes| bytes.len() > 3).collect();
    patterns.sort_unstable();
    patterns.dedup();
    patterns
}

fn searches(patterns: &[Vec<u8>]) -> Result<Vec<(String, Search)>> {
    let mut searches = vec![ours(patterns)?];
    let kinds = [
        ("aho-corasick DFA", aho_corasick::AhoCorasickKind::DFA),
        ("aho-corasick NFA", aho_corasick::AhoCorasickKind::ContiguousNFA),
    ];
    for (name, kind) in kinds {
        if kind == aho_corasick::AhoCorasickKind::DFA && patterns.len() > DFA_MOST {
            continue;
        }
        let (automaton, took) = timed(|| {
            aho_corasick::AhoCorasick::builder().ascii_case_insensitive(true).kind(Some(kind)).build(patterns)
        });
        let automaton = automaton?;
        let name = described(name, took, automaton.memory_usage());
        searches.push((name, Box::new(move |payload| automaton.find_overlapping_iter(payload).count())));
    }
    let (automaton, took) = timed(|| daachorse::DoubleArrayAhoCorasick::<u32>::new(patterns));
    let automaton = automaton.map_err(|error| anyhow!("daachorse: {error}"))?;
    let name = described("daachorse", took, automaton.heap_bytes());
    let mut lower = Vec::new();
    searches.push((
        name,
        Box::new(move |payload| {
            lower.clear();
            lower.extend_from_slice(payload);
            lower.make_ascii_lowercase();
            automaton.find_overlapping_iter(&lower).count()
        }),
    ));
    #[cfg(feature = "vectorscan")]
    {
        let (database, took) = timed(|| Database::new(patterns));
        let mut database = database?;
        let name = described("vectorscan", took, database.size());
        searches.push((name, Box::new(move |payload| database.count(payload))));
    }
    Ok(searches)
}

/// The rules' own search, with a rule for each pattern.
fn ours(patterns: &[Vec<u8>]) -> Result<(String, Search)> {
    let rule = |(sid, pattern): (usize, &Vec<u8>)| {
        let bytes: Vec<String> = pattern.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("alert tcp any any -> any any (content:\"|{}|\"; nocase; sid:{sid};)\n", bytes.join(" "))
    };
    let text: String = (1..).zip(patterns).map(rule).collect();
    let source = Source { name: "patterns", text: text.as_bytes() };
    let (loaded, took) = timed(|| RuleSet::load(&[source], &LoadOptions::default()));
    ensure!(loaded.errors.is_empty(), "a pattern makes no rule");
    let rules = loaded.rules;
    let mut scratch = Scratch::new(&rules);
    let transport = Transport::Tcp(Tcp { flags: TcpFlags(TcpFlags::ACK), ..Tcp::default() });
    let decoded = Decoded { ip_version: 4, protocol: 6, transport, ..Decoded::default() };
    let flow = FlowFacts { established: true, ..FlowFacts::default() };
    let name = described("ours, rules judged", took, rules.search_memory());
    let search = move |payload: &[u8]| {
        let input = Input { decoded: &decoded, frame: payload, payload, flow: Some(flow), bits: None };
        let outcome = rules.inspect(&input, &mut scratch);
        outcome.alerts.len() + usize::try_from(outcome.overflow).unwrap_or(0)
    };
    Ok((name, Box::new(search)))
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let before = cpu_time();
    let done = work();
    (done, cpu_time().saturating_sub(before))
}

fn described(name: &str, took: Duration, bytes: usize) -> String {
    format!("{name} ({took:.1?}, {:.1} MiB)", bytes as f64 / f64::from(1 << 20))
}

/// Gigabits of payload a second of CPU time.
fn rate(search: &mut Search, corpus: &[Vec<u8>]) -> f64 {
    let before = cpu_time();
    let mut bytes = 0;
    for payload in corpus {
        black_box(search(payload));
        bytes += payload.len();
    }
    bytes as f64 * 8.0 / cpu_time().saturating_sub(before).as_secs_f64() / 1e9
}
