//! What a gate counts, at one moment.

use anyhow::{Context, Result};
use serde_json::Value;

/// A gate's counters, as `dump-counters` gives them.
#[derive(Clone, Debug)]
pub(crate) struct Counters(Value);

impl Counters {
    /// From what `dump-counters` says.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text)
            .with_context(|| format!("dump-counters gave no JSON: {}", text.trim()))?;
        Ok(Self(value))
    }

    /// One counter by its dotted name, like `ips.blocked`.
    pub(crate) fn number(&self, name: &str) -> Result<u64> {
        let found = name.split('.').try_fold(&self.0, |value, part| value.get(part));
        found.and_then(Value::as_u64).with_context(|| format!("the gate has no counter {name}"))
    }

    /// How much a counter has grown since `earlier`.
    pub(crate) fn since(&self, earlier: &Self, name: &str) -> Result<u64> {
        let (now, then) = (self.number(name)?, earlier.number(name)?);
        now.checked_sub(then).with_context(|| format!("{name} fell from {then} to {now}"))
    }

    /// Packets dropped because a rule said so, for themselves or for their flow, since `earlier`.
    pub(crate) fn dropped_by_rule_since(&self, earlier: &Self) -> Result<u64> {
        let packets = self.since(earlier, "ips.drop_reason.rules")?;
        Ok(packets + self.since(earlier, "ips.drop_reason.flow_drop")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(text: &str) -> Counters {
        Counters::parse(text).unwrap()
    }

    #[test]
    fn counters_are_found_by_dotted_name() {
        let counters = counters(r#"{"ips":{"blocked":7,"drop_reason":{"rules":3,"flow_drop":4}}}"#);
        assert_eq!(counters.number("ips.blocked").unwrap(), 7);
        assert_eq!(counters.number("ips.drop_reason.rules").unwrap(), 3);
        for missing in ["ips", "ips.accepted", "ips.blocked.more", ""] {
            let error = counters.number(missing).unwrap_err().to_string();
            assert_eq!(error, format!("the gate has no counter {missing}"));
        }
    }

    #[test]
    fn growth_is_told_from_a_fall() {
        let then = counters(r#"{"ips":{"drop_reason":{"rules":3,"flow_drop":4}}}"#);
        let now = counters(r#"{"ips":{"drop_reason":{"rules":5,"flow_drop":14}}}"#);
        assert_eq!(now.dropped_by_rule_since(&then).unwrap(), 12);
        assert!(then.dropped_by_rule_since(&now).is_err());
    }

    #[test]
    fn what_is_no_json_is_shown() {
        let error = Counters::parse("no such command\n").unwrap_err().to_string();
        assert!(error.ends_with("no such command"), "{error}");
    }
}
