//! Fragments: each is put to the others of its datagram, and the one that completes it is judged by the
//! whole. Inline a fragment that may not go out is dropped, whatever rules say of it; and of a datagram of
//! which a fragment was dropped nothing more goes out.

use super::{Case, Judge};
use crate::policy::ExceptionTarget;
use crate::settings::EngineSettings;
use portcullis_capture::{DropReason, Packet, PacketMeta, Verdict};
use portcullis_defrag::{
    DefragEvent, DefragStats, Defragmenter, Insertion, MAX_DATAGRAM, Outcome, Refusal, SetupError, Ticket,
};
use portcullis_event::PacketSource;
use portcullis_flow::FlowTable;
use portcullis_wire::decoded::DecodeEvent;
use portcullis_wire::{Decoded, LinkType, Timestamp};

/// Datagrams that are judged within each other: one whose whole carries, in a tunnel, the last fragment of
/// another one, and so on.
const NESTED: usize = 4;

/// The fragments of one worker.
#[derive(Debug)]
pub(crate) struct Fragments {
    defragmenter: Defragmenter,
    /// Where wholes are put together; those in use are taken out.
    buffers: Vec<Vec<u8>>,
}

impl Fragments {
    /// # Errors
    /// The worker's share of `defrag.memcap` is too small.
    pub(crate) fn new(settings: &EngineSettings, workers: u8) -> Result<Self, SetupError> {
        Ok(Self {
            defragmenter: Defragmenter::new(&settings.defrag, workers, settings.seed)?,
            buffers: vec![vec![0; MAX_DATAGRAM]; NESTED],
        })
    }

    /// Forgets datagrams whose time is over, a bounded number of places looked at.
    pub(crate) fn sweep(&mut self, now: Timestamp, budget: usize) {
        self.defragmenter.sweep(now, budget);
    }

    /// What was counted.
    pub(crate) fn stats(&self) -> DefragStats {
        self.defragmenter.stats()
    }
}

impl Judge {
    /// Judges a fragment, and the datagram that it completes.
    #[cold]
    pub(super) fn fragment(
        &mut self,
        table: &mut FlowTable,
        decoded: &Decoded,
        packet: &mut Packet<'_>,
    ) -> Verdict {
        let insertion = if self.settings.faults.defrag_memcap(packet.meta.id) {
            Insertion { outcome: Outcome::Refused(Refusal::Memory), event: Some(DefragEvent::Ignored) }
        } else {
            let set = self.unwrapping.scopes.at(packet.meta.ingress).inline_set;
            self.fragments.defragmenter.insert(decoded, packet.bytes(), set, packet.meta.clock)
        };
        let mut remarked = *decoded;
        if let Some(event) = insertion.event {
            remarked.events.insert(named(event, decoded.ip_version));
        }
        match insertion.outcome {
            Outcome::Refused(refusal) => self.refused(refusal, &remarked, packet),
            Outcome::Taken(ticket) | Outcome::Duplicate(ticket) => {
                let verdict = self.apply_rules(&mut Case { decoded: &remarked, flow: None }, packet);
                self.fragments.defragmenter.conclude(ticket, verdict == Verdict::Accept);
                verdict
            }
            Outcome::Complete(ticket) => {
                let alone = self.apply_rules(&mut Case { decoded: &remarked, flow: None }, packet);
                let verdict = match alone {
                    Verdict::Accept => self.completing(table, &remarked, packet, &ticket),
                    other => other,
                };
                self.fragments.defragmenter.conclude(ticket, verdict == Verdict::Accept);
                verdict
            }
        }
    }

    /// A fragment that was not taken in.
    fn refused(&mut self, refusal: Refusal, decoded: &Decoded, packet: &Packet<'_>) -> Verdict {
        let mut case = Case { decoded, flow: None };
        if refusal.is_exhaustion() {
            let decided = self.exception(ExceptionTarget::DefragMemcap, &mut case, packet);
            return decided.unwrap_or_else(|| self.apply_rules(&mut case, packet));
        }
        let judged = self.apply_rules(&mut case, packet);
        if judged == Verdict::Accept && self.settings.drops_from(packet.meta.ingress) {
            self.report_drop(&mut case, packet, DropReason::DefragError, None);
            return Verdict::Drop(DropReason::DefragError);
        }
        judged
    }

    /// What the datagram means for the fragment that completes it.
    fn completing(
        &mut self,
        table: &mut FlowTable,
        decoded: &Decoded,
        packet: &Packet<'_>,
        ticket: &Ticket,
    ) -> Verdict {
        let mut buffer = self.fragments.buffers.pop().unwrap_or_default();
        let whole = self.whole(table, decoded, packet, ticket, &mut buffer);
        if !buffer.is_empty() {
            self.fragments.buffers.push(buffer);
        }
        let reason = match whole {
            Some(Verdict::Accept) => return Verdict::Accept,
            // What is nested deeper than anybody needs is not looked into, and does not get through.
            None if self.settings.drops_from(packet.meta.ingress) => DropReason::DefragError,
            None => return Verdict::Accept,
            Some(_) => DropReason::TunnelPacketDrop,
        };
        self.report_drop(&mut Case { decoded, flow: None }, packet, reason, None);
        Verdict::Drop(reason)
    }

    /// Puts the datagram together and judges it; `None` where there is no buffer for it.
    fn whole(
        &mut self,
        table: &mut FlowTable,
        decoded: &Decoded,
        packet: &Packet<'_>,
        ticket: &Ticket,
        buffer: &mut [u8],
    ) -> Option<Verdict> {
        let datagram = self.fragments.defragmenter.assemble(ticket, buffer)?;
        // What stands before a packet that has no link header is of an encapsulation.
        let bare = matches!(decoded.link, LinkType::Raw | LinkType::Ipv4 | LinkType::Ipv6);
        let frame = if bare { datagram.frame.get_mut(datagram.ip_start..)? } else { datagram.frame };
        let link = if bare || datagram.ip_start == 0 { raw(decoded.link) } else { decoded.link };
        let mut described = self.unwrapping.decoder.decode_reassembled(decoded, link, frame);
        // A tag that the device took off is in no fragment's bytes.
        described.vlans = decoded.vlans;
        let carrier = self.origin.map_or(0, |origin| origin.carrier);
        let mut whole = Packet::new(frame, PacketMeta { link, vlan: None, ..packet.meta });
        let verdict = self.derived(table, decoded, &described, &mut whole, PacketSource::Defrag, carrier);
        if self.rejected.is_some() {
            // An ICMP error quotes the fragment, as whoever sent it knows it.
            self.rejected_as = Some(Decoded { ip: decoded.ip, ..described });
        }
        Some(verdict)
    }
}

/// A link type without header, that of the fragment where it has none.
const fn raw(link: LinkType) -> LinkType {
    match link {
        LinkType::Ipv4 | LinkType::Ipv6 => link,
        _ => LinkType::Raw,
    }
}

const fn named(event: DefragEvent, ip_version: u8) -> DecodeEvent {
    match (event, ip_version) {
        (DefragEvent::Overlap, 6) => DecodeEvent::Ipv6FragmentOverlap,
        (DefragEvent::Overlap, _) => DecodeEvent::Ipv4FragmentOverlap,
        (DefragEvent::TooLarge, 6) => DecodeEvent::Ipv6FragmentTooLarge,
        (DefragEvent::TooLarge, _) => DecodeEvent::Ipv4FragmentTooLarge,
        (DefragEvent::Ignored, 6) => DecodeEvent::Ipv6FragmentIgnored,
        (DefragEvent::Ignored, _) => DecodeEvent::Ipv4FragmentIgnored,
    }
}
