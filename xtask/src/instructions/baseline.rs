//! Counts that are kept, and what has become of them.

use std::collections::BTreeMap;
use std::fmt;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::places::Place;

/// By how much a count may rise.
const TOLERANCE: f64 = 0.02;
/// Functions below this share of a piece of work are not kept.
const LEAST_SHARE: f64 = 0.002;
/// Functions named of a piece of work that grew.
const NAMED: usize = 3;

/// Instructions of pieces of work, and who built them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Baseline {
    pub(crate) builders: Builders,
    /// By name.
    pub(crate) works: BTreeMap<String, Work>,
}

/// What counts depend on besides our sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Builders {
    /// `rustc --version`.
    pub(crate) rustc: String,
    /// The C library, which copies and compares.
    pub(crate) libc: String,
    /// What valgrind takes the CPU for depends on it.
    pub(crate) valgrind: String,
}

/// One piece of work.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Work {
    /// What is counted: packets, records.
    pub(crate) unit: String,
    /// Instructions of a unit.
    pub(crate) instructions: f64,
    /// By function, those that matter.
    pub(crate) functions: BTreeMap<String, f64>,
}

/// What comparing a piece of work brought.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finding {
    /// It takes more than is tolerated; the functions that grew most, and by how much.
    More { work: String, was: f64, is: f64, grew: Vec<(String, f64, f64)> },
    /// It takes so much less that the kept count should be renewed.
    Less { work: String, was: f64, is: f64 },
    /// Nothing is kept of it.
    Unknown { work: String },
}

impl Builders {
    pub(crate) fn find() -> Result<Self> {
        let said = |program: &str, argument: &str| -> Result<String> {
            let output = Command::new(program).arg(argument).output();
            let output = output.with_context(|| format!("cannot start {program}"))?;
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        Ok(Self {
            rustc: said("rustc", "--version")?,
            libc: said("getconf", "GNU_LIBC_VERSION")?,
            valgrind: said("valgrind", "--version")?,
        })
    }
}

impl fmt::Display for Builders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {}", self.rustc, self.libc, self.valgrind)
    }
}

impl Work {
    pub(crate) fn new(unit: &str, by_place: &BTreeMap<Place, f64>) -> Self {
        let instructions: f64 = by_place.values().sum();
        let kept = by_place.iter().filter(|(_, count)| **count >= instructions * LEAST_SHARE);
        let functions = kept.map(|(place, count)| (place.to_string(), rounded(*count))).collect();
        Self { unit: unit.to_owned(), instructions: rounded(instructions), functions }
    }
}

impl Baseline {
    /// Compares what is kept with what was counted now.
    pub(crate) fn compare(&self, now: &Self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (name, work) in &now.works {
            let name = name.clone();
            let Some(before) = self.works.get(&name) else {
                findings.push(Finding::Unknown { work: name });
                continue;
            };
            let (was, is) = (before.instructions, work.instructions);
            if is > was * (1.0 + TOLERANCE) {
                findings.push(Finding::More { work: name, was, is, grew: grew(before, work) });
            } else if is < was * (1.0 - TOLERANCE) {
                findings.push(Finding::Less { work: name, was, is });
            }
        }
        findings
    }

    pub(crate) fn to_text(&self) -> Result<String> {
        let Builders { rustc, libc, valgrind } = &self.builders;
        let works: Map<String, Value> =
            self.works.iter().map(|(name, work)| (name.clone(), work.to_value())).collect();
        let value = json!({ "rustc": rustc, "libc": libc, "valgrind": valgrind, "works": works });
        Ok(serde_json::to_string_pretty(&value)? + "\n")
    }

    pub(crate) fn from_text(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text).context("the kept counts are no JSON")?;
        let works =
            value.get("works").and_then(Value::as_object).context("the kept counts have no `works`")?;
        let works = works.iter().map(|(name, work)| Ok((name.clone(), Work::from_value(work)?)));
        Ok(Self {
            builders: Builders {
                rustc: text_of(&value, "rustc")?,
                libc: text_of(&value, "libc")?,
                valgrind: text_of(&value, "valgrind")?,
            },
            works: works.collect::<Result<_>>()?,
        })
    }
}

impl Work {
    fn to_value(&self) -> Value {
        json!({ "unit": self.unit, "instructions": self.instructions, "functions": self.functions })
    }

    fn from_value(value: &Value) -> Result<Self> {
        let number = |value: &Value| value.as_f64().context("a kept count is no number");
        let functions = value.get("functions").and_then(Value::as_object).context("no `functions`")?;
        let functions = functions.iter().map(|(name, count)| Ok((name.clone(), number(count)?)));
        Ok(Self {
            unit: text_of(value, "unit")?,
            instructions: number(value.get("instructions").context("no `instructions`")?)?,
            functions: functions.collect::<Result<_>>()?,
        })
    }
}

fn text_of(value: &Value, key: &str) -> Result<String> {
    let text = value.get(key).and_then(Value::as_str);
    Ok(text.with_context(|| format!("the kept counts have no `{key}`"))?.to_owned())
}

/// The functions that grew most: what was not kept of them was little.
fn grew(before: &Work, now: &Work) -> Vec<(String, f64, f64)> {
    let was = |name: &String| before.functions.get(name).copied().unwrap_or(0.0);
    let mut grew: Vec<_> = now.functions.iter().map(|(name, is)| (name.clone(), was(name), *is)).collect();
    grew.retain(|(_, was, is)| is > was);
    grew.sort_by(|(_, was, is), (_, other_was, other_is)| (other_is - other_was).total_cmp(&(is - was)));
    grew.truncate(NAMED);
    grew
}

fn rounded(count: f64) -> f64 {
    (count * 10.0).round() / 10.0
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |was: f64, is: f64| (is / was - 1.0) * 100.0;
        match self {
            Self::More { work, was, is, grew } => {
                write!(
                    f,
                    "MORE: {work} took {was:.1}, takes {is:.1} ({:+.1} %); most in",
                    percent(*was, *is)
                )?;
                for (place, (name, was, is)) in grew.iter().enumerate() {
                    let comma = if place == 0 { "" } else { "," };
                    write!(f, "{comma} {name} ({was:.1} to {is:.1})")?;
                }
                Ok(())
            }
            Self::Less { work, was, is } => {
                let change = percent(*was, *is);
                write!(f, "less: {work} took {was:.1}, takes {is:.1} ({change:+.1} %); `--renew` keeps that")
            }
            Self::Unknown { work } => write!(f, "{work} is new; `--renew` keeps it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(functions: &[(&str, f64)]) -> Baseline {
        let places = functions
            .iter()
            .map(|(name, count)| (Place { source: "a.rs".to_owned(), function: (*name).to_owned() }, *count));
        let work = Work::new("packet", &places.collect());
        let builders = Builders { rustc: "1".to_owned(), libc: "2".to_owned(), valgrind: "3".to_owned() };
        Baseline { builders, works: BTreeMap::from([("engine".to_owned(), work)]) }
    }

    fn check(before: &[(&str, f64)], now: &[(&str, f64)], expected: &str) {
        let findings = counted(before).compare(&counted(now));
        let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(said.join("; "), expected);
    }

    #[test]
    fn a_rise_names_the_function_that_grew() {
        let before = [("find", 300.0), ("track", 200.0), ("count", 500.0)];
        check(&before, &before, "");
        check(&before, &[("find", 310.0), ("track", 200.0), ("count", 509.0)], "");
        check(
            &before,
            &[("find", 345.0), ("track", 150.0), ("count", 500.0), ("new", 30.0)],
            "MORE: engine took 1000.0, takes 1025.0 (+2.5 %); most in a.rs find (300.0 to 345.0), \
             a.rs new (0.0 to 30.0)",
        );
    }

    #[test]
    fn what_fell_is_worth_keeping() {
        let less = "less: engine took 1000.0, takes 900.0 (-10.0 %); `--renew` keeps that";
        check(&[("find", 1000.0)], &[("find", 900.0)], less);
    }

    #[test]
    fn what_is_kept_comes_back() {
        let kept = counted(&[("find", 300.0), ("track", 0.25), ("count", 12.04)]);
        assert_eq!(Baseline::from_text(&kept.to_text().unwrap()).unwrap(), kept);
        assert_eq!(kept.works["engine"].functions.len(), 2, "of a small share");
        assert!(Baseline::from_text("{}").is_err());
    }
}
