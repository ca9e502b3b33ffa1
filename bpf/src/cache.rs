//! The verdict cache: flows about which the gate has decided, and whose packets the program then answers by itself. The C
//! side is `cache.h`.
//!
//! The kernel never evicts: whoever holds this fills it, reads the counts, and takes out what has had its time. It is
//! nothing but two descriptors, so that a process without privileges can do it.

use crate::map_calls;
use crate::tuple::Tuple;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What the program does with the packets of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheAction {
    /// They are dropped, also while no worker lives.
    Drop,
    /// They go to the peer port; where the gate fails closed, only while a worker lives.
    Pass,
}

/// One entry: of one direction of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// Packets that were answered by it.
    pub packets: u64,
    /// Their bytes, link headers included.
    pub bytes: u64,
    /// Until when it holds, in the time of [`coarse_now`](crate::pulse::coarse_now).
    pub until: u64,
    /// The generation of rules that it was decided by: of others it does not hold.
    pub generation: u32,
    /// What becomes of the packets.
    pub action: CacheAction,
}

/// Why something could not be put into the cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It is full.
    #[error("the verdict cache is full")]
    Full,
    /// The kernel's answer.
    #[error("the verdict cache: {0}")]
    System(#[from] io::Error),
}

/// The verdict cache of a gate.
#[derive(Debug)]
pub struct VerdictCache {
    verdicts: OwnedFd,
    generation: OwnedFd,
}

/// Entries that are read at once.
const BATCH: usize = 1024;

/// Bytes of the kernel's struct.
const ENTRY_SIZE: usize = 32;

impl VerdictCache {
    /// Of the maps that [`maps`](Self::maps) gives, perhaps in another process.
    #[must_use]
    pub const fn new(verdicts: OwnedFd, generation: OwnedFd) -> Self {
        Self { verdicts, generation }
    }

    /// The descriptors that it is made of, in the order of [`new`](Self::new).
    #[must_use]
    pub fn maps(&self) -> [BorrowedFd<'_>; 2] {
        [self.verdicts.as_fd(), self.generation.as_fd()]
    }

    /// Which generation of rules entries must be of; 0 while none holds.
    ///
    /// # Errors
    /// The kernel's.
    pub fn generation(&self) -> io::Result<u32> {
        let value = map_calls::look_up(self.generation.as_fd(), &[0; 4])?;
        Ok(value.map_or(0, u32::from_ne_bytes))
    }

    /// Says so. What was decided by others holds no more, from the next packet on.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_generation(&self, generation: u32) -> io::Result<()> {
        map_calls::update(self.generation.as_fd(), &[0; 4], &generation.to_ne_bytes(), 0)
    }

    /// Puts an entry, in the place of the one that was there for the same packets.
    ///
    /// # Errors
    /// [`CacheError::Full`], or the kernel's.
    pub fn put(&self, tuple: &Tuple, entry: &CacheEntry) -> Result<(), CacheError> {
        let put = map_calls::update(self.verdicts.as_fd(), &tuple.to_bytes(), &entry.to_bytes(), 0);
        match put {
            Err(error) if error.raw_os_error() == Some(libc::E2BIG) => Err(CacheError::Full),
            other => Ok(other?),
        }
    }

    /// An entry as it stands; `None` where there is none.
    ///
    /// # Errors
    /// The kernel's.
    pub fn get(&self, tuple: &Tuple) -> io::Result<Option<CacheEntry>> {
        let found = map_calls::look_up(self.verdicts.as_fd(), &tuple.to_bytes())?;
        Ok(found.as_ref().and_then(CacheEntry::from_bytes))
    }

    /// Takes an entry out, and tells how far it had come. A packet that is being answered at that very moment may be missing.
    ///
    /// # Errors
    /// The kernel's.
    pub fn take(&self, tuple: &Tuple) -> io::Result<Option<CacheEntry>> {
        let taken = map_calls::take(self.verdicts.as_fd(), &tuple.to_bytes())?;
        Ok(taken.as_ref().and_then(CacheEntry::from_bytes))
    }

    /// Shows every entry. One that is put or taken out meanwhile may be left out, or shown twice.
    ///
    /// # Errors
    /// The kernel's.
    pub fn walk(&self, mut show: impl FnMut(Tuple, CacheEntry)) -> io::Result<()> {
        let (mut cursor, mut keys, mut values) = (None, Vec::new(), Vec::<[u8; ENTRY_SIZE]>::new());
        loop {
            let map = self.verdicts.as_fd();
            let more = map_calls::batch(map, &mut cursor, &mut keys, &mut values, BATCH)?;
            for (key, value) in keys.iter().zip(&values) {
                if let Some(entry) = CacheEntry::from_bytes(value) {
                    show(Tuple::from_bytes(key), entry);
                }
            }
            if !more {
                return Ok(());
            }
        }
    }
}

impl CacheEntry {
    fn to_bytes(self) -> [u8; ENTRY_SIZE] {
        let mut bytes = [0; ENTRY_SIZE];
        for (slot, word) in
            bytes.as_chunks_mut::<8>().0.iter_mut().zip([self.packets, self.bytes, self.until])
        {
            *slot = word.to_ne_bytes();
        }
        let action = match self.action {
            CacheAction::Drop => 0_u32,
            CacheAction::Pass => 1,
        };
        bytes[24..28].copy_from_slice(&self.generation.to_ne_bytes());
        bytes[28..].copy_from_slice(&action.to_ne_bytes());
        bytes
    }

    /// `None` for an action that there is not.
    fn from_bytes(bytes: &[u8; ENTRY_SIZE]) -> Option<Self> {
        let (words, _) = bytes.as_chunks::<8>();
        let [packets, bytes, until, last] = words else { return None };
        let [g0, g1, g2, g3, a0, a1, a2, a3] = *last;
        Some(Self {
            packets: u64::from_ne_bytes(*packets),
            bytes: u64::from_ne_bytes(*bytes),
            until: u64::from_ne_bytes(*until),
            generation: u32::from_ne_bytes([g0, g1, g2, g3]),
            action: match u32::from_ne_bytes([a0, a1, a2, a3]) {
                0 => CacheAction::Drop,
                1 => CacheAction::Pass,
                _ => return None,
            },
        })
    }
}
