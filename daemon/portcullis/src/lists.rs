//! Lists of addresses as the configuration names them: read, checked, put together into what the kernel gets.

use crate::config::{
    BypassConfig, Config, CopyMode, ListAction, ListConfig, ListDirection, ListsConfig, Vars,
};
use crate::exit::Failure;
use portcullis_bpf::{Bypass, ListPolicy, ListRoom};
use portcullis_lists::net::Nets;
use portcullis_lists::{Change, Checks, List, ListId, Marks, Report, Table};
use std::fmt::Write as _;

/// References of groups to groups that are followed.
const DEPTH: usize = 8;

/// The least room, in entries, where the configuration does not say how much.
const LEAST_ROOM: u32 = 65_536;

/// Bytes of the shortest lines that there are many of. Most are nearly twice as long, which leaves room for more.
const LINE: u64 = 8;

/// One list, as its files had it when they were read last.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: ListConfig,
    pub(crate) list: List,
}

/// All lists, the allow-list first where there is one.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    pub(crate) all: Vec<Loaded>,
    /// Is the first one the allow-list?
    has_allowlist: bool,
}

impl Lists {
    /// Reads all that the configuration names.
    ///
    /// # Errors
    /// One cannot be read, or nothing in it can be used.
    pub(crate) fn read(config: &Config) -> Result<Self, Failure> {
        let mut all = Vec::new();
        for list in config.lists.allow.iter().chain(&config.lists.block) {
            let read = read_one(list, config).map_err(Failure::Input)?;
            all.push(Loaded { config: list.clone(), list: read });
        }
        Ok(Self { all, has_allowlist: config.lists.allow.is_some() })
    }

    /// One table of all of them.
    pub(crate) fn table(&self) -> Table {
        Table::new(self.numbered().map(|(id, loaded)| (id, &loaded.list.set)))
    }

    /// What being on them means.
    pub(crate) fn policy(&self, config: &Config) -> ListPolicy {
        let mut policy = ListPolicy {
            forward: config.copy_mode != CopyMode::Ids,
            sample_every: config.lists.sample_every,
            sample_most: config.lists.sample_most,
            ..ListPolicy::default()
        };
        for (id, Loaded { config: list, .. }) in self.numbered() {
            let mark = Marks::of(id);
            if list.direction != ListDirection::Dst {
                policy.sources = policy.sources.or(mark);
            }
            if list.direction != ListDirection::Src {
                policy.destinations = policy.destinations.or(mark);
            }
            if self.has_allowlist && id.number() == 0 {
                policy.allow = mark;
            } else if list.action == ListAction::Drop && config.copy_mode == CopyMode::Ips {
                // Where nothing may be dropped, a list tells what it would have dropped.
                policy.drop = policy.drop.or(mark);
            }
        }
        policy
    }

    /// Reads one list anew, or with `None` all of them: what came of it in words.
    ///
    /// # Errors
    /// Why the old ones stay, all of them: there is none of that name, one cannot be read, or more of one changes
    /// than may, unless `force` says so.
    pub(crate) fn reload(
        &mut self,
        name: Option<&str>,
        force: bool,
        config: &Config,
    ) -> Result<(Self, String), String> {
        let is_meant = |loaded: &Loaded| name.is_none_or(|name| loaded.config.name == name);
        if let Some(name) = name
            && !self.all.iter().any(is_meant)
        {
            return Err(format!("there is no list called {name:?}"));
        }
        let (mut all, mut said) = (Vec::new(), String::new());
        for loaded in &self.all {
            let list = if is_meant(loaded) {
                let list = read_one(&loaded.config, config)?;
                let change = Change::between(&loaded.list.set, &list.set);
                let name = &loaded.config.name;
                if change.is_above(config.lists.max_change) && !force {
                    return Err(too_much(name, change, config.lists.max_change));
                }
                let Change { added, removed, .. } = change;
                let _ = write!(said, "{name}: {} entries, {added} new, {removed} gone; ", list.set.len());
                list
            } else {
                loaded.list.clone()
            };
            all.push(Loaded { config: loaded.config.clone(), list });
        }
        let said = said.trim_end_matches("; ").to_owned();
        Ok((Self { all, has_allowlist: self.has_allowlist }, said))
    }

    /// The lists with their numbers in a table.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (ListId, &Loaded)> + Clone {
        self.all.iter().enumerate().filter_map(|(number, loaded)| Some((ListId::new(number)?, loaded)))
    }

    /// Says what was left out.
    pub(crate) fn remark(&self) {
        for Loaded { config, list } in &self.all {
            let Report { lines, bad, faults, merged } = &list.report;
            for fault in faults {
                tracing::warn!("{fault}");
            }
            if *bad > faults.len() as u64 {
                tracing::warn!(
                    "{}: {bad} of {lines} lines cannot be used, of which these are the first",
                    config.name
                );
            }
            let merged = merged.duplicates + merged.covered;
            tracing::info!(
                "list {}: {} entries, {merged} more were in it already",
                config.name,
                list.set.len()
            );
        }
    }
}

/// How much room the kernel's tables are to have. Told from the files' sizes, for who sets up the kernel has privileges
/// and reads nothing that strangers may have written.
pub(crate) fn room(config: &ListsConfig) -> ListRoom {
    if config.is_empty() {
        return ListRoom::default();
    }
    if let Some(most) = config.max_entries {
        return ListRoom::any(most.get());
    }
    let files = config.allow.iter().chain(&config.block).flat_map(|list| &list.files);
    let bytes: u64 = files.map(|file| std::fs::metadata(file).map_or(0, |file| file.len())).sum();
    ListRoom::any(u32::try_from(bytes / LINE).unwrap_or(u32::MAX).max(LEAST_ROOM))
}

/// Bypasses as the kernel gets them.
pub(crate) fn bypasses(config: &Config) -> Vec<Bypass> {
    let bypass = |bypass: &BypassConfig| {
        let BypassConfig { network, peer, protocol, ports, .. } = bypass.clone();
        Bypass { network, peer, protocol, ports }
    };
    config.lists.bypasses.iter().map(bypass).collect()
}

fn too_much(name: &str, change: Change, most: u8) -> String {
    let Change { before, added, removed } = change;
    format!(
        "list {name}: {added} entries would come and {removed} go, of {before}, and that is more than {most} % \
         (lists.max-change): `portcullis ctl list reload {name} --force` does it all the same"
    )
}

fn read_one(list: &ListConfig, config: &Config) -> Result<List, String> {
    let is_allowlist = config.lists.allow.as_ref().is_some_and(|allow| allow.name == list.name);
    // What is one's own may be exempted from blocklists, but not blocked.
    let own = if is_allowlist { Nets::default() } else { own_networks(&config.vars) };
    let checks = Checks { own, refuse_special: !is_allowlist, force: list.force };
    List::read(&list.files, &checks).map_err(|error| format!("list {}: {error}", list.name))
}

/// The networks that `HOME_NET` names, but for those that it excludes: an exception is nobody else's.
fn own_networks(vars: &Vars) -> Nets {
    let mut nets = Nets::default();
    collect(vars, "$HOME_NET", DEPTH, &mut nets);
    nets
}

/// What stands behind a `!` is skipped, with all that is within its brackets.
fn collect(vars: &Vars, group: &str, depth: usize, nets: &mut Nets) {
    let (mut level, mut skipped) = (0_usize, None);
    let mut rest = group;
    while let Some(letter) = rest.chars().next() {
        match letter {
            '[' => level += 1,
            ']' => {
                level = level.saturating_sub(1);
                skipped = skipped.filter(|from| level > *from);
            }
            '!' => skipped = skipped.or(Some(level)),
            ',' => skipped = skipped.filter(|from| level > *from),
            _ => {
                let end = rest.find([',', '[', ']', '!']).unwrap_or(rest.len());
                let (item, after) = rest.split_at(end);
                if skipped.is_none() {
                    add(vars, item.trim(), depth, nets);
                }
                rest = after;
                continue;
            }
        }
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
    }
}

fn add(vars: &Vars, item: &str, depth: usize, nets: &mut Nets) {
    if let Some(name) = item.strip_prefix('$') {
        if let (Some(group), Some(depth)) = (vars.address_groups.get(name), depth.checked_sub(1)) {
            collect(vars, group, depth, nets);
        }
        return;
    }
    let (address, length) = item.split_once('/').unwrap_or((item, "128"));
    // A group may hold what is no network ("any"): then nobody says what is one's own.
    if let (Ok(address), Ok(length)) = (address.parse(), length.parse()) {
        nets.add(address, length);
    }
}

#[cfg(test)]
mod tests;
