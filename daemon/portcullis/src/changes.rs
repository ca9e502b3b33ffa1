//! The file that keeps what was decided about single rules by `ctl rule`, so that it outlives reloads and
//! restarts: a line a rule, `disable GID:SID`, `alert-only GID:SID` or `would-drop GID:SID`.

use portcullis_detect::{RuleChange, RuleChanges};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Reads the file; there are no changes where there is no file.
///
/// # Errors
/// Why it cannot be read, or what line is none.
pub fn read(path: &Path) -> Result<RuleChanges, String> {
    let name = path.display();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(RuleChanges::new()),
        Err(error) => return Err(format!("cannot read {name}: {error}")),
    };
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|(number, line)| {
            parse(line).ok_or_else(|| {
                let verbs = ALL.map(|change| format!("`{} GID:SID`", word(change))).join(", ");
                format!("{name}:{number}: expected one of {verbs}, found `{line}`")
            })
        })
        .collect()
}

/// Puts these changes into the file, all or none.
///
/// # Errors
/// Where it cannot be written; the old one stays.
pub fn write(path: &Path, changes: &RuleChanges) -> io::Result<()> {
    let mut text = "# Written by `portcullis ctl rule`.\n".to_owned();
    for ((gid, sid), change) in changes {
        text.push_str(&format!("{} {gid}:{sid}\n", word(*change)));
    }
    let aside = path.with_added_extension("new");
    fs::write(&aside, text)?;
    fs::rename(aside, path)
}

/// `SID` or `GID:SID` as gid and sid.
#[must_use]
pub fn ids(text: &str) -> Option<(u32, u32)> {
    let (gid, sid) = text.split_once(':').unwrap_or(("1", text));
    Some((gid.parse().ok()?, sid.parse().ok()?))
}

fn parse(line: &str) -> Option<((u32, u32), RuleChange)> {
    let (verb, rule) = line.trim().split_once(' ')?;
    let change = ALL.into_iter().find(|change| word(*change) == verb);
    Some((ids(rule.trim())?, change?))
}

const ALL: [RuleChange; 3] = [RuleChange::Disable, RuleChange::AlertOnly, RuleChange::WouldDrop];

const fn word(change: RuleChange) -> &'static str {
    match change {
        RuleChange::Disable => "disable",
        RuleChange::AlertOnly => "alert-only",
        RuleChange::WouldDrop => "would-drop",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_kept_and_faults_have_a_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.state");
        assert_eq!(read(&path), Ok(RuleChanges::new()));
        let changes = RuleChanges::from([
            ((1, 7), RuleChange::Disable),
            ((1, 9), RuleChange::WouldDrop),
            ((3, 8), RuleChange::AlertOnly),
        ]);
        write(&path, &changes).unwrap();
        assert_eq!(read(&path), Ok(changes));
        fs::write(&path, "\ndisable 5\nforget 1:6\n").unwrap();
        let fault = read(&path).unwrap_err();
        let expected = ":3: expected one of `disable GID:SID`, `alert-only GID:SID`, `would-drop GID:SID`, \
                        found `forget 1:6`";
        assert!(fault.ends_with(expected), "{fault}");
        assert!(write(&folder.path().join("no/folder"), &RuleChanges::new()).is_err());
    }
}
