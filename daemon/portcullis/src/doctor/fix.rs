//! Applying mends: the very commands that are shown, each once, and only those that are safe.

use super::finding::{Finding, Level, Mend};
use serde_json::{Value, json};
use std::fmt;
use std::process::{Command, Stdio};

/// What came of a mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mended {
    /// The command.
    command: String,
    /// Why it was not applied, or failed.
    error: Option<String>,
}

/// Applies the safe mends among `findings`, but none to an interface that is `in_use` by this host.
pub(crate) fn apply(findings: &[Finding], in_use: impl Fn(&str) -> bool) -> Vec<Mended> {
    let mut mended: Vec<Mended> = Vec::new();
    for finding in findings.iter().filter(|finding| finding.level > Level::Ok) {
        let Some(mend) = finding.mend.as_ref().filter(|mend| mend.safe) else { continue };
        let command = mend.to_string();
        if mended.iter().any(|earlier| earlier.command == command) {
            continue;
        }
        let refused = finding.interface.as_deref().filter(|name| in_use(name));
        let error = match refused {
            Some(name) => Some(format!("not applied: this host talks through {name}")),
            None => execute(mend).err(),
        };
        mended.push(Mended { command, error });
    }
    mended
}

fn execute(mend: &Mend) -> Result<(), String> {
    let (program, arguments) = mend.words.split_first().ok_or("there is no command")?;
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot start {program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("failed ({}): {}", output.status, said.trim()))
}

impl Mended {
    /// For programs.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "command": self.command, "error": self.error })
    }
}

impl fmt::Display for Mended {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            None => write!(out, "applied  {}", self.command),
            Some(error) => write!(out, "left     {}: {error}", self.command),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_safe_mends_are_applied_and_each_once() {
        let findings = [
            Finding::warning("a", "").mended_by("true").at("eth0"),
            Finding::warning("b", "").mended_by("true").at("eth0"),
            Finding::fault("c", "").mended_by("false").at("eth1"),
            Finding::fault("d", "").mended_by("no-such-program now"),
            Finding::fault("e", "").mended_by("true yes").at("eth9"),
            Finding::fault("f", "").advise("true by hand"),
            Finding::ok("g", "").mended_by("true ok"),
        ];
        let mended = apply(&findings, |name| name == "eth9");
        let shown: Vec<String> = mended.iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), 4, "{shown:?}");
        assert_eq!(shown[0], "applied  true");
        assert!(shown[1].starts_with("left     false: failed (exit status: 1)"), "{shown:?}");
        assert!(shown[2].contains("cannot start no-such-program"), "{shown:?}");
        assert_eq!(shown[3], "left     true yes: not applied: this host talks through eth9");
        assert_eq!(mended[0].to_json(), json!({ "command": "true", "error": null }));
    }
}
