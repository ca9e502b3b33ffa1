//! What every worker's state does alike: lend a batch of parcels, and take up the outbox.

use super::parcel::{Cargo, Fate, Parcel};
use crate::burst::{BURST, Burst, Judgement, Packet, PacketMeta, PacketState};
use crate::frame::Frame;
use crate::module::CaptureStats;
use crate::outbox::{Forged, MAX_FORGED, Origin, Outbox};
use arrayvec::ArrayVec;
use portcullis_wire::{LinkType, Timestamp};

/// Parcels for forged frames that each state has: no burst is taken up from the source before
/// [`MAX_FORGED`] of them are free, so that none is ever refused for want of one but where forged
/// frames beget forged frames without end.
pub(super) const RESERVE: usize = 2 * MAX_FORGED;

/// Up to a burst of parcels.
pub(super) type Batch = ArrayVec<Box<Parcel>, BURST>;

/// Lends the batch; one judgement a parcel.
pub(super) fn lend(
    batch: &mut Batch,
    outbox: &mut Outbox,
    inspect: &mut dyn FnMut(&mut Burst<'_>),
) -> ArrayVec<Judgement, BURST> {
    let mut burst = Burst::new(outbox);
    for parcel in batch.iter_mut() {
        let Frame { bytes, meta } = &mut parcel.frame;
        burst.push(Packet::new(bytes, *meta));
    }
    inspect(&mut burst);
    burst.into_judgements()
}

/// The outbox and the parcels that carry its packets.
#[derive(Debug)]
pub(super) struct Forge {
    pub(super) outbox: Outbox,
    #[expect(clippy::vec_box, reason = "parcels travel as boxes, which are made once")]
    reserve: Vec<Box<Parcel>>,
    worker: usize,
    link: LinkType,
    pass_through: bool,
}

impl Forge {
    /// The forge of `worker`, whose packets start with `link`.
    pub(super) fn new(worker: usize, link: LinkType, pass_through: bool) -> Self {
        let mut forge = Self { outbox: Outbox::default(), reserve: Vec::new(), worker, link, pass_through };
        forge.replenish(RESERVE);
        forge
    }

    /// Is there a parcel for whatever one burst may forge?
    pub(super) fn is_stocked(&self) -> bool {
        self.reserve.len() >= MAX_FORGED
    }

    /// Takes a parcel of this reserve back.
    pub(super) fn take_back(&mut self, parcel: Box<Parcel>) {
        self.reserve.push(parcel);
    }

    /// Makes up for parcels that were lost with a worker.
    pub(super) fn replenish(&mut self, count: usize) {
        for _ in 0..count {
            let cargo = Cargo::Forged { reserve: self.worker, origin: Origin::Engine };
            self.reserve.push(Parcel::boxed(cargo));
        }
    }

    /// Empties the outbox: every packet becomes a parcel, or is refused and counted.
    pub(super) fn take_up(
        &mut self,
        clock: Timestamp,
        stats: &mut CaptureStats,
        mut send: impl FnMut(Box<Parcel>),
    ) {
        for forged in self.outbox.forged() {
            let parcel = if self.pass_through { None } else { self.reserve.pop() };
            let Some(mut parcel) = parcel else {
                stats.forged_refused += 1;
                continue;
            };
            fill(&mut parcel, &forged, self.worker, self.link, clock);
            stats.forged += 1;
            send(parcel);
        }
        self.outbox.clear();
    }
}

fn fill(parcel: &mut Parcel, forged: &Forged<'_>, worker: usize, link: LinkType, clock: Timestamp) {
    parcel.cargo = Cargo::Forged { reserve: worker, origin: forged.origin };
    parcel.fate = Fate::Unjudged;
    parcel.frame.bytes.clear();
    parcel.frame.bytes.extend_from_slice(forged.bytes);
    parcel.frame.meta = PacketMeta {
        id: 0,
        timestamp: clock,
        clock,
        wire_length: u32::try_from(forged.bytes.len()).unwrap_or(u32::MAX),
        ingress: forged.egress.peer(),
        link,
        state: PacketState::Forged,
        ..PacketMeta::default()
    };
}
