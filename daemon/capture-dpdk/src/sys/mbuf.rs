//! Packet buffers with one owner each, and the pool that they come from.

use super::{Eal, c_string, ffi};
use crate::error::DpdkError;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Buffers that each thread keeps to itself at most.
pub(crate) const CACHE: u32 = 256;

/// DPDK keeps so many bytes free before each packet.
pub(crate) const HEADROOM: u16 = 128;

/// The device found the transport checksum good.
const CHECKSUM_GOOD: u16 = 1;

/// A pool of packet buffers, for any number of threads.
#[derive(Debug)]
pub struct Pool {
    raw: NonNull<c_void>,
    size: u32,
    room: u16,
    eal: Arc<Eal>,
}

// SAFETY: DPDK's pools are made to be used by several threads; what a thread caches is by its number in DPDK, and a
// thread without one caches nothing.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

impl Pool {
    /// `size` buffers for packets of at most `room` bytes each, in memory near `socket` (-1: anywhere).
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn new(eal: &Arc<Eal>, size: u32, room: u16, socket: i32) -> Result<Arc<Self>, DpdkError> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let name = c_string(&format!("pc{}", COUNTER.fetch_add(1, Ordering::Relaxed)))?;
        let bytes = room.saturating_add(HEADROOM);
        // A cache may hold half as much again, and not more than the pool has.
        let cache = if size >= CACHE * 8 { CACHE } else { 0 };
        let _control = super::port::control();
        // SAFETY: the environment is up, the name ends and is copied.
        let raw = unsafe { ffi::pc_pool_create(name.as_ptr(), size, cache, bytes, socket) };
        let raw = NonNull::new(raw).ok_or(DpdkError::NoMemory { buffers: size, bytes })?;
        Ok(Arc::new(Self { raw, size, room, eal: Arc::clone(eal) }))
    }

    /// Buffers there are in all.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// Bytes of a packet that fit into one buffer.
    #[must_use]
    pub const fn room(&self) -> u16 {
        self.room
    }

    /// Buffers in the pool: all of them, but for those that somebody holds. Exact while nobody works.
    #[must_use]
    pub fn available(&self) -> u32 {
        // SAFETY: the pool lives.
        unsafe { ffi::pc_pool_available(self.raw.as_ptr()) }
    }

    /// A buffer with a packet of `bytes`; `None` where the pool is empty or the packet too long.
    #[must_use]
    pub fn packet(&self, bytes: &[u8]) -> Option<Mbuf> {
        let length = u16::try_from(bytes.len()).ok().filter(|length| *length <= self.room)?;
        let mut mbuf = MaybeUninit::<Mbuf>::uninit();
        // SAFETY: the pool lives, and there is room for the answer.
        let code = unsafe { ffi::pc_alloc(self.raw.as_ptr(), length, mbuf.as_mut_ptr()) };
        if code != 0 {
            return None;
        }
        // SAFETY: filled in, as there was no error.
        let mut mbuf = unsafe { mbuf.assume_init() };
        mbuf.first_mut().copy_from_slice(bytes);
        Some(mbuf)
    }

    pub(super) fn raw(&self) -> *mut c_void {
        self.raw.as_ptr()
    }

    pub(crate) fn eal(&self) -> &Arc<Eal> {
        &self.eal
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.available() != self.size {
            // Somebody still has a buffer: it must stay mapped.
            std::mem::forget(Arc::clone(&self.eal));
            return;
        }
        let _control = super::port::control();
        // SAFETY: every buffer is in the pool, so nobody can reach into it.
        unsafe { ffi::pc_pool_free(self.raw.as_ptr()) };
    }
}

/// A packet in its buffer or buffers, owned. Sending it gives it to the device, dropping it gives the buffers back.
#[derive(Debug)]
#[repr(C)]
pub struct Mbuf {
    raw: NonNull<c_void>,
    data: NonNull<u8>,
    length: u32,
    total: u32,
    segments: u16,
    flags: u16,
    reserved: u32,
}

// SAFETY: the one owner of its buffers, whichever thread it is on; pools take them back from any thread.
unsafe impl Send for Mbuf {}

impl Mbuf {
    /// Bytes of the packet.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.total as usize
    }

    /// Does it lie in one buffer?
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.segments == 1
    }

    /// Did the device find its transport checksum good?
    #[must_use]
    pub const fn has_good_checksum(&self) -> bool {
        self.flags & CHECKSUM_GOOD != 0
    }

    /// What of the packet lies in the first buffer: all of it, if it [`is_whole`](Self::is_whole).
    #[must_use]
    pub fn first_mut(&mut self) -> &mut [u8] {
        // SAFETY: DPDK says that so many bytes of the packet lie there; they are this value's alone.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr(), self.length as usize) }
    }

    /// Copies as much of the packet as there is room for.
    pub fn gather(&self, into: &mut [u8]) {
        let length = u32::try_from(into.len()).unwrap_or(u32::MAX).min(self.total);
        // SAFETY: the buffers are this value's, and `into` has room.
        unsafe { ffi::pc_gather(self.raw.as_ptr(), into.as_mut_ptr(), length) };
    }

    /// Writes over the packet from its beginning, as far as it goes; its length stays.
    pub fn scatter(&mut self, from: &[u8]) {
        let length = u32::try_from(from.len()).unwrap_or(u32::MAX).min(self.total);
        // SAFETY: the buffers are this value's alone, and `from` has so many bytes.
        unsafe { ffi::pc_scatter(self.raw.as_ptr(), from.as_ptr(), length) };
    }

    /// Hangs another packet's bytes behind this one's; gives both back where there would be too many buffers.
    ///
    /// # Errors
    /// Too many buffers.
    pub fn chain(self, tail: Self) -> Result<Self, (Self, Self)> {
        let mut both = MaybeUninit::<Self>::uninit();
        // SAFETY: both are owned here; where it succeeds, the first one owns the second.
        let code = unsafe { ffi::pc_chain(self.raw.as_ptr(), tail.raw.as_ptr(), both.as_mut_ptr()) };
        if code != 0 {
            return Err((self, tail));
        }
        std::mem::forget((self, tail));
        // SAFETY: filled in, as there was no error; it owns what the two did.
        Ok(unsafe { both.assume_init() })
    }
}

impl Drop for Mbuf {
    fn drop(&mut self) {
        // SAFETY: owned, and never used again.
        unsafe { ffi::pc_free(self.raw.as_ptr()) };
    }
}
