//! From the rule files that are named to a compiled rule set, with everything that is wrong on the
//! way.

use crate::changes;
use crate::config::{self, Config};
use crate::exit::Failure;
use portcullis_detect::{Action, Classifications, LoadOptions, RuleError, RuleSet, Source, Thresholds};
use portcullis_host::{HostSettings, HostTable};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest rule file that is read, in bytes; the largest public sets have some tens of megabytes.
const MAX_FILE: u64 = 256 << 20;

/// A rule file's bytes.
#[derive(Debug)]
struct RuleFile {
    name: String,
    text: Vec<u8>,
}

/// What came of loading.
#[derive(Debug)]
pub struct LoadedRules {
    /// The rules that could be loaded.
    pub rules: RuleSet,
    /// Why others could not, in the order of the files; those of the classification file and of the
    /// threshold file first.
    pub errors: Vec<RuleError>,
    /// How many could not; faults of the classification file are not among them.
    pub refused: usize,
    /// How many are commented out.
    pub disabled: usize,
    /// Lines of the threshold file that are about no rule.
    pub remarks: Vec<RuleError>,
    /// How many files were read.
    pub files: usize,
    /// Patterns that no file matches.
    pub unmatched: Vec<PathBuf>,
}

/// Loads the rule file `instead`, or else those of the configuration.
///
/// # Errors
/// Where a file that is named cannot be read. Rules that cannot be loaded are no failure here:
/// what to do about them is the caller's decision.
pub fn load(config: &Config, instead: Option<&Path>) -> Result<LoadedRules, Failure> {
    let mut unmatched = Vec::new();
    let paths = match instead {
        Some(path) => vec![path.to_owned()],
        None => expand(&config.rules.files, &mut unmatched)?,
    };
    let files: Vec<RuleFile> = paths.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
    let (classifications, mut errors) = classifications(config.rules.classification_file.as_deref())?;
    let sources: Vec<Source<'_>> =
        files.iter().map(|file| Source { name: &file.name, text: &file.text }).collect();
    let mut options = load_options(config, classifications);
    if let Some(path) = &config.rules.threshold_file {
        let file = read(path)?;
        let (thresholds, faults) =
            Thresholds::parse(&Source { name: &file.name, text: &file.text }, &options);
        options.thresholds = thresholds;
        errors.extend(faults);
    }
    if let Some(path) = &config.rules.state_file {
        options.changes = changes::read(path).map_err(Failure::Input)?;
    }
    let loaded = RuleSet::load(&sources, &options);
    errors.extend(loaded.errors);
    let (refused, disabled) = (loaded.refused, loaded.disabled);
    let (rules, remarks) = (loaded.rules, loaded.remarks);
    Ok(LoadedRules { rules, errors, refused, disabled, remarks, files: files.len(), unmatched })
}

impl LoadedRules {
    /// How many faults each keyword has, most first; `None` counts those outside of options.
    #[must_use]
    pub fn faults_by_keyword(&self) -> Vec<(Option<&str>, usize)> {
        let mut counts: std::collections::BTreeMap<Option<&str>, usize> = std::collections::BTreeMap::new();
        for error in &self.errors {
            *counts.entry(error.keyword.as_deref()).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        counts
    }

    /// Fails if anything is wrong and `fatal` says that this is not to be lived with.
    ///
    /// # Errors
    /// What `--init-errors-fatal` asks for.
    pub fn unless_fatal(&self, fatal: bool) -> Result<(), Failure> {
        match self.errors.len() {
            0 => Ok(()),
            _ if !fatal => Ok(()),
            _ => Err(Failure::Input(self.verdict())),
        }
    }

    /// How many rules cannot be loaded and how many can.
    #[must_use]
    pub fn verdict(&self) -> String {
        let plural = if self.refused == 1 { "" } else { "s" };
        match self.refused {
            0 => "the classification file or the threshold file is not all valid".to_owned(),
            refused => format!("{refused} rule{plural} cannot be loaded, {} can", self.rules.len()),
        }
    }
}

/// A table for state about hosts, if the rules need one.
pub fn hosts(config: &Config, rules: &RuleSet, seed: u64) -> Option<Arc<HostTable>> {
    let settings = HostSettings { memcap: config.host.memcap, seed };
    rules.uses_hosts().then(|| Arc::new(HostTable::new(&settings)))
}

fn classifications(path: Option<&Path>) -> Result<(Classifications, Vec<RuleError>), Failure> {
    let Some(path) = path else { return Ok((Classifications::default(), Vec::new())) };
    let file = read(path)?;
    Ok(Classifications::parse(&Source { name: &file.name, text: &file.text }))
}

/// What rules are loaded with.
fn load_options(config: &Config, classifications: Classifications) -> LoadOptions {
    LoadOptions {
        address_groups: config.vars.address_groups.clone(),
        port_groups: config.vars.port_groups.clone(),
        classifications,
        action_order: config.action_order.map(action),
        packet_alert_max: config.packet_alert_max,
        ..LoadOptions::default()
    }
}

const fn action(action: config::Action) -> Action {
    match action {
        config::Action::Pass => Action::Pass,
        config::Action::Drop => Action::Drop,
        config::Action::Reject => Action::Reject,
        config::Action::Alert => Action::Alert,
    }
}

/// The files that the patterns stand for, each once, in the order of the patterns and within one
/// by name.
fn expand(patterns: &[PathBuf], unmatched: &mut Vec<PathBuf>) -> Result<Vec<PathBuf>, Failure> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for pattern in patterns {
        let text = pattern.to_string_lossy();
        if !text.contains(['*', '?', '[']) {
            paths.push(pattern.clone());
            continue;
        }
        let fail = |reason: String| Failure::Input(format!("cannot search for rule files {text}: {reason}"));
        let mut found = Vec::new();
        for path in glob::glob(&text).map_err(|error| fail(error.to_string()))? {
            found.push(path.map_err(|error| fail(error.to_string()))?);
        }
        if found.is_empty() {
            unmatched.push(pattern.clone());
        }
        paths.extend(found);
    }
    let mut seen = std::collections::BTreeSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    Ok(paths)
}

fn read(path: &Path) -> Result<RuleFile, Failure> {
    let name = path.display().to_string();
    let fail = |reason: String| Failure::Input(format!("cannot read the rule file {name}: {reason}"));
    let metadata = fs::metadata(path).map_err(|error| fail(error.to_string()))?;
    if metadata.is_dir() {
        return Err(fail("it is a folder".to_owned()));
    }
    if metadata.len() > MAX_FILE {
        return Err(fail(format!("it has {} bytes, more than the {MAX_FILE} that are read", metadata.len())));
    }
    let text = fs::read(path).map_err(|error| fail(error.to_string()))?;
    Ok(RuleFile { name, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inline, Sources, parse};

    fn config(text: &str, folder: &Path) -> Config {
        let path = Some(folder.join("x.toml"));
        parse(Sources { path, text: text.to_owned(), overrides: Vec::new() }, Inline::No).unwrap().config
    }

    fn rule(sid: u32) -> String {
        format!("alert tcp any any -> any any (msg:\"{sid}\"; sid:{sid};)\n")
    }

    #[test]
    fn defaults_agree_with_those_of_detection() {
        let options = load_options(&config("", Path::new("")), Classifications::default());
        let theirs = LoadOptions::default();
        assert_eq!(options.action_order, theirs.action_order);
        assert_eq!(options.packet_alert_max, theirs.packet_alert_max);
    }

    #[test]
    fn patterns_stand_for_files_each_once() {
        let folder = tempfile::tempdir().unwrap();
        for (name, sid) in [("b.rules", 2), ("a.rules", 1), ("c.txt", 3)] {
            fs::write(folder.path().join(name), rule(sid)).unwrap();
        }
        let text = "rules.files = [\"b.rules\", \"*.rules\", \"none*.rules\"]";
        let loaded = load(&config(text, folder.path()), None).unwrap();
        assert_eq!((loaded.files, loaded.rules.len(), loaded.errors.len()), (2, 2, 0));
        assert_eq!(loaded.unmatched, [folder.path().join("none*.rules")]);

        let one = folder.path().join("c.txt");
        let loaded = load(&config(text, folder.path()), Some(&one)).unwrap();
        assert_eq!((loaded.files, loaded.rules.len()), (1, 1));
    }

    #[test]
    fn a_file_that_is_named_must_be_readable() {
        let folder = tempfile::tempdir().unwrap();
        let check = |text: &str, expected: &str| {
            let failure = load(&config(text, folder.path()), None).unwrap_err().to_string();
            assert!(failure.contains(expected), "{failure}");
        };
        check("rules.files = [\"a.rules\"]", "a.rules: No such file");
        check("rules.files = [\".\"]", "it is a folder");
        check("rules.classification-file = \"c.config\"", "c.config: No such file");
        check("threshold-file = \"t.config\"", "t.config: No such file");
        check("rules.files = [\"a***.rules\"]", "cannot search for rule files");
    }

    #[test]
    fn faults_name_their_place_and_the_rest_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.rules"), format!("{}nonsense\n{}", rule(1), rule(2))).unwrap();
        fs::write(folder.path().join("c.config"), "config classification: a,b\n").unwrap();
        let text = "[rules]\nfiles = [\"a.rules\"]\nclassification-file = \"c.config\"";
        let loaded = load(&config(text, folder.path()), None).unwrap();
        assert_eq!(loaded.rules.len(), 2);
        let places: Vec<(String, usize)> = loaded
            .errors
            .iter()
            .map(|error| {
                (Path::new(&error.file).file_name().unwrap().to_string_lossy().into_owned(), error.line)
            })
            .collect();
        assert_eq!(places, [("c.config".to_owned(), 1), ("a.rules".to_owned(), 2)]);
    }
}
