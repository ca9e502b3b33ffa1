//! The folders that a gate sees once it has its queues, by Landlock (Documentation/userspace-api/landlock.rst): those that
//! rules, lists and configuration are read anew from, and that of the file that it keeps changes of rules in.

use crate::config::Config;
use crate::exit::Failure;
use landlock::{
    ABI, Access as _, AccessFs, BitFlags, LandlockStatus, Ruleset, RulesetAttr as _, RulesetCreated,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, path_beneath_rules,
};
use std::path::{Path, PathBuf};

/// What is known of rights; an older kernel knows fewer.
const KNOWN: ABI = ABI::V5;

/// What else is read: where it is which time.
const TIME: [&str; 2] = ["/etc/localtime", "/usr/share/zoneinfo"];

/// Folders, ready to be made all that a thread of this process sees.
#[derive(Debug)]
pub(crate) struct Folders {
    rules: RulesetCreated,
}

impl Folders {
    /// Those of this configuration, which was read from `file`.
    ///
    /// # Errors
    /// The kernel's; not where it has no Landlock.
    pub(crate) fn of_a_gate(config: &Config, file: &Path) -> Result<Self, Failure> {
        Self::new(&readable(config, file), &writable(config)).map_err(|error| failure(&error))
    }

    fn new(read: &[PathBuf], write: &[PathBuf]) -> Result<Self, RulesetError> {
        // Nothing that the gate could read is a program to it, and it makes no devices.
        let never = AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock;
        let all: BitFlags<AccessFs> = AccessFs::from_all(KNOWN);
        let reading = AccessFs::ReadFile | AccessFs::ReadDir;
        let rules = Ruleset::default().handle_access(all)?.create()?;
        let rules = rules.add_rules(path_beneath_rules(read, reading))?;
        let rules = rules.add_rules(path_beneath_rules(write, all & !never))?;
        Ok(Self { rules })
    }

    /// Makes them all that this thread sees, and those that it starts, for good. Says whether the kernel does that.
    ///
    /// # Errors
    /// The kernel's, if it has Landlock.
    pub(crate) fn restrict(&self) -> Result<bool, Failure> {
        let rules = self.rules.try_clone().map_err(|error| failure(&error))?;
        let status = rules.restrict_self().map_err(|error| failure(&error))?;
        Ok(status.ruleset != RulesetStatus::NotEnforced)
    }
}

/// The version of Landlock that this kernel has; why there is none.
///
/// # Errors
/// There is none.
pub(crate) fn supported() -> Result<i32, &'static str> {
    // Only who restricts itself is told: a thread that does nothing else.
    let ask = || {
        let rules = Ruleset::default().handle_access(AccessFs::from_all(KNOWN))?.create()?;
        rules.restrict_self().map(|status| status.landlock)
    };
    match std::thread::spawn(ask).join() {
        Ok(Ok(LandlockStatus::Available { effective_abi, kernel_abi })) => {
            Ok(kernel_abi.unwrap_or(effective_abi as i32))
        }
        Ok(Ok(LandlockStatus::NotEnabled)) => Err("the kernel has Landlock, but it is off"),
        Ok(Ok(LandlockStatus::NotImplemented)) => Err("the kernel has no Landlock"),
        Ok(Err(_)) | Err(_) => Err("the kernel does not say whether it has Landlock"),
    }
}

fn readable(config: &Config, file: &Path) -> Vec<PathBuf> {
    let rules = &config.rules;
    let single = [&rules.classification_file, &rules.threshold_file, &rules.state_file];
    let lists = &config.lists;
    let listed = lists.allow.iter().chain(&lists.block).flat_map(|list| &list.files);
    let named = single.into_iter().flatten().chain(listed).map(PathBuf::as_path).chain([file]);
    let mut folders: Vec<PathBuf> = named.flat_map(homes).collect();
    folders.extend(rules.files.iter().flat_map(|pattern| of_pattern(pattern)));
    folders.extend(config.security.landlock.read.iter().cloned());
    folders.extend(TIME.map(PathBuf::from));
    folders.sort_unstable();
    folders.dedup();
    folders
}

fn writable(config: &Config) -> Vec<PathBuf> {
    let state = config.rules.state_file.iter().map(|file| folder(file));
    state.chain(config.security.landlock.write.iter().cloned()).collect()
}

/// The folder of a pattern up to its first wildcard, and those that files are really in which it stands for.
fn of_pattern(pattern: &Path) -> Vec<PathBuf> {
    let is_fixed = |part: &&std::ffi::OsStr| !part.to_string_lossy().contains(['*', '?', '[']);
    let fixed: PathBuf = pattern.iter().take_while(is_fixed).collect();
    if fixed == pattern {
        return homes(pattern);
    }
    let found = pattern.to_str().and_then(|text| glob::glob(text).ok());
    let found = found.into_iter().flatten().flatten();
    let here = if fixed.as_os_str().is_empty() { PathBuf::from(".") } else { fixed };
    found.flat_map(|file| homes(&file)).chain([here]).collect()
}

/// The folder that a file is named in, and that which it is really in.
fn homes(file: &Path) -> Vec<PathBuf> {
    let real = file.canonicalize().ok();
    [Some(file.to_owned()), real].into_iter().flatten().map(|file| folder(&file)).collect()
}

fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn failure(reason: &dyn std::fmt::Display) -> Failure {
    let reason = format!("files cannot be kept from the gate: {reason}; see security.landlock");
    Failure::Runtime(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::ErrorKind;

    #[test]
    fn folders_are_those_of_files_as_named_and_as_they_are() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        fs::create_dir(place.join("real")).unwrap();
        fs::write(place.join("real/own.rules"), "").unwrap();
        fs::create_dir(place.join("rules")).unwrap();
        std::os::unix::fs::symlink(place.join("real/own.rules"), place.join("rules/a.rules")).unwrap();
        let check = |pattern: &str, expected: &[&str]| {
            let mut found = of_pattern(&place.join(pattern));
            found.sort();
            found.dedup();
            let expected: Vec<_> = expected.iter().map(|name| place.join(name)).collect();
            assert_eq!(found, expected, "{pattern}");
        };
        check("rules/a.rules", &["real", "rules"]);
        check("rules/*.rules", &["real", "rules"]);
        check("rules/none.rules", &["rules"]);
        check("r*/own.rules", &["", "real"]);
        assert_eq!(of_pattern(Path::new("*.none")), [PathBuf::from(".")]);
        assert_eq!(folder(Path::new("gate.toml")), Path::new("."));
    }

    #[test]
    fn a_thread_sees_only_what_it_is_to_see() {
        let (seen, kept, hidden) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&seen, &kept, &hidden] {
            fs::write(folder.path().join("file"), "").unwrap();
        }
        let path = |folder: &tempfile::TempDir| folder.path().to_owned();
        let folders = Folders::new(&[path(&seen)], &[path(&kept)]).unwrap();
        let restricted = std::thread::spawn(move || {
            if !folders.restrict().unwrap() {
                return None;
            }
            let read = |folder: &tempfile::TempDir| fs::read(folder.path().join("file")).map(drop);
            let write = |folder: &tempfile::TempDir| {
                fs::write(folder.path().join("new"), "")?;
                fs::rename(folder.path().join("new"), folder.path().join("file"))
            };
            let outcomes =
                [read(&seen), write(&seen), read(&kept), write(&kept), read(&hidden), write(&hidden)];
            Some(outcomes.map(|outcome| outcome.err().map(|error| error.kind())))
        });
        let denied = Some(ErrorKind::PermissionDenied);
        match restricted.join().unwrap() {
            Some(outcomes) => assert_eq!(outcomes, [None, denied, None, None, denied, denied]),
            None => assert!(supported().is_err()),
        }
    }
}
