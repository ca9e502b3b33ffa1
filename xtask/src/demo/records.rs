//! The EVE file that the gate wrote, read back as any other program would.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// What is in the file.
#[derive(Debug)]
pub(crate) struct Records {
    by_type: BTreeMap<String, u64>,
    last_stats: Value,
}

impl Records {
    /// Reads the file; every line must be a record.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file)
            .with_context(|| format!("cannot read the EVE records in {}", file.display()))?;
        Self::parse(&text).with_context(|| format!("in {}", file.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        ensure!(text.is_empty() || text.ends_with('\n'), "the last record is cut short");
        let (mut by_type, mut last_stats) = (BTreeMap::new(), Value::Null);
        for (number, line) in (1..).zip(text.lines()) {
            let mut record: Value =
                serde_json::from_str(line).with_context(|| format!("line {number} is no JSON"))?;
            let kind = record.get("event_type").and_then(Value::as_str);
            let kind = kind.with_context(|| format!("line {number} has no event_type"))?.to_owned();
            if kind == "stats" {
                last_stats = record["stats"].take();
            }
            *by_type.entry(kind).or_default() += 1;
        }
        Ok(Self { by_type, last_stats })
    }

    /// How many records there are of a type.
    pub(crate) fn of_type(&self, event_type: &str) -> u64 {
        self.by_type.get(event_type).copied().unwrap_or_default()
    }

    /// A counter in the last stats record, which a daemon writes when it has finished everything.
    pub(crate) fn last_counter(&self, name: &str) -> Result<u64> {
        let found = name.split('.').try_fold(&self.last_stats, |value, part| value.get(part));
        found.and_then(Value::as_u64).with_context(|| format!("the last stats record has no {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted_by_type_and_the_last_stats_count() {
        let text = concat!(
            "{\"event_type\":\"flow\"}\n",
            "{\"event_type\":\"stats\",\"stats\":{\"flow\":{\"total\":1}}}\n",
            "{\"event_type\":\"flow\"}\n",
            "{\"event_type\":\"stats\",\"stats\":{\"flow\":{\"total\":2}}}\n",
        );
        let records = Records::parse(text).unwrap();
        assert_eq!((records.of_type("flow"), records.of_type("alert")), (2, 0));
        assert_eq!(records.last_counter("flow.total").unwrap(), 2);
        assert!(records.last_counter("flow.active").is_err());
    }

    #[test]
    fn what_is_no_record_is_pointed_at() {
        let check = |text: &str, expected: &str| {
            let error = Records::parse(text).unwrap_err().to_string();
            assert_eq!(error, expected, "{text}");
        };
        check("{\"event_type\":\"flow\"}\nnonsense\n", "line 2 is no JSON");
        check("{}\n", "line 1 has no event_type");
        check("{\"event_type\":\"flow\"}\n{\"ev", "the last record is cut short");
    }
}
