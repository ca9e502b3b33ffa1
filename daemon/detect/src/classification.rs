//! `classification.config`: what a `classtype` means.

use std::collections::BTreeMap;

use crate::error::{RuleError, extent, printable};
use crate::ruleset::Source;

/// One class of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classification {
    /// EVE's `alert.category`.
    pub description: String,
    /// Priority of its rules unless they give one: 1 (most urgent) to 255.
    pub priority: u8,
}

/// The classes that rules may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classifications(BTreeMap<String, Classification>);

impl Default for Classifications {
    /// The classes every public rule set expects, for when no file is configured.
    fn default() -> Self {
        let entry = |&(name, description, priority): &(&str, &str, u8)| {
            (name.to_owned(), Classification { description: description.to_owned(), priority })
        };
        Self(DEFAULT.iter().map(entry).collect())
    }
}

impl Classifications {
    /// Reads lines `config classification: shortname,description,priority`; `#` starts a comment line.
    /// What cannot be read is reported; the rest is kept. A class given twice is a fault.
    #[must_use]
    pub fn parse(source: &Source<'_>) -> (Self, Vec<RuleError>) {
        let mut classes = Self(BTreeMap::new());
        let mut errors = Vec::new();
        for (index, line) in source.text.split(|&byte| byte == b'\n').enumerate() {
            let parsed = match std::str::from_utf8(line) {
                Ok(line) => classes.parse_line(line),
                Err(error) => Err((error.valid_up_to(), "not valid UTF-8".to_owned())),
            };
            if let Err((at, reason)) = parsed {
                let file = source.name.to_owned();
                errors.push(RuleError {
                    file,
                    line: index + 1,
                    column: at + 1,
                    length: extent(line, at),
                    reason,
                    text: printable(line),
                    ..RuleError::default()
                });
            }
        }
        (classes, errors)
    }

    /// The class called `name`; names differ by more than case.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&Classification> {
        self.0.get(&name.to_ascii_lowercase())
    }

    /// How many classes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn parse_line(&mut self, line: &str) -> Result<(), (usize, String)> {
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') {
            return Ok(());
        }
        let at = |part: &str| part.as_ptr().addr() - line.as_ptr().addr();
        let body = text
            .strip_prefix("config")
            .and_then(|rest| rest.trim_start().strip_prefix("classification"))
            .and_then(|rest| rest.trim_start().strip_prefix(':'))
            .ok_or_else(|| (at(text), "expected `config classification:`".to_owned()))?;
        let mut fields = body.splitn(3, ',');
        let name = fields.next().unwrap_or_default().trim();
        let (Some(description), Some(priority)) = (fields.next(), fields.next()) else {
            return Err((at(body), "expected `shortname,description,priority`".to_owned()));
        };
        if name.is_empty() {
            return Err((at(body), "the short name is empty".to_owned()));
        }
        let trimmed = priority.trim();
        let number = trimmed.parse().ok().filter(|&number: &u8| number > 0);
        let number = number
            .ok_or_else(|| (at(trimmed), format!("priority `{trimmed}` is not a number from 1 to 255")))?;
        let class = Classification { description: description.trim().to_owned(), priority: number };
        if self.0.insert(name.to_ascii_lowercase(), class).is_some() {
            return Err((at(name), format!("class `{name}` is defined twice; the last one counts")));
        }
        Ok(())
    }
}

/// Names, descriptions and priorities of the public classification list.
const DEFAULT: &[(&str, &str, u8)] = &[
    ("not-suspicious", "Not Suspicious Traffic", 3),
    ("unknown", "Unknown Traffic", 3),
    ("bad-unknown", "Potentially Bad Traffic", 2),
    ("attempted-recon", "Attempted Information Leak", 2),
    ("successful-recon-limited", "Information Leak", 2),
    ("successful-recon-largescale", "Large Scale Information Leak", 2),
    ("attempted-dos", "Attempted Denial of Service", 2),
    ("successful-dos", "Denial of Service", 2),
    ("attempted-user", "Attempted User Privilege Gain", 1),
    ("unsuccessful-user", "Unsuccessful User Privilege Gain", 1),
    ("successful-user", "Successful User Privilege Gain", 1),
    ("attempted-admin", "Attempted Administrator Privilege Gain", 1),
    ("successful-admin", "Successful Administrator Privilege Gain", 1),
    ("rpc-portmap-decode", "Decode of an RPC Query", 2),
    ("shellcode-detect", "Executable code was detected", 1),
    ("string-detect", "A suspicious string was detected", 3),
    ("suspicious-filename-detect", "A suspicious filename was detected", 2),
    ("suspicious-login", "An attempted login using a suspicious username was detected", 2),
    ("system-call-detect", "A system call was detected", 2),
    ("tcp-connection", "A TCP connection was detected", 4),
    ("trojan-activity", "A Network Trojan was detected", 1),
    ("unusual-client-port-connection", "A client was using an unusual port", 2),
    ("network-scan", "Detection of a Network Scan", 3),
    ("denial-of-service", "Detection of a Denial of Service Attack", 2),
    ("non-standard-protocol", "Detection of a non-standard protocol or event", 2),
    ("protocol-command-decode", "Generic Protocol Command Decode", 3),
    ("web-application-activity", "access to a potentially vulnerable web application", 2),
    ("web-application-attack", "Web Application Attack", 1),
    ("misc-activity", "Misc activity", 3),
    ("misc-attack", "Misc Attack", 2),
    ("icmp-event", "Generic ICMP event", 3),
    ("inappropriate-content", "Inappropriate Content was Detected", 1),
    ("policy-violation", "Potential Corporate Privacy Violation", 1),
    ("default-login-attempt", "Attempt to login by a default username and password", 2),
    ("targeted-activity", "Targeted Malicious Activity was Detected", 1),
    ("exploit-kit", "Exploit Kit Activity Detected", 1),
    ("external-ip-check", "Device Retrieving External IP Address Detected", 2),
    ("domain-c2", "Domain Observed Used for C2 Detected", 1),
    ("pup-activity", "Possibly Unwanted Program Detected", 2),
    ("credential-theft", "Successful Credential Theft Detected", 1),
    ("social-engineering", "Possible Social Engineering Attempted", 2),
    ("coin-mining", "Crypto Currency Mining Activity Detected", 2),
    ("command-and-control", "Malware Command and Control Activity Detected", 1),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Classifications, Vec<RuleError>) {
        Classifications::parse(&Source { name: "classes", text: text.as_bytes() })
    }

    #[test]
    fn lines_become_classes() {
        let (classes, errors) = parse("# a comment\n\n config classification: Big-One, The big one , 1\r\n");
        assert_eq!(errors, []);
        assert_eq!(
            classes.class("big-one"),
            Some(&Classification { description: "The big one".to_owned(), priority: 1 })
        );
        assert_eq!(classes.len(), 1);
    }

    #[test]
    fn faults_are_placed_and_the_rest_is_kept() {
        let check = |line: &str, column: usize, reason: &str| {
            let text = format!("config classification: a,A,1\n{line}\nconfig classification: z,Z,9\n");
            let (classes, errors) = parse(&text);
            assert_eq!(errors.len(), 1, "{line}");
            assert_eq!((errors[0].line, errors[0].column, errors[0].reason.as_str()), (2, column, reason));
            assert!(classes.class("z").is_some());
        };
        check("  classification: b,B,1", 3, "expected `config classification:`");
        check("config classification: b,B", 23, "expected `shortname,description,priority`");
        check("config classification: b,B,0", 28, "priority `0` is not a number from 1 to 255");
        check("config classification: ,B,1", 23, "the short name is empty");
        check("config classification: a,B,1", 24, "class `a` is defined twice; the last one counts");
    }

    #[test]
    fn the_built_in_classes_hold_each_name_once() {
        let classes = Classifications::default();
        assert_eq!(classes.len(), DEFAULT.len());
        assert_eq!(classes.class("Trojan-Activity").map(|class| class.priority), Some(1));
    }
}
