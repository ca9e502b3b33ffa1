//! What the engine wants done beyond the verdicts: packets of its own, and flows that the module
//! should stop showing it. Bounded; what does not fit is refused and counted.

use crate::verdict::PortId;

/// Most forged packets that one burst may leave.
pub const MAX_FORGED: usize = 64;

/// Largest forged packet in bytes.
pub const MAX_FORGED_LENGTH: usize = 2048;

/// How a forged packet is treated when it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A library user's or a hook's: it is received again at the peer of its egress and judged
    /// like any other (Haka's `send_packet`).
    Hook,
    /// The engine's own (a reset): it is sent and not judged again.
    Engine,
}

/// A packet to send.
#[derive(Clone, Copy, Debug)]
pub struct Forged<'a> {
    /// The frame.
    pub bytes: &'a [u8],
    /// The port it leaves through.
    pub egress: PortId,
    /// Who made it.
    pub origin: Origin,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    length: usize,
    egress: PortId,
    origin: Origin,
}

/// Forged packets on their way to the module. Everything is allocated at start.
#[derive(Debug)]
pub struct Outbox {
    arena: Box<[u8]>,
    entries: Vec<Entry>,
    refused: u64,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            arena: vec![0; MAX_FORGED * MAX_FORGED_LENGTH].into_boxed_slice(),
            entries: Vec::with_capacity(MAX_FORGED),
            refused: 0,
        }
    }
}

impl Outbox {
    /// An outbox that refuses everything and owns no memory: what a module puts in its outbox's place while it
    /// carries that out.
    #[must_use]
    pub fn without_room() -> Self {
        Self { arena: Box::default(), entries: Vec::new(), refused: 0 }
    }

    /// A zeroed packet of `length` bytes to fill in, which will leave through `egress`. `None`,
    /// counted, when it is too long or too many wait already.
    pub fn forge(&mut self, length: usize, egress: PortId, origin: Origin) -> Option<&mut [u8]> {
        let room = self.arena.chunks_exact_mut(MAX_FORGED_LENGTH).nth(self.entries.len());
        let Some(bytes) = room.and_then(|room| room.get_mut(..length)) else {
            self.refused += 1;
            return None;
        };
        self.entries.push(Entry { length, egress, origin });
        bytes.fill(0);
        Some(bytes)
    }

    /// The packets waiting, oldest first.
    pub fn forged(&self) -> impl Iterator<Item = Forged<'_>> {
        self.entries.iter().zip(self.arena.chunks(MAX_FORGED_LENGTH)).map(|(entry, chunk)| Forged {
            bytes: chunk.get(..entry.length).unwrap_or(&[]),
            egress: entry.egress,
            origin: entry.origin,
        })
    }

    /// Empties the outbox after the module carried it out.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Packets refused since start.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_refused_and_counted() {
        let mut outbox = Outbox::default();
        for length in [0, 1, MAX_FORGED_LENGTH] {
            assert_eq!(
                outbox.forge(length, PortId(1), Origin::Engine).map(|bytes| bytes.len()),
                Some(length)
            );
        }
        assert_eq!(outbox.forge(MAX_FORGED_LENGTH + 1, PortId(1), Origin::Engine), None);
        for _ in 3..MAX_FORGED {
            assert!(outbox.forge(7, PortId(0), Origin::Hook).is_some());
        }
        assert_eq!(outbox.forge(7, PortId(0), Origin::Hook), None);
        assert_eq!((outbox.forged().count(), outbox.refused()), (MAX_FORGED, 2));
        let mut nothing = Outbox::without_room();
        for length in [0, 1] {
            assert_eq!(nothing.forge(length, PortId(0), Origin::Engine), None);
        }
        assert_eq!((nothing.forged().count(), nothing.refused()), (0, 2));
    }
}
