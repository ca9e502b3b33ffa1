//! Memory that is shared with the program: the values of a map, mapped.
#![expect(unsafe_code, reason = "maps maps, and looks at them as atomics")]

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::ffi::c_void;
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64};

/// A part of a map, as long as this lives.
pub(crate) struct Mapping {
    at: NonNull<c_void>,
    bytes: usize,
}

/// A line of the verdict cache: `struct cached` in `portcullis.h`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct CacheLine {
    /// Source and destination, as they stand in the frame.
    pub(crate) addresses: [AtomicU64; 4],
    pub(crate) ports: AtomicU32,
    pub(crate) ids: AtomicU32,
    pub(crate) kind: AtomicU32,
    pub(crate) until: AtomicU32,
    pub(crate) packets: AtomicU32,
    pub(crate) near: AtomicU16,
    pub(crate) verdict: AtomicU16,
    pub(crate) bytes: AtomicU64,
}

/// The first of them: `struct cache_header`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct CacheHeader {
    pub(crate) seed: AtomicU64,
    pub(crate) homes: AtomicU32,
    pub(crate) stamp: AtomicU32,
    pub(crate) generation: AtomicU32,
    reserved: [AtomicU32; 11],
}

const _: () = assert!(size_of::<CacheLine>() == 64 && size_of::<CacheHeader>() == 64);

// SAFETY: all that is reached through the pointer is atomics; the mapping is shared with the kernel anyway and stays
// until its owner drops it.
unsafe impl Send for Mapping {}
// SAFETY: as for `Send`.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `bytes` of a map, rounded up to pages, from `offset` on.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn new(
        map: BorrowedFd<'_>,
        bytes: usize,
        offset: u64,
        protection: ProtFlags,
    ) -> io::Result<Self> {
        let bytes = bytes.next_multiple_of(rustix::param::page_size());
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let at = unsafe { mmap(std::ptr::null_mut(), bytes, protection, MapFlags::SHARED, map, offset) }?;
        let at = NonNull::new(at).ok_or_else(|| io::Error::other("no address"))?;
        Ok(Self { at, bytes })
    }

    /// As words. One that is mapped for reading must only be loaded from.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, has so many bytes and lives as long as `self`; every bit pattern is a
        // valid word, and whoever else writes it does so behind an atomic's back only as the kernel may.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr().cast::<AtomicU64>(), self.bytes / 8) }
    }

    /// As lines of the verdict cache, of which the first is its header.
    pub(crate) fn cache_lines(&self) -> &[CacheLine] {
        let count = self.bytes / size_of::<CacheLine>();
        // SAFETY: as for `words`: a line is nothing but atomics.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr().cast::<CacheLine>(), count) }
    }

    /// The first line, as the header of the verdict cache.
    pub(crate) fn cache_header(&self) -> &CacheHeader {
        // SAFETY: as for `words`: a header is nothing but atomics, and a mapping has at least a page.
        unsafe { self.at.cast::<CacheHeader>().as_ref() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped with this length, and nobody borrows from it any more.
        let _ = unsafe { munmap(self.at.as_ptr(), self.bytes) };
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} shared bytes", self.bytes)
    }
}
