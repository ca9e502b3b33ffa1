//! What is told of the rules in use, in the shapes of Suricata's commands.

use portcullis_detect::RuleError;
use portcullis_event::RuleCounts;
use serde_json::{Value, json};
use std::sync::Arc;

/// The rules in use: how many, since when, and what could not be loaded with them.
#[derive(Clone, Debug)]
pub struct Ruleset {
    /// How many there are, and when they were loaded.
    pub counts: RuleCounts,
    /// What is wrong with the others, in the order of the files.
    pub faults: Arc<[RuleError]>,
}

impl Ruleset {
    /// `ruleset-stats`
    pub(super) fn stats(&self) -> Value {
        let RuleCounts { loaded, failed, skipped, .. } = self.counts;
        json!([{ "id": 0, "rules_loaded": loaded, "rules_failed": failed, "rules_skipped": skipped }])
    }

    /// `ruleset-reload-time`
    pub(super) fn reload_time(&self) -> Value {
        json!([{ "id": 0, "last_reload": portcullis_eve::printed(self.counts.last_reload) }])
    }

    /// `ruleset-failed-rules`: each line once, with all that is wrong with it.
    pub(super) fn failed(&self) -> Value {
        let same = |one: &RuleError, other: &RuleError| (one.line, &one.file) == (other.line, &other.file);
        let lines = self.faults.chunk_by(same).filter_map(|faults| {
            let first = faults.first()?;
            let reasons: Vec<&str> = faults.iter().map(|fault| fault.reason.as_str()).collect();
            Some(json!({
                "tenant_id": 0,
                "rule": first.text,
                "filename": first.file,
                "line": first.line,
                "error": reasons.join("; "),
            }))
        });
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::Timestamp;

    #[test]
    fn a_line_is_told_once_with_all_its_faults() {
        let fault = |line, reason: &str| RuleError {
            file: "a.rules".to_owned(),
            line,
            reason: reason.to_owned(),
            text: format!("rule {line}"),
            ..RuleError::default()
        };
        let faults = [fault(3, "one"), fault(3, "two"), fault(5, "three")].into();
        let counts = RuleCounts { last_reload: Timestamp::ZERO, loaded: 7, failed: 2, skipped: 0 };
        let rules = Ruleset { counts, faults };
        let line = |line: u32, error: &str| json!({ "tenant_id": 0, "rule": format!("rule {line}"), "filename": "a.rules", "line": line, "error": error });
        assert_eq!(rules.failed(), json!([line(3, "one; two"), line(5, "three")]));
        assert_eq!(
            rules.stats(),
            json!([{ "id": 0, "rules_loaded": 7, "rules_failed": 2, "rules_skipped": 0 }])
        );
        assert!(rules.reload_time()[0]["last_reload"].as_str().is_some_and(|time| time.len() == 31));
    }
}
