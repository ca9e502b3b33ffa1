//! `stats` events: the counters as a tree, by the dots in their names. How the tree goes is found out once, since names
//! never change.

use super::Scope;
use crate::clock::Stamp;
use portcullis_event::{Counters, RuleCounts, StatsRecord};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::collections::HashMap;

/// The places of counters in the order in which the tree has them: each child of a branch where its first counter
/// stands, wherever its others are.
#[derive(Debug)]
pub(crate) struct TreeOrder(Vec<usize>);

impl TreeOrder {
    pub(crate) fn new() -> Self {
        let mut first_places = HashMap::new();
        for (place, name) in Counters::NAMES.iter().enumerate() {
            for path in paths(name) {
                first_places.entry(path).or_insert(place);
            }
        }
        let first_place = |path| first_places.get(path).copied();
        let mut order: Vec<usize> = (0..Counters::NAMES.len()).collect();
        order.sort_by_cached_key(|place| {
            let name = Counters::NAMES.get(*place).copied().unwrap_or_default();
            paths(name).map(first_place).collect::<Vec<_>>()
        });
        Self(order)
    }
}

/// The branches that lead to a counter, from the root on, and its whole name.
fn paths(name: &str) -> impl Iterator<Item = &str> {
    let dots = name.match_indices('.').map(|(dot, _)| dot);
    dots.chain([name.len()]).filter_map(|end| name.get(..end))
}

#[derive(Debug, Serialize)]
pub(crate) struct StatsEvent<'a> {
    timestamp: Stamp,
    event_type: &'static str,
    stats: StatsObject<'a>,
}

pub(crate) fn stats<'a>(scope: &mut Scope<'a>, record: &StatsRecord) -> StatsEvent<'a> {
    StatsEvent {
        timestamp: scope.stamp(record.timestamp),
        event_type: "stats",
        stats: StatsObject {
            uptime: record.uptime,
            counters: record.counters.iter().collect(),
            order: &scope.counters.0,
            engine: record.rules.map(|rules| Engine::new(scope, rules)),
        },
    }
}

#[derive(Debug)]
struct StatsObject<'a> {
    uptime: u64,
    counters: Vec<(&'static str, u64)>,
    order: &'a [usize],
    engine: Option<Engine>,
}

impl Serialize for StatsObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("uptime", &self.uptime)?;
        let Self { counters, order, engine, .. } = self;
        Branch { counters, order, path: "", engine: engine.as_ref() }.put_children(&mut map)?;
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
    /// All there are.
    counters: &'a [(&'static str, u64)],
    /// The places of this branch's, child by child.
    order: &'a [usize],
    path: &'a str,
    engine: Option<&'a Engine>,
}

/// Where Suricata tells of its rule sets, among the counters.
const ENGINES_PATH: &str = "detect.";

impl Branch<'_> {
    fn put_children<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        if let Some(engine) = self.engine.filter(|_| self.path == ENGINES_PATH) {
            map.serialize_entry("engines", &[engine])?;
        }
        let mut rest = self.order;
        while let Some((name, value)) = rest.first().and_then(|place| self.counters.get(*place)) {
            let key = name.get(self.path.len()..).unwrap_or_default();
            let Some((key, _)) = key.split_once('.') else {
                map.serialize_entry(key, value)?;
                rest = rest.get(1..).unwrap_or_default();
                continue;
            };
            let path = name.get(..self.path.len() + key.len() + 1).unwrap_or_default();
            let is_below =
                |place: &usize| self.counters.get(*place).is_some_and(|(name, _)| name.starts_with(path));
            let end = rest.iter().position(|place| !is_below(place)).unwrap_or(rest.len());
            let (order, others) = rest.split_at(end);
            map.serialize_entry(key, &Branch { order, path, ..*self })?;
            rest = others;
        }
        Ok(())
    }
}

impl Serialize for Branch<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.put_children(&mut map)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Leaves below a path as a reader finds them who has each child once, where its first counter stands.
    fn leaves<'n>(names: &[&'n str], path: &str, found: &mut Vec<&'n str>) {
        let child = |name: &'n str| name.strip_prefix(path).and_then(|rest| rest.split('.').next());
        let mut seen = Vec::new();
        for name in names {
            let Some(key) = child(name).filter(|key| !seen.contains(key)) else { continue };
            seen.push(key);
            match *name == format!("{path}{key}") {
                true => found.push(name),
                false => leaves(names, &format!("{path}{key}."), found),
            }
        }
    }

    #[test]
    fn each_child_stands_where_its_first_counter_does() {
        let mut expected = Vec::new();
        leaves(Counters::NAMES, "", &mut expected);
        let TreeOrder(order) = TreeOrder::new();
        assert_eq!(order.iter().map(|place| Counters::NAMES[*place]).collect::<Vec<_>>(), expected);
    }
}
