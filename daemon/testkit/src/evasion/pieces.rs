//! Data in pieces that overlap, as hosts put it together.

/// Who wins where two pieces differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// What came first.
    First,
    /// What came last.
    Last,
    /// What begins further left; of two that begin at the same place the first (BSD).
    Bsd,
    /// The same, but of two that begin at the same place the last (Linux).
    Linux,
}

impl Overlap {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::First, Self::Last, Self::Bsd, Self::Linux];

    const fn new_wins(self, new: u64, old: u64) -> bool {
        match self {
            Self::First => false,
            Self::Last => true,
            Self::Bsd => new < old,
            Self::Linux => new <= old,
        }
    }
}

/// Pieces without overlaps, by place: each byte with where the piece that it came in began.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    bytes: std::collections::BTreeMap<u64, (u8, u64)>,
}

impl Pieces {
    /// Adds a piece; `true` where some of it was there already.
    pub(super) fn add(&mut self, start: u64, data: &[u8], overlap: Overlap) -> bool {
        let mut met = false;
        for (at, byte) in (start..).zip(data) {
            match self.bytes.get_mut(&at) {
                Some(kept) => {
                    met = true;
                    if overlap.new_wins(start, kept.1) {
                        *kept = (*byte, start);
                    }
                }
                None => _ = self.bytes.insert(at, (*byte, start)),
            }
        }
        met
    }

    /// The byte at a place.
    pub(super) fn byte(&self, at: u64) -> Option<u8> {
        self.bytes.get(&at).map(|(byte, _)| *byte)
    }

    /// Takes out the byte at a place.
    pub(super) fn take(&mut self, at: u64) -> Option<u8> {
        self.bytes.remove(&at).map(|(byte, _)| byte)
    }
}
