//! The sessions' memory: places that never move, and chains of what is free. Also the places of the
//! alternatives that a handshake may still turn to.

use crate::session::{self, Session};
use crate::settings::SetupError;
use crate::stats::StreamStats;

/// No place: the end of a chain.
pub(crate) const NONE: u32 = u32::MAX;

/// SYNs and SYN/ACKs that wait to turn out the right ones, over all sessions of a worker.
const ALTERNATIVES: usize = 4096;

/// A session's place in its worker's [`Streams`](crate::Streams). Kept with the flow; good until the
/// session is [released](crate::Streams::release).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamHandle(pub(crate) u32);

impl StreamHandle {
    /// As an opaque number, for those who keep it: never 0.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        self.0.wrapping_add(1)
    }

    /// From what [`to_bits`](Self::to_bits) gave; `None` for 0.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        match bits.checked_sub(1) {
            Some(place) => Some(Self(place)),
            None => None,
        }
    }
}

/// Bytes of one session.
pub(crate) const SESSION_BYTES: u64 = size_of::<Session>() as u64;

/// The sessions of a worker.
#[derive(Debug)]
pub(crate) struct Arena {
    /// Those that are not [live](session::LIVE) are chained by `queue`.
    places: Vec<Session>,
    free: u32,
    /// Most places there may be.
    capacity: u32,
    alternatives: Vec<Alternative>,
    free_alternatives: u32,
}

impl Arena {
    /// Reserves memory for as many sessions as `share` bytes hold, and opens `prealloc` of them.
    pub(crate) fn reserve(share: u64, prealloc: u32) -> Result<Self, SetupError> {
        let capacity = (share / SESSION_BYTES).min(u64::from(NONE - 1));
        let capacity = u32::try_from(capacity).unwrap_or(NONE - 1);
        let mut places = Vec::new();
        places.try_reserve_exact(capacity as usize).map_err(|error| SetupError::Memory {
            setting: "stream.memcap",
            bytes: u64::from(capacity) * SESSION_BYTES,
            reason: error.to_string(),
        })?;
        let mut arena = Self {
            places,
            free: NONE,
            capacity,
            alternatives: Vec::with_capacity(ALTERNATIVES),
            free_alternatives: NONE,
        };
        for place in 0..prealloc.min(capacity) {
            arena.places.push(Session { queue: arena.free, ..Session::default() });
            arena.free = place;
        }
        Ok(arena)
    }

    /// Bytes in use, free places that were opened included.
    pub(crate) fn memuse(&self) -> u64 {
        self.places.len() as u64 * SESSION_BYTES
    }

    /// A fresh session; `None` when memcap is reached.
    pub(crate) fn take(&mut self, stats: &mut StreamStats) -> Option<StreamHandle> {
        let fresh = Session { marks: session::LIVE, ..Session::default() };
        if let Some(place) = self.places.get_mut(self.free as usize) {
            stats.ssn_from_cache += 1;
            let next = std::mem::replace(place, fresh).queue;
            return Some(StreamHandle(std::mem::replace(&mut self.free, next)));
        }
        let opened = u32::try_from(self.places.len()).ok().filter(|len| *len < self.capacity)?;
        self.places.push(fresh);
        stats.ssn_from_pool += 1;
        Some(StreamHandle(opened))
    }

    /// Takes a session away from its handle, whose alternatives are gone then.
    pub(crate) fn release(&mut self, handle: StreamHandle) -> Option<Session> {
        let mut session = *self.get(handle)?;
        self.forget_alternatives(&mut session);
        let place = self.places.get_mut(handle.0 as usize)?;
        *place = Session { queue: self.free, ..Session::default() };
        self.free = handle.0;
        Some(session)
    }

    pub(crate) fn get(&self, handle: StreamHandle) -> Option<&Session> {
        self.places.get(handle.0 as usize).filter(|session| session.has(session::LIVE))
    }

    pub(crate) fn get_mut(&mut self, handle: StreamHandle) -> Option<&mut Session> {
        self.parts(handle).map(|(session, _)| session)
    }

    /// A session beside the alternatives of all.
    pub(crate) fn parts(&mut self, handle: StreamHandle) -> Option<(&mut Session, Alternatives<'_>)> {
        let Self { places, alternatives, free_alternatives, .. } = self;
        let session = places.get_mut(handle.0 as usize).filter(|session| session.has(session::LIVE))?;
        Some((session, Alternatives { places: alternatives, free: free_alternatives }))
    }

    fn forget_alternatives(&mut self, session: &mut Session) {
        let Self { alternatives, free_alternatives, .. } = self;
        Alternatives { places: alternatives, free: free_alternatives }.clear(session);
    }
}

/// A SYN or SYN/ACK that was sent beside the one a session goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Alternative {
    /// Its sequence number.
    pub(crate) seq: u32,
    pub(crate) window: u32,
    pub(crate) timestamp: Option<u32>,
    pub(crate) scale: Option<u8>,
    /// The next one of its session; the arena's.
    pub(crate) next: u32,
}

/// The alternatives of all sessions of a worker.
#[derive(Debug)]
pub(crate) struct Alternatives<'a> {
    places: &'a mut Vec<Alternative>,
    free: &'a mut u32,
}

impl Alternatives<'_> {
    /// Remembers one more for the session, unless it has `most` of them or there is no room: `false`
    /// then. One with the same number is taken for a retransmission.
    pub(crate) fn add(&mut self, session: &mut Session, most: u8, new: Alternative) -> bool {
        if self.find(session, new.seq).is_some() {
            return true;
        }
        if session.queued >= most {
            return false;
        }
        let new = Alternative { next: session.queue, ..new };
        let place = if let Some(place) = self.places.get_mut(*self.free as usize) {
            let next = place.next;
            *place = new;
            std::mem::replace(self.free, next)
        } else if self.places.len() < ALTERNATIVES {
            self.places.push(new);
            u32::try_from(self.places.len() - 1).unwrap_or(NONE)
        } else {
            return false;
        };
        session.queue = place;
        session.queued += 1;
        true
    }

    /// The one with this sequence number.
    pub(crate) fn find(&self, session: &Session, seq: u32) -> Option<Alternative> {
        let mut at = session.queue;
        while let Some(alternative) = self.places.get(at as usize) {
            if alternative.seq == seq {
                return Some(*alternative);
            }
            at = alternative.next;
        }
        None
    }

    /// Forgets those of the session.
    pub(crate) fn clear(&mut self, session: &mut Session) {
        while let Some(place) = self.places.get_mut(session.queue as usize) {
            let at = std::mem::replace(&mut session.queue, place.next);
            place.next = std::mem::replace(self.free, at);
        }
        session.queued = 0;
    }
}
