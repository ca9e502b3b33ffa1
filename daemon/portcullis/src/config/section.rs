//! Reading a table against what is known about it: every key is asked for by name, and what was
//! never asked for is reported at the end, as one of suricata.yaml's settings or as a mistake.

use super::diagnostic::{Diagnostic, Place};
use super::known;
use super::tree::{Entry, Node, Table, Value};
use super::value::Setting;
use std::cell::RefCell;
use std::ops::RangeInclusive;

/// Faults and remarks gathered while reading.
pub(crate) type Notes = RefCell<Vec<Diagnostic>>;

/// A table being read.
#[derive(Debug)]
pub(crate) struct Section<'t> {
    path: String,
    table: Option<&'t Table>,
    asked: Vec<&'static str>,
    notes: &'t Notes,
}

impl<'t> Section<'t> {
    /// The whole tree.
    pub(crate) fn root(table: &'t Table, notes: &'t Notes) -> Self {
        Self { path: String::new(), table: Some(table), asked: Vec::new(), notes }
    }

    /// The value at `key`, or `default` where there is none or a bad one (which is reported).
    pub(crate) fn or<T: Setting>(&mut self, key: &'static str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// The value at `key`, if there is a good one.
    pub(crate) fn optional<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        let entry = self.entry(key)?;
        match T::read(&entry.node) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.bad_value(key, &reason, &entry.node.place);
                None
            }
        }
    }

    /// As [`or`](Self::or), with the values that make sense.
    pub(crate) fn within<T>(&mut self, key: &'static str, default: T, range: RangeInclusive<T>) -> T
    where
        T: Setting + PartialOrd + Copy + std::fmt::Display,
    {
        let Some(value) = self.optional::<T>(key) else { return default };
        if range.contains(&value) {
            return value;
        }
        let reason = format!("{value} is not within {} to {}", range.start(), range.end());
        self.bad_value(key, &reason, &self.place(key));
        default
    }

    /// Reads the table at `key`, whole, with `read`; an empty one where there is none.
    pub(crate) fn section<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'t>) -> T) -> T {
        let table = self.entry(key).and_then(|entry| match &entry.node.value {
            Value::Table(table) => Some(table),
            other => {
                let reason = format!("expected a table, found {}", other.describe());
                self.bad_value(key, &reason, &entry.node.place);
                None
            }
        });
        let mut inner = Section { path: self.name(key), table, asked: Vec::new(), notes: self.notes };
        let value = read(&mut inner);
        inner.finish();
        value
    }

    /// Reads each table of the array of tables at `key`.
    pub(crate) fn sections<T>(&mut self, key: &'static str, read: impl Fn(&mut Section<'t>) -> T) -> Vec<T> {
        let Some(entry) = self.entry(key) else { return Vec::new() };
        let Value::Array(items) = &entry.node.value else {
            let reason =
                format!("expected [[{}]] tables, found {}", self.name(key), entry.node.value.describe());
            self.bad_value(key, &reason, &entry.node.place);
            return Vec::new();
        };
        let one = |(index, item): (usize, &'t Node)| {
            let path = format!("{}[{index}]", self.name(key));
            let Value::Table(table) = &item.value else {
                let reason = format!("expected a table, found {}", item.value.describe());
                self.bad_value(key, &reason, &item.place);
                return None;
            };
            let mut inner = Section { path, table: Some(table), asked: Vec::new(), notes: self.notes };
            let value = read(&mut inner);
            inner.finish();
            Some(value)
        };
        items.iter().enumerate().filter_map(one).collect()
    }

    /// The table `name` in this one, found among its [`free_entries`](Self::free_entries); to be ended with
    /// [`finish`](Self::finish).
    pub(crate) fn inner(&self, name: &str, table: &'t Table) -> Section<'t> {
        Section { path: self.name(name), table: Some(table), asked: Vec::new(), notes: self.notes }
    }

    /// Every entry, for tables whose keys are names that the user chose.
    pub(crate) fn free_entries(&mut self) -> impl Iterator<Item = (&'t str, &'t Entry)> + use<'t> {
        let table = self.table.take();
        table.into_iter().flatten().map(|(key, entry)| (key.as_str(), entry))
    }

    /// The value at `key`, if there is a good one, without a word about a bad one.
    pub(crate) fn peek<T: Setting>(&self, key: &str) -> Option<T> {
        let entry = self.table.and_then(|table| table.get(key))?;
        T::read(&entry.node).ok()
    }

    /// Where the value of `key` stands.
    pub(crate) fn place(&self, key: &str) -> Place {
        let entry = self.table.and_then(|table| table.get(key));
        entry.map_or(Place::Nowhere, |entry| entry.node.place.clone())
    }

    /// Is `key` set at all?
    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Is `key` set to a table?
    pub(crate) fn is_table(&self, key: &str) -> bool {
        let entry = self.table.and_then(|table| table.get(key));
        entry.is_some_and(|entry| matches!(entry.node.value, Value::Table(_)))
    }

    /// The full name of `key`.
    pub(crate) fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Reports a value that cannot be used.
    pub(crate) fn bad_value(&self, key: &str, reason: &str, place: &Place) {
        self.note(Diagnostic::error(format!("bad value for `{}`: {reason}", self.name(key)), place.clone()));
    }

    /// Reports anything.
    pub(crate) fn note(&self, diagnostic: Diagnostic) {
        self.notes.borrow_mut().push(diagnostic);
    }

    /// Reports the keys that nobody asked for.
    pub(crate) fn finish(self) {
        for (key, entry) in self.table.into_iter().flatten() {
            if !self.asked.contains(&key.as_str()) {
                self.unknown(key, entry);
            }
        }
    }

    fn entry(&mut self, key: &'static str) -> Option<&'t Entry> {
        self.asked.push(key);
        self.table.and_then(|table| table.get(key))
    }

    fn unknown(&self, key: &str, entry: &Entry) {
        let name = self.name(key);
        match known::look_up(&name) {
            Some(known::Meaning::None(why)) => self
                .note(Diagnostic::warning(format!("`{name}` has no effect here: {why}"), entry.key.clone())),
            Some(known::Meaning::Elsewhere(ours)) => self.note(
                Diagnostic::error(format!("`{name}` is set elsewhere here"), entry.key.clone())
                    .with_help(format!("use `{ours}`")),
            ),
            None => {
                let error = Diagnostic::error(format!("unknown setting `{name}`"), entry.key.clone());
                let near = nearest(key, self.asked.iter().copied().chain(known::names_under(&self.path)));
                self.note(match near {
                    Some(near) => error.with_help(format!("did you mean `{}`?", self.name(near))),
                    None => error,
                });
            }
        }
    }
}

/// The candidate that `text` was most likely meant to be: at most a third of its letters differ.
pub(crate) fn nearest<'c>(text: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let text = text.to_ascii_lowercase().replace('_', "-");
    let most = text.chars().count().div_ceil(3);
    candidates
        .map(|candidate| (strsim::osa_distance(&text, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, candidate)| candidate)
}
