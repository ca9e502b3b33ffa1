//! `requires`: what a rule needs of the engine.

use super::{Entry, Setting, Takes};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["requires"], takes: Takes::Value, setup };

/// The version of Suricata whose rule language this is.
const VERSION: [u32; 3] = [8, 0, 0];

/// `feature NAME`, `keyword NAME` and `version CONDITION [| CONDITION …]`, several separated by commas. A rule
/// whose needs are not met is refused: it would not do what it says.
fn setup(_: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    for part in setting.value.list() {
        let text = part.text()?;
        let (name, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let value = value.trim();
        let met = match name {
            "version" => {
                let conditions = value.split('|').map(|condition| version(condition.trim()));
                let conditions: Option<Vec<bool>> = conditions.collect();
                let fault = || Fault::new(part.at, format!("`{value}` is not a condition on a version"));
                conditions.ok_or_else(fault)?.contains(&true)
            }
            "keyword" => super::is_known(value),
            // There are no optional features.
            "feature" => false,
            _ => return Err(Fault::new(part.at, format!("unknown requirement `{name}`"))),
        };
        if !met {
            return Err(Fault::new(part.at, format!("the rule requires `{text}`, which this is not")));
        }
    }
    Ok(())
}

/// Does our version fulfil conditions like `>= 7.0.4 < 8`? `None` where they are none.
fn version(conditions: &str) -> Option<bool> {
    let mut met = true;
    let mut rest = conditions;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| letter.is_ascii_digit())?;
        let (operator, after) = rest.split_at(digits);
        let end = after.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(after.len());
        let (number, after) = after.split_at(end);
        let mut wanted = [0; 3];
        for (index, part) in number.split('.').enumerate() {
            *wanted.get_mut(index)? = part.parse().ok()?;
        }
        met &= match operator.trim() {
            ">=" => VERSION >= wanted,
            "<=" => VERSION <= wanted,
            ">" => VERSION > wanted,
            "<" => VERSION < wanted,
            _ => return None,
        };
        rest = after.trim_start();
    }
    Some(met)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared() {
        let check = |text: &str, expect: Option<bool>| assert_eq!(version(text), expect, "{text}");
        check(">= 7.0.4", Some(true));
        check(">=7.0.4 < 8", Some(false));
        check("< 8.0.1", Some(true));
        check("> 8", Some(false));
        check("7", None);
        check("", None);
        check(">= x", None);
    }
}
