//! Tables of the numbers, for either form of the report: headings and cells as text.

use serde_json::Value;

use super::super::figures::{self, Figure};
use super::super::results::Results;
use super::super::statistics::Spread;
use super::plot::short;

/// A table before it is set.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// The figures that the project wants to reach, then one table for each scenario.
pub(crate) fn all(results: &Results) -> Vec<Table> {
    let mut tables = vec![marks(&figures::all(results))];
    tables.extend(results.scenarios().into_iter().map(|scenario| of_scenario(results, scenario)));
    if let Some(profile) = &results.profile {
        let rows: Vec<_> =
            stages(profile).into_iter().map(|(name, cost)| vec![name, short(cost).to_string()]).collect();
        if !rows.is_empty() {
            let head = ["stage", "instructions a packet"].map(str::to_owned).to_vec();
            tables.push(Table { title: "profile".to_owned(), head, rows });
        }
    }
    tables
}

fn marks(figures: &[Figure]) -> Table {
    let rows = figures.iter().map(|figure| {
        let met = match figure.met {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "not measured in this run",
        };
        vec![figure.what.to_owned(), figure.mark.to_owned(), figure.measured.clone(), met.to_owned()]
    });
    Table {
        title: "figures to reach".to_owned(),
        head: ["figure", "mark", "measured", ""].map(str::to_owned).to_vec(),
        rows: rows.collect(),
    }
}

/// A row for each subject and case, a column for each quantity.
fn of_scenario(results: &Results, scenario: &str) -> Table {
    let quantities = results.quantities(scenario);
    let mut head = vec!["subject".to_owned(), "case".to_owned()];
    head.extend(
        quantities.iter().map(
            |(name, unit)| {
                if unit.is_empty() { (*name).to_owned() } else { format!("{name} [{unit}]") }
            },
        ),
    );
    let mut rows = Vec::new();
    for (case, _) in results.cases(scenario) {
        for subject in results.subjects(scenario) {
            let spreads: Vec<_> =
                quantities.iter().map(|(name, _)| results.spread(scenario, subject, case, name)).collect();
            if spreads.iter().any(Option::is_some) {
                let cells = spreads.into_iter().map(cell);
                rows.push([subject.to_owned(), case.to_owned()].into_iter().chain(cells).collect());
            }
        }
    }
    Table { title: scenario.to_owned(), head, rows }
}

fn cell(spread: Option<Spread>) -> String {
    match spread {
        None => String::new(),
        Some(spread) => with_range(spread),
    }
}

/// The median, and the range where there is one.
pub(crate) fn with_range(spread: Spread) -> String {
    if spread.least < spread.most {
        format!("{} ({} to {})", short(spread.median), short(spread.least), short(spread.most))
    } else {
        short(spread.median).to_string()
    }
}

/// The stages of a profile and what each costs, the dearest first.
pub(crate) fn stages(profile: &Value) -> Vec<(String, f64)> {
    let number = |value: &Value| {
        let fields = ["instructions", "per_packet", "instructions_per_packet", "cost"];
        value.as_f64().or_else(|| fields.iter().find_map(|name| value.get(name)?.as_f64()))
    };
    let name = |value: &Value| {
        ["stage", "name"].iter().find_map(|name| value.get(name)?.as_str()).map(str::to_owned)
    };
    let mut stages: Vec<(String, f64)> = match profile.get("stages") {
        Some(Value::Object(stages)) => {
            stages.iter().filter_map(|(name, value)| Some((name.clone(), number(value)?))).collect()
        }
        Some(Value::Array(stages)) => {
            stages.iter().filter_map(|value| Some((name(value)?, number(value)?))).collect()
        }
        _ => Vec::new(),
    };
    stages.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    stages
}
