//! What rules ask of the state about hosts, and what they do to it.

use std::sync::Arc;

use portcullis_host::{BitName, Counted, HostTable, Key, Limit, LimitKind, Ruling, Who};
use portcullis_wire::{Decoded, Timestamp};

use crate::address::AddressSet;
use crate::header::ports;
use crate::signature::Action;

/// State about hosts as [`RuleSet::inspect_with`](crate::RuleSet::inspect_with) needs it: the same table for
/// all workers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hosts<'a> {
    /// The table; without one nothing can be counted and no bit is ever set.
    pub table: Option<&'a HostTable>,
    /// The time; of a capture, the largest stamp read so far.
    pub now: Timestamp,
    /// The id of the packet's flow, for what is counted by flow.
    pub flow: Option<u64>,
    /// The packet's tenant.
    pub tenant: u16,
}

/// Whom a rule's matches are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Track {
    Source,
    Destination,
    Both,
    Rule,
    Flow,
}

/// A limit with what it counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) track: Track,
    pub(crate) limit: Limit,
    /// `unique_on`: not matches are counted, but how many values of this port they have.
    pub(crate) distinct: Option<PortOf>,
}

impl Filter {
    fn count(&self, table: &HostTable, key: &Key, packet: &Decoded, now: Timestamp) -> Counted {
        let Some(of) = self.distinct else { return table.count(key, &self.limit, now) };
        match (ports(packet), of) {
            (Some((port, _)), PortOf::Source) | (Some((_, port)), PortOf::Destination) => {
                table.count_distinct(key, port, &self.limit, now)
            }
            // A fragment, which shows none.
            (None, _) => Counted { ruling: self.limit.kind.without_state(), refused: false },
        }
    }
}

/// Which of a packet's ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortOf {
    Source,
    Destination,
}

/// Whose alerts are not wanted.
#[derive(Clone, Debug)]
pub(crate) enum Suppress {
    /// Nobody's.
    All,
    /// Those of packets from one of these addresses, or to one, or either.
    Hosts { source: bool, destination: bool, addresses: Arc<AddressSet> },
}

/// Whose bit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Source,
    Destination,
    /// Each of the two addresses has one of its own.
    Each,
    /// The two together.
    Pair,
}

/// What a match does to a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostChange {
    /// For so many seconds.
    Set(u32),
    Unset,
    /// Sets it for so many seconds, or unsets it.
    Toggle(u32),
}

/// A rule asks for bits.
#[derive(Clone, Debug)]
pub(crate) struct HostTest {
    pub(crate) owner: Owner,
    /// One of them is enough.
    pub(crate) names: Box<[BitName]>,
    pub(crate) set: bool,
}

/// All that a rule has to do with state about hosts.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostNeeds {
    pub(crate) tests: Vec<HostTest>,
    pub(crate) changes: Vec<(HostChange, Owner, BitName)>,
    pub(crate) suppress: Vec<Suppress>,
    /// `threshold` or `detection_filter`
    pub(crate) filter: Option<Filter>,
    /// Rate filters, and what the rule does instead while they are in force.
    pub(crate) rates: Vec<(Filter, Action)>,
}

/// What becomes of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Becomes {
    /// What the rule says.
    Itself,
    /// Its action without its alert.
    Silent,
    Nothing,
    /// Another action.
    Other(Action),
}

impl HostNeeds {
    pub(crate) fn is_none(&self) -> bool {
        self.tests.is_empty() && self.changes.is_empty() && !self.counts() && self.suppress.is_empty()
    }

    /// Does it need the table?
    pub(crate) fn uses_table(&self) -> bool {
        !self.tests.is_empty() || !self.changes.is_empty() || self.counts()
    }

    fn counts(&self) -> bool {
        self.filter.is_some() || !self.rates.is_empty()
    }

    /// Where it stands among rules of the same action, as in Suricata: by its bits of hosts, then by those of
    /// pairs; those that change bits before those that ask for them, and both before all others.
    pub(crate) fn order(&self) -> [u8; 2] {
        let order = |of_pairs: bool| {
            let is = |owner: Owner| (owner == Owner::Pair) == of_pairs;
            let changes = self.changes.iter().any(|(_, owner, _)| is(*owner));
            match (changes, self.tests.iter().any(|test| is(test.owner))) {
                (true, false) => 0,
                (true, true) => 1,
                (false, true) => 2,
                (false, false) => 3,
            }
        };
        [order(false), order(true)]
    }

    /// Are the bits as the rule wants them?
    pub(crate) fn met_by(&self, packet: &Decoded, hosts: &Hosts<'_>) -> bool {
        self.tests.iter().all(|test| test.met_by(packet, hosts))
    }

    /// Changes the bits after a match; gives how many there was no room for.
    pub(crate) fn change(&self, packet: &Decoded, hosts: &Hosts<'_>) -> u32 {
        let mut refused = 0;
        for (change, owner, name) in &self.changes {
            for who in owner.of(packet).into_iter().flatten() {
                let key = Key::bit(*name, who, hosts.tenant);
                let done = match (hosts.table, change) {
                    (None, _) => false,
                    (Some(table), HostChange::Set(seconds)) => table.set(&key, hosts.now, *seconds).is_ok(),
                    (Some(table), HostChange::Toggle(seconds)) => {
                        table.toggle(&key, hosts.now, *seconds).is_ok()
                    }
                    (Some(table), HostChange::Unset) => {
                        table.unset(&key, hosts.now);
                        true
                    }
                };
                refused += u32::from(!done);
            }
        }
        refused
    }

    /// Counts a match of the rule `gid`:`sid` and says what becomes of it, and how often it could not be
    /// counted for want of room.
    pub(crate) fn judge(
        &self,
        (gid, sid): (u32, u32),
        packet: &Decoded,
        hosts: &Hosts<'_>,
    ) -> (Becomes, u32) {
        if self.suppress.iter().any(|suppress| suppress.covers(packet)) {
            return (Becomes::Silent, 0);
        }
        let mut refused = 0;
        let mut count = |filter: &Filter, number: u8| {
            let key = |who| Key::matches(gid, sid, number, who, hosts.tenant);
            let counted = hosts.table.zip(filter.track.of(packet, hosts)).map(|(table, who)| {
                let counted = filter.count(table, &key(who), packet, hosts.now);
                refused += u32::from(counted.refused);
                counted.ruling
            });
            counted.unwrap_or_else(|| filter.limit.kind.without_state())
        };
        if let Some(filter) = &self.filter {
            match count(filter, filter.limit.kind.number()) {
                Ruling::Silent => return (Becomes::Silent, refused),
                Ruling::Nothing => return (Becomes::Nothing, refused),
                Ruling::Apply | Ruling::Replace => {}
            }
        }
        let mut becomes = Becomes::Itself;
        // Each has a count of its own, as each kind has.
        let first = LimitKind::Rate { timeout: 0 }.number();
        for ((filter, action), number) in self.rates.iter().zip(first..) {
            if count(filter, number) == Ruling::Replace {
                becomes = Becomes::Other(*action);
            }
        }
        (becomes, refused)
    }
}

impl Track {
    fn of(self, packet: &Decoded, hosts: &Hosts<'_>) -> Option<Who> {
        match self {
            Self::Rule => Some(Who::All),
            Self::Flow => hosts.flow.map(Who::Flow),
            _ if packet.ip_version == 0 => None,
            Self::Source => Some(source(packet)),
            Self::Destination => Some(destination(packet)),
            Self::Both => Some(pair(packet)),
        }
    }
}

impl Owner {
    /// The keepers of the bit; none where the packet has no addresses.
    fn of(self, packet: &Decoded) -> [Option<Who>; 2] {
        if packet.ip_version == 0 {
            return [None; 2];
        }
        match self {
            Self::Source => [Some(source(packet)), None],
            Self::Destination => [Some(destination(packet)), None],
            Self::Each => [Some(source(packet)), Some(destination(packet))],
            Self::Pair => [Some(pair(packet)), None],
        }
    }
}

fn source(packet: &Decoded) -> Who {
    Who::Host { version: packet.ip_version, address: packet.source }
}

fn destination(packet: &Decoded) -> Who {
    Who::Host { version: packet.ip_version, address: packet.destination }
}

fn pair(packet: &Decoded) -> Who {
    Who::Pair { version: packet.ip_version, addresses: [packet.source, packet.destination] }
}

impl HostTest {
    /// A bit of several keepers is set where all have it.
    fn met_by(&self, packet: &Decoded, hosts: &Hosts<'_>) -> bool {
        let owners = self.owner.of(packet);
        if owners == [None; 2] {
            return false;
        }
        let is_set = |name: BitName| {
            let has = |who| {
                let key = Key::bit(name, who, hosts.tenant);
                hosts.table.is_some_and(|table| table.is_set(&key, hosts.now))
            };
            owners.into_iter().flatten().all(has)
        };
        self.names.iter().any(|name| is_set(*name) == self.set)
    }
}

impl Suppress {
    fn covers(&self, packet: &Decoded) -> bool {
        match self {
            Self::All => true,
            Self::Hosts { source, destination, addresses } => {
                let has = |address| packet.ip_version != 0 && addresses.contains(packet.ip_version, address);
                *source && has(&packet.source) || *destination && has(&packet.destination)
            }
        }
    }
}
