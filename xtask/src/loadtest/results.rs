//! Everything that was measured, number by number, as the raw JSON has it; tables and plots are made of this alone.

use portcullis_trial::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::machine::Machine;
use super::statistics::Spread;

/// What a run leaves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    /// Where, when and with what.
    pub(crate) machine: Machine,
    /// Every number.
    pub(crate) samples: Vec<Sample>,
    /// Every trial of the load generator, with what it was told and what it said.
    pub(crate) trials: Vec<Trial>,
    /// What `cargo xtask profile` wrote, where it did.
    pub(crate) profile: Option<Value>,
    /// What a reader has to know beside the numbers.
    pub(crate) notes: Vec<String>,
}

/// What a number is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Key {
    /// The scenario, as on the command line.
    pub(crate) scenario: String,
    /// What stood between the hosts: Portcullis or a peer.
    pub(crate) subject: String,
    /// What varies within the scenario, in words: a size, a number of flows.
    pub(crate) case: String,
    /// The same as a number, where it is one.
    pub(crate) x: Option<f64>,
}

/// One number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    #[serde(flatten)]
    pub(crate) key: Key,
    /// What was measured.
    pub(crate) quantity: String,
    /// In what.
    pub(crate) unit: String,
    /// In which round, from 0.
    pub(crate) round: usize,
    pub(crate) value: f64,
}

/// One trial of the load generator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Trial {
    #[serde(flatten)]
    pub(crate) key: Key,
    pub(crate) round: usize,
    /// Its arguments.
    pub(crate) command: Vec<String>,
    /// What it printed.
    pub(crate) outcome: Outcome,
}

impl Key {
    pub(crate) fn new(scenario: &str, subject: &str, case: impl Into<String>, x: Option<f64>) -> Self {
        Self { scenario: scenario.to_owned(), subject: subject.to_owned(), case: case.into(), x }
    }
}

impl Results {
    /// Adds a number.
    pub(crate) fn add(&mut self, key: &Key, round: usize, quantity: &str, unit: &str, value: f64) {
        let (quantity, unit) = (quantity.to_owned(), unit.to_owned());
        self.samples.push(Sample { key: key.clone(), quantity, unit, round, value });
    }

    /// The numbers of one quantity in one case.
    pub(crate) fn spread(&self, scenario: &str, subject: &str, case: &str, quantity: &str) -> Option<Spread> {
        let of = |sample: &&Sample| {
            let Key { scenario: of_scenario, subject: of_subject, case: of_case, .. } = &sample.key;
            (of_scenario.as_str(), of_subject.as_str(), of_case.as_str(), sample.quantity.as_str())
                == (scenario, subject, case, quantity)
        };
        let values: Vec<f64> = self.samples.iter().filter(of).map(|sample| sample.value).collect();
        Spread::of(&values)
    }

    /// The median of them.
    pub(crate) fn median(&self, scenario: &str, subject: &str, case: &str, quantity: &str) -> Option<f64> {
        self.spread(scenario, subject, case, quantity).map(|spread| spread.median)
    }

    /// How many trials of a set rate there were, and in how many of them the sender fell behind by a tenth. Searches
    /// ask for more than it can do, so they do not count.
    pub(crate) fn behind(&self) -> (usize, usize) {
        let rates =
            self.trials.iter().filter(|trial| ["latency", "cost"].contains(&trial.key.scenario.as_str()));
        let of = |trial: &Trial| {
            Some((f64::from(trial.outcome.trial.rate.per_second()?), trial.outcome.offered_pps))
        };
        let all: Vec<(f64, f64)> = rates.filter_map(of).filter(|(asked, _)| *asked > 1.0).collect();
        (all.len(), all.iter().filter(|(asked, offered)| *offered < asked * 0.9).count())
    }

    /// The scenarios that left numbers, in the order that they were first measured in.
    pub(crate) fn scenarios(&self) -> Vec<&str> {
        distinct(self.samples.iter().map(|sample| sample.key.scenario.as_str()))
    }

    /// Who took part in a scenario.
    pub(crate) fn subjects(&self, scenario: &str) -> Vec<&str> {
        let mut subjects = distinct(self.of(scenario).map(|sample| sample.key.subject.as_str()));
        // Rounds begin with another one each; readers want the same order everywhere.
        subjects.sort_by_key(|subject| super::subject::rank(subject));
        subjects
    }

    /// The cases of a scenario, with their numbers, least first where they have some.
    pub(crate) fn cases(&self, scenario: &str) -> Vec<(&str, Option<f64>)> {
        let mut cases: Vec<(&str, Option<f64>)> = Vec::new();
        for sample in self.of(scenario) {
            if !cases.iter().any(|(case, _)| *case == sample.key.case) {
                cases.push((&sample.key.case, sample.key.x));
            }
        }
        cases.sort_by(|(_, one), (_, other)| {
            one.unwrap_or(f64::INFINITY).total_cmp(&other.unwrap_or(f64::INFINITY))
        });
        cases
    }

    /// The quantities of a scenario with their units.
    pub(crate) fn quantities(&self, scenario: &str) -> Vec<(&str, &str)> {
        distinct(self.of(scenario).map(|sample| (sample.quantity.as_str(), sample.unit.as_str())))
    }

    fn of(&self, scenario: &str) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.key.scenario == scenario)
    }
}

/// Each once, in the order of their first appearance.
fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.fold(Vec::new(), |mut found, one| {
        if !found.contains(&one) {
            found.push(one);
        }
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_again_by_what_they_are_about() {
        let mut results = Results::default();
        let key = |case: &str, x| Key::new("flows", "portcullis", case, Some(x));
        for (round, value) in [5.0, 1.0, 3.0].into_iter().enumerate() {
            results.add(&key("1000", 1000.0), round, "throughput", "packets/s", value);
            results.add(&key("1", 1.0), round, "throughput", "packets/s", value * 2.0);
        }
        results.add(&Key::new("bursts", "bridge", "64", None), 0, "burst", "frames", 7.0);
        assert_eq!(results.median("flows", "portcullis", "1000", "throughput"), Some(3.0));
        assert_eq!(results.median("flows", "bridge", "1000", "throughput"), None);
        assert_eq!(results.scenarios(), ["flows", "bursts"]);
        assert_eq!(results.cases("flows"), [("1", Some(1.0)), ("1000", Some(1000.0))]);
        assert_eq!(results.quantities("bursts"), [("burst", "frames")]);
        let text = serde_json::to_string(&results).unwrap();
        let again: Results = serde_json::from_str(&text).unwrap();
        assert_eq!(again.samples, results.samples);
    }
}
