//! Which rules a packet has to be asked about: by protocol, direction and port, then by a search for all
//! their patterns at once.
//!
//! Per protocol class and direction, rules that name few server-side ports are kept by interval of ports;
//! all others are in one wide group beside them. A rule is in at most [`INTERVALS_MAX`] of these groups, so
//! memory grows with the number of rules and not with how their ports overlap; a packet is searched at
//! most twice.

use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};

use portcullis_wire::Decoded;

use crate::address_index::AddressIndex;
use crate::header::{Protocol, number, ports};
use crate::header_table::HeaderTable;
use crate::matcher::{Filter, Matcher};
use crate::outcome::Unjudged;
use crate::pattern::FastPattern;
use crate::port::PortSet;
use crate::rule::{Kind, Rule};
use portcullis_flow::Direction;

/// In how many port intervals a rule may be before it is moved to the wide group.
const INTERVALS_MAX: usize = 16;

/// What kind of packet rules are grouped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Tcp,
    Udp,
    Icmp,
    OtherIp,
    /// Not IP, or not decodable: for `pkthdr` rules only.
    NotIp,
}

impl Class {
    const ALL: [Self; 5] = [Self::Tcp, Self::Udp, Self::Icmp, Self::OtherIp, Self::NotIp];

    fn of(packet: &Decoded) -> Self {
        if packet.invalid.is_some() || packet.ip_version == 0 {
            return Self::NotIp;
        }
        match packet.protocol {
            number::TCP => Self::Tcp,
            number::UDP => Self::Udp,
            number::ICMP | number::ICMPV6 => Self::Icmp,
            _ => Self::OtherIp,
        }
    }

    /// Can a rule of `protocol` match packets of this class?
    fn takes(self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::PacketHeader => true,
            Protocol::Ip | Protocol::Ipv4 | Protocol::Ipv6 => self != Self::NotIp,
            Protocol::Tcp | Protocol::TcpPacket | Protocol::TcpStream => self == Self::Tcp,
            Protocol::Udp => self == Self::Udp,
            Protocol::Icmp | Protocol::Icmpv4 | Protocol::Icmpv6 => self == Self::Icmp,
            Protocol::Sctp => self == Self::OtherIp,
        }
    }
}

/// All groups of a rule set.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// By class, as in [`Class::ALL`].
    classes: Vec<ClassGroups>,
    /// Patterns in the largest group.
    pub(crate) patterns_max: usize,
}

#[derive(Debug)]
struct ClassGroups {
    /// IP-only rules by their addresses, and those that name too many.
    ip_only: AddressIndex,
    ip_only_broad: Vec<u32>,
    /// Rules on decoder events, ascending.
    events: Vec<u32>,
    to_server: PortGroups,
    to_client: PortGroups,
}

/// The groups to ask about one packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection<'a> {
    pub(crate) ip_only: &'a AddressIndex,
    pub(crate) ip_only_broad: &'a [u32],
    pub(crate) events: &'a [u32],
    pub(crate) wide: &'a Group,
    /// With a filter for both groups.
    pub(crate) narrow: Option<(&'a Group, &'a Filter)>,
}

impl Groups {
    pub(crate) fn build(rules: &[Rule]) -> Self {
        let classes: Vec<_> = Class::ALL.iter().map(|&class| ClassGroups::build(class, rules)).collect();
        let directions = classes.iter().flat_map(|class| [&class.to_server, &class.to_client]);
        let groups =
            directions.flat_map(|ports| ports.narrow.iter().map(|(group, _)| group).chain([&ports.wide]));
        let patterns_max = groups.map(|group| group.rules_of.len()).max().unwrap_or(0);
        Self { classes, patterns_max }
    }

    /// Bytes of memory that the search structures take.
    pub(crate) fn memory(&self) -> usize {
        let of_ports = |ports: &PortGroups| {
            let narrow = ports.narrow.iter().map(|(group, filter)| group.memory() + filter.memory());
            narrow.sum::<usize>() + ports.wide.memory()
        };
        let of_class = |class: &ClassGroups| {
            class.ip_only.memory() + of_ports(&class.to_server) + of_ports(&class.to_client)
        };
        self.classes.iter().map(of_class).sum()
    }

    /// The groups for `packet`. A packet without flow is taken as one to the server.
    pub(crate) fn select(
        &self,
        packet: &Decoded,
        direction: Option<Direction>,
        has_events: bool,
    ) -> Option<Selection<'_>> {
        let class = self.classes.get(Class::of(packet) as usize)?;
        let port = ports(packet);
        let (groups, port) = match direction {
            Some(Direction::ToClient) => (&class.to_client, port.map(|(source, _)| source)),
            Some(Direction::ToServer) | None => (&class.to_server, port.map(|(_, destination)| destination)),
        };
        let narrow = port.and_then(|port| groups.narrow(port));
        let events = if has_events { &class.events[..] } else { &[] };
        let (ip_only, ip_only_broad) = (&class.ip_only, class.ip_only_broad.as_slice());
        Some(Selection { ip_only, ip_only_broad, events, wide: &groups.wide, narrow })
    }
}

impl ClassGroups {
    fn build(class: Class, rules: &[Rule]) -> Self {
        let members = || (0_u32..).zip(rules).filter(|(_, rule)| class.takes(rule.header.protocol));
        let of_kind = |kind| members().filter(move |(_, rule)| rule.kind == kind).map(|(id, _)| id).collect();
        let side = |direction: Direction| {
            let members = members().filter(|(_, rule)| {
                !matches!(rule.kind, Kind::IpOnly | Kind::Event)
                    && rule.flow.direction.is_none_or(|asked| asked == direction)
            });
            PortGroups::build(&members.collect::<Vec<_>>(), direction, rules)
        };
        let (ip_only, events): (Vec<u32>, _) = (of_kind(Kind::IpOnly), of_kind(Kind::Event));
        let (ip_only, ip_only_broad) = AddressIndex::build(&ip_only, rules);
        Self {
            ip_only,
            ip_only_broad,
            events,
            to_server: side(Direction::ToServer),
            to_client: side(Direction::ToClient),
        }
    }
}

#[derive(Debug)]
struct PortGroups {
    wide: Group,
    /// First port of each interval, ascending from 0, and its place in `narrow`.
    intervals: Vec<(u16, Option<usize>)>,
    /// Each with a filter for it and the wide group.
    narrow: Vec<(Group, Filter)>,
}

impl PortGroups {
    fn narrow(&self, port: u16) -> Option<(&Group, &Filter)> {
        let after = self.intervals.partition_point(|&(first, _)| first <= port);
        let (_, group) = self.intervals.get(after.checked_sub(1)?)?;
        self.narrow.get((*group)?).map(|(group, filter)| (group, filter))
    }

    fn build(members: &[(u32, &Rule)], direction: Direction, rules: &[Rule]) -> Self {
        let keyed: Vec<_> = members.iter().map(|&(id, rule)| (id, server_ports(rule, direction))).collect();
        let mut starts = BTreeSet::from([0_u16]);
        for (first, last) in keyed.iter().filter_map(|(_, key)| key.as_ref()).flat_map(PortSet::spans) {
            starts.insert(*first);
            starts.extend(last.checked_add(1));
        }
        let starts: Vec<u16> = starts.into_iter().collect();
        let mut by_interval: Vec<Vec<u32>> = vec![Vec::new(); starts.len()];
        let mut wide = Vec::new();
        for (id, key) in &keyed {
            let covered: Option<Vec<_>> = key.as_ref().map(|key| intervals_of(key, &starts).collect());
            match covered {
                Some(intervals) if intervals.len() <= INTERVALS_MAX => {
                    for interval in intervals {
                        by_interval[interval].push(*id);
                    }
                }
                _ => wide.push(*id),
            }
        }
        let wide = Group::build(&wide, rules);
        // Intervals with the same rules share one group.
        let mut known: HashMap<Vec<u32>, usize> = HashMap::new();
        let mut narrow = Vec::new();
        let mut intervals = Vec::with_capacity(starts.len());
        for (first, ids) in starts.into_iter().zip(by_interval) {
            let group = (!ids.is_empty()).then(|| {
                *known.entry(ids).or_insert_with_key(|ids| {
                    let group = Group::build(ids, rules);
                    let filter = wide.matcher.joint_filter(&group.matcher);
                    narrow.push((group, filter));
                    narrow.len() - 1
                })
            });
            intervals.push((first, group));
        }
        Self { wide, intervals, narrow }
    }
}

/// The places in `starts` of the intervals that `ports` covers; its ends are interval ends.
fn intervals_of<'a>(ports: &'a PortSet, starts: &'a [u16]) -> impl Iterator<Item = usize> + 'a {
    ports.spans().iter().flat_map(move |&(first, last)| {
        starts.partition_point(|&start| start < first)..starts.partition_point(|&start| start <= last)
    })
}

/// The ports that the server side of a packet in `direction` may have; `None` for any.
fn server_ports(rule: &Rule, direction: Direction) -> Option<PortSet> {
    let (source, destination) = (rule.header.source.ports.as_ref(), rule.header.destination.ports.as_ref());
    let key = match direction {
        Direction::ToServer => destination,
        Direction::ToClient => source,
    };
    if rule.header.both_ways { Some(source?.clone().union(destination?)) } else { key.cloned() }
}

/// Rules to be asked together.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) matcher: Matcher,
    /// Rules by pattern, as the matcher numbers them.
    rules_of: Box<[Box<[u32]>]>,
    /// Rules without a pattern.
    pub(crate) headers: HeaderTable,
    /// Rules with a pattern, and whether one of them drops: what is not known if a search is cut short.
    pub(crate) searched: Unjudged,
}

impl Group {
    fn build(ids: &[u32], rules: &[Rule]) -> Self {
        let mut patterns: BTreeMap<&FastPattern, Vec<u32>> = BTreeMap::new();
        let mut always = Vec::new();
        let mut searched = Unjudged::default();
        for &id in ids {
            let Some(rule) = rules.get(id as usize) else { continue };
            match &rule.fast_pattern {
                Some(pattern) => {
                    patterns.entry(pattern).or_default().push(id);
                    searched.rules += 1;
                    searched.drop |= rule.drops();
                }
                None => always.push(id),
            }
        }
        let matcher = Matcher::build(&patterns.keys().copied().collect::<Vec<_>>());
        let rules_of: Box<[Box<[u32]>]> = patterns.into_values().map(Vec::into_boxed_slice).collect();
        for number in matcher.everywhere() {
            always.extend(rules_of.get(*number as usize).into_iter().flatten());
        }
        always.sort_unstable();
        Self { matcher, rules_of, headers: HeaderTable::build(&always, rules), searched }
    }

    /// The rules with this pattern.
    pub(crate) fn rules_of(&self, pattern: u32) -> &[u32] {
        self.rules_of.get(pattern as usize).map_or(&[], |rules| rules)
    }

    /// Bytes of memory it takes.
    fn memory(&self) -> usize {
        let lists: usize = self.rules_of.iter().map(|rules| rules.len() * 4 + 16).sum();
        self.matcher.memory() + self.headers.memory() + lists
    }
}
