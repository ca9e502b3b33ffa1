//! `stats` events: the counters as a tree, by the dots in their names.

use super::Scope;
use crate::clock::Stamp;
use portcullis_event::{RuleCounts, StatsRecord};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

#[derive(Debug, Serialize)]
pub(crate) struct StatsEvent {
    timestamp: Stamp,
    event_type: &'static str,
    stats: StatsObject,
}

pub(crate) fn stats(scope: &mut Scope<'_>, record: &StatsRecord) -> StatsEvent {
    StatsEvent {
        timestamp: scope.stamp(record.timestamp),
        event_type: "stats",
        stats: StatsObject {
            uptime: record.uptime,
            counters: record.counters.iter().collect(),
            engine: record.rules.map(|rules| Engine::new(scope, rules)),
        },
    }
}

#[derive(Debug)]
struct StatsObject {
    uptime: u64,
    counters: Vec<(&'static str, u64)>,
    engine: Option<Engine>,
}

impl Serialize for StatsObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("uptime", &self.uptime)?;
        Branch { counters: &self.counters, path: "", engine: self.engine.as_ref() }.put_children(&mut map)?;
        map.end()
    }
}

/// The rule set of one detection engine; we have one.
#[derive(Debug, Serialize)]
struct Engine {
    id: u32,
    last_reload: Stamp,
    rules_loaded: u64,
    rules_failed: u64,
    rules_skipped: u64,
}

impl Engine {
    fn new(scope: &mut Scope<'_>, rules: RuleCounts) -> Self {
        Self {
            id: 0,
            last_reload: scope.stamp(rules.last_reload),
            rules_loaded: rules.loaded,
            rules_failed: rules.failed,
            rules_skipped: rules.skipped,
        }
    }
}

/// The counters whose names begin with a path; it is empty or ends with a dot.
struct Branch<'a> {
    counters: &'a [(&'static str, u64)],
    path: &'a str,
    engine: Option<&'a Engine>,
}

/// Where Suricata tells of its rule sets, among the counters.
const ENGINES_PATH: &str = "detect.";

impl Branch<'_> {
    /// Each child once, where its first counter stands, wherever in the table its others are.
    fn put_children<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        if let Some(engine) = self.engine.filter(|_| self.path == ENGINES_PATH) {
            map.serialize_entry("engines", &[engine])?;
        }
        for (index, &(name, value)) in self.counters.iter().enumerate() {
            let Some(key) = self.child(name) else { continue };
            let mut earlier = self.counters.iter().take(index);
            if earlier.any(|(other, _)| self.child(other) == Some(key)) {
                continue;
            }
            let path_length = self.path.len() + key.len() + 1;
            match name.get(..path_length) {
                None => map.serialize_entry(key, &value)?,
                Some(path) => map.serialize_entry(key, &Branch { path, ..*self })?,
            }
        }
        Ok(())
    }

    /// The child of this branch that a counter belongs to, if it is in this branch at all.
    fn child<'n>(&self, name: &'n str) -> Option<&'n str> {
        let rest = name.strip_prefix(self.path)?;
        Some(rest.split_once('.').map_or(rest, |(key, _)| key))
    }
}

impl Serialize for Branch<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.put_children(&mut map)?;
        map.end()
    }
}
