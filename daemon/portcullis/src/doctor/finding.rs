//! What the doctor says: one finding a line, with the command that mends it.

use serde_json::{Value, json};
use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, but less well than it could.
    Warning,
    /// Does not work, or loses packets.
    Fault,
}

impl Level {
    /// The word for it in every output.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// A command that mends a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mend {
    /// Program and arguments; what is for a person to do is a sentence in one word.
    pub words: Vec<String>,
    /// `--fix` applies it: it cuts nobody off, takes nothing from other programs and can be undone.
    pub safe: bool,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about, a word.
    pub topic: &'static str,
    /// The interface, if it is about one.
    pub interface: Option<String>,
    /// How bad it is.
    pub level: Level,
    /// What was found, and what that does.
    pub text: String,
    /// What mends it.
    pub mend: Option<Mend>,
}

impl Finding {
    /// As it should be.
    pub(crate) fn ok(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(topic, Level::Ok, text)
    }

    /// Works, but less well than it could.
    pub(crate) fn warning(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(topic, Level::Warning, text)
    }

    /// Does not work.
    pub(crate) fn fault(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(topic, Level::Fault, text)
    }

    fn new(topic: &'static str, level: Level, text: impl Into<String>) -> Self {
        Self { topic, interface: None, level, text: text.into(), mend: None }
    }

    /// About an interface.
    pub(crate) fn at(mut self, interface: &str) -> Self {
        self.interface = Some(interface.to_owned());
        self
    }

    /// With a command that `--fix` may apply, its words separated by blanks.
    pub(crate) fn mended_by(self, command: &str) -> Self {
        self.with(command.split(' ').map(str::to_owned).collect(), true)
    }

    /// With a command, or advice, that is for a person to carry out.
    pub(crate) fn advise(self, command: impl Into<String>) -> Self {
        self.with(vec![command.into()], false)
    }

    fn with(mut self, words: Vec<String>, safe: bool) -> Self {
        self.mend = Some(Mend { words, safe });
        self
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "topic": self.topic,
            "interface": self.interface,
            "level": self.level.word(),
            "text": self.text,
            "mend": self.mend.as_ref().map(|mend| json!({ "command": mend.to_string(), "safe": mend.safe })),
        })
    }
}

impl fmt::Display for Mend {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.words.join(" "))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.interface.as_deref().unwrap_or("-");
        write!(out, "{:<8} {place:<15} {:<12} {}", self.level.word(), self.topic, self.text)?;
        match &self.mend {
            Some(mend) => write!(out, "\n{:38}mend: {mend}", ""),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_shown_with_what_mends_it() {
        let finding =
            Finding::warning("offloads", "gro is on").at("eth0").mended_by("ethtool -K eth0 gro off");
        assert_eq!(
            finding.to_string(),
            "warning  eth0            offloads     gro is on\n                                      mend: ethtool -K eth0 gro off"
        );
        let json = finding.to_json();
        assert_eq!(json["mend"], json!({ "command": "ethtool -K eth0 gro off", "safe": true }));
        let plain = Finding::ok("kernel", "Linux 6.12");
        assert_eq!(plain.to_string(), "ok       -               kernel       Linux 6.12");
        assert_eq!(plain.to_json()["interface"], Value::Null);
        assert!(Level::Fault > Level::Warning && Level::Warning > Level::Ok);
    }
}
