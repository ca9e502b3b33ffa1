//! What the engine keeps beside flows for their records, where the records show it: columns that are there
//! only then, so that flows stay small otherwise. Both are charged to `flow.memcap`.

use crate::settings::RecordSettings;
use portcullis_event::{
    self as event, Counters, Ether, ExceptionPolicy, ExceptionTarget, Mac, PolicyTargets,
};
use portcullis_flow::portable::Reader;
use portcullis_flow::{Counts, Direction, Flow, Storage, StorageId};

/// Most Ethernet addresses that are kept of a flow in each direction, as in Suricata; others are not shown.
const MOST_MACS: usize = 10;

/// The columns that there are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Columns {
    macs: Option<StorageId<MacSet>>,
    policies: Option<StorageId<PolicyTargets>>,
    offloaded: Option<StorageId<Offloaded>>,
}

impl Columns {
    /// Adds those that the records need.
    pub(crate) fn add(storage: &mut Storage, records: &RecordSettings) -> Self {
        let flows = records.flow || records.netflow;
        Self {
            macs: if records.ethernet && flows { storage.add_column() } else { None },
            policies: if records.exception_policy && flows { storage.add_column() } else { None },
            offloaded: None,
        }
    }

    /// With what is kept of flows whose packets are answered elsewhere.
    pub(crate) fn with_offloaded(self, storage: &mut Storage) -> Self {
        Self { offloaded: storage.add_column(), ..self }
    }

    /// What is kept of a flow that may be answered elsewhere; `None` where nothing is.
    pub(crate) fn offloaded(&self, flow: &Flow<'_>) -> Option<Offloaded> {
        self.offloaded.and_then(|id| flow.stored(id)).copied()
    }

    /// The same to write; `None` where no flow is answered elsewhere.
    pub(crate) fn offloaded_mut<'f>(&self, flow: &'f mut Flow<'_>) -> Option<&'f mut Offloaded> {
        let id = self.offloaded?;
        if flow.stored(id).is_none() {
            // The column is of this table, so there is room.
            let _ = flow.store(id, Offloaded::default());
        }
        flow.stored_mut(id)
    }

    /// The packets of a flow that were answered elsewhere; `None` where none were.
    pub(crate) fn answered(&self, flow: &Flow<'_>) -> Option<event::Counts> {
        let [to_server, to_client] = self.offloaded(flow)?.counts;
        let counts = event::Counts {
            pkts_toserver: to_server.packets,
            pkts_toclient: to_client.packets,
            bytes_toserver: to_server.bytes,
            bytes_toclient: to_client.bytes,
        };
        Some(counts).filter(|counts| counts.pkts_toserver + counts.pkts_toclient > 0)
    }

    /// Are Ethernet addresses kept?
    pub(crate) const fn keeps_macs(&self) -> bool {
        self.macs.is_some()
    }

    /// Keeps a packet's Ethernet addresses with its flow.
    pub(crate) fn note_macs(
        &self,
        flow: &mut Flow<'_>,
        direction: Direction,
        ether: Ether<'_>,
        counters: &mut Counters,
    ) {
        let Some(id) = self.macs else { return };
        let ([source, ..], [destination, ..]) = (ether.source, ether.destination) else { return };
        if flow.stored(id).is_none() {
            // The column is of this table, so there is room.
            let _ = flow.store(id, MacSet::default());
        }
        let Some(set) = flow.stored_mut(id) else { return };
        let (client, server) = match direction {
            Direction::ToServer => (source, destination),
            Direction::ToClient => (destination, source),
        };
        let most = |counter: &mut u64, kept: &Macs| *counter = (*counter).max(u64::from(kept.count));
        if set.source.note(client) {
            most(&mut counters.decoder_max_mac_addrs_src, &set.source);
        }
        if set.destination.note(server) {
            most(&mut counters.decoder_max_mac_addrs_dst, &set.destination);
        }
    }

    /// Keeps with a flow that a policy was applied to it.
    pub(crate) fn note_policy(&self, flow: &mut Flow<'_>, target: ExceptionTarget, policy: ExceptionPolicy) {
        let Some(id) = self.policies else { return };
        let mut applied = flow.stored(id).copied().unwrap_or_default();
        applied.set(target, policy);
        // As above.
        let _ = flow.store(id, applied);
    }

    /// The Ethernet addresses of a flow's ends.
    pub(crate) fn macs<'f>(&self, flow: &'f Flow<'_>) -> Ether<'f> {
        let set = self.macs.and_then(|id| flow.stored(id));
        set.map_or_else(Ether::default, |set| Ether {
            source: set.source.as_slice(),
            destination: set.destination.as_slice(),
        })
    }

    /// The policies that were applied to a flow.
    pub(crate) fn policies(&self, flow: &Flow<'_>) -> PolicyTargets {
        self.policies.and_then(|id| flow.stored(id)).copied().unwrap_or_default()
    }
}

/// What records show of a flow, on its way from another process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shown {
    macs: MacSet,
    policies: PolicyTargets,
    offloaded: Option<Offloaded>,
}

impl Columns {
    /// Appends what is kept of a flow, as [`read`](Self::read) reads it.
    pub(crate) fn tell(&self, flow: &Flow<'_>, out: &mut Vec<u8>) {
        let Ether { source, destination } = self.macs(flow);
        for macs in [source, destination] {
            out.push(u8::try_from(macs.len()).unwrap_or(0));
            out.extend_from_slice(macs.as_flattened());
        }
        let policies = self.policies(flow);
        out.push(u8::try_from(policies.iter().count()).unwrap_or(0));
        for (target, policy) in policies.iter() {
            let target = ExceptionTarget::ALL.iter().position(|other| *other == target);
            let policy = ExceptionPolicy::ALL.iter().position(|other| *other == policy);
            out.extend([target, policy].map(|place| place.and_then(|at| u8::try_from(at).ok()).unwrap_or(0)));
        }
        let offloaded = self.offloaded(flow);
        out.push(u8::from(offloaded.is_some()));
        if let Some(Offloaded { counts, condemned_by, .. }) = offloaded {
            for word in counts.iter().flat_map(|counts| [counts.packets, counts.bytes]) {
                out.extend(word.to_le_bytes());
            }
            let (gid, sid) = condemned_by.unwrap_or_default();
            out.extend([gid, sid].map(u32::to_le_bytes).as_flattened());
        }
    }

    /// Takes that from bytes; `None` where they are something else.
    pub(crate) fn read(&self, reader: &mut Reader<'_>) -> Option<Shown> {
        let mut shown = Shown::default();
        for macs in [&mut shown.macs.source, &mut shown.macs.destination] {
            for _ in 0..reader.u8()? {
                macs.note(&reader.array()?).then_some(())?;
            }
        }
        for _ in 0..reader.u8()? {
            let target = ExceptionTarget::ALL.get(usize::from(reader.u8()?))?;
            let policy = ExceptionPolicy::ALL.get(usize::from(reader.u8()?))?;
            shown.policies.set(*target, *policy);
        }
        if reader.u8()? != 0 {
            let mut kept = Offloaded { rules_version: u32::MAX, ..Offloaded::default() };
            for counts in &mut kept.counts {
                counts.packets = reader.u64()?;
                counts.bytes = reader.u64()?;
            }
            let ids = (reader.u32()?, reader.u32()?);
            kept.condemned_by = Some(ids).filter(|ids| *ids != (0, 0));
            shown.offloaded = Some(kept);
        }
        Some(shown)
    }

    /// Keeps with a flow what was read, as far as there are columns for it.
    pub(crate) fn restore(&self, flow: &mut Flow<'_>, shown: Shown) {
        if let Some(id) = self.macs.filter(|_| shown.macs.source.count + shown.macs.destination.count > 0) {
            // The column is of this table, so there is room.
            let _ = flow.store(id, shown.macs);
        }
        if let Some(id) = self.policies.filter(|_| !shown.policies.is_empty()) {
            // As above.
            let _ = flow.store(id, shown.policies);
        }
        if let Some(kept) = shown.offloaded
            && let Some(offloaded) = self.offloaded_mut(flow)
        {
            *offloaded = kept;
        }
    }
}

/// A flow that is decided, and whose packets somebody else may answer; pairs are by direction, to the server first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Offloaded {
    /// What was answered.
    pub(crate) counts: [Counts; 2],
    /// When it was last put forward, in seconds; 0 for never.
    pub(crate) offered: [u32; 2],
    /// The rule that condemned it: gid and sid.
    pub(crate) condemned_by: Option<(u32, u32)>,
    /// Of the rules that were last seen to have that one.
    pub(crate) rules_version: u32,
}

/// The Ethernet addresses of a flow's packets: on the client's side, and on the server's.
#[derive(Clone, Copy, Debug, Default)]
struct MacSet {
    source: Macs,
    destination: Macs,
}

/// Addresses in the order they were seen.
#[derive(Clone, Copy, Debug, Default)]
struct Macs {
    macs: [Mac; MOST_MACS],
    count: u8,
}

impl Macs {
    fn as_slice(&self) -> &[Mac] {
        self.macs.get(..usize::from(self.count)).unwrap_or_default()
    }

    /// `true` if it is new and there was room for it.
    fn note(&mut self, mac: &Mac) -> bool {
        if self.as_slice().contains(mac) {
            return false;
        }
        let Some(place) = self.macs.get_mut(usize::from(self.count)) else { return false };
        *place = *mac;
        self.count += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_kept_once_in_order_and_up_to_the_bound() {
        let mut macs = Macs::default();
        for round in 0..2 {
            for last in 0..20_u8 {
                let kept = macs.note(&[2, 0, 0, 0, 0, last]);
                assert_eq!(kept, round == 0 && last < 10, "{last}");
            }
        }
        let last: Vec<u8> = macs.as_slice().iter().map(|mac| mac[5]).collect();
        assert_eq!(last, (0..10).collect::<Vec<u8>>());
        assert!(size_of::<Option<MacSet>>() <= 124, "what a flow pays for it");
    }
}
