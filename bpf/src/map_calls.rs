//! Calls on a map of which there is nothing but a descriptor: what libbpf-rs wants to know of a map besides takes
//! privileges to learn.
#![expect(unsafe_code, reason = "calls of libbpf with buffers of the map's sizes")]

use libbpf_sys as raw;
use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Puts a value. `K` and `V` must be as long as the map's keys and values.
pub(crate) fn update<const K: usize, const V: usize>(
    map: BorrowedFd<'_>,
    key: &[u8; K],
    value: &[u8; V],
    flags: u32,
) -> io::Result<()> {
    // SAFETY: the kernel reads a key and a value, as long as the caller says that they are.
    let result = unsafe {
        raw::bpf_map_update_elem(
            map.as_raw_fd(),
            key.as_ptr().cast(),
            value.as_ptr().cast(),
            u64::from(flags),
        )
    };
    check(result)
}

/// The value of a key; `None` where there is none.
pub(crate) fn look_up<const K: usize, const V: usize>(
    map: BorrowedFd<'_>,
    key: &[u8; K],
) -> io::Result<Option<[u8; V]>> {
    let mut value = [0; V];
    let (map, into) = (map.as_raw_fd(), value.as_mut_ptr().cast());
    // SAFETY: the kernel reads a key and writes a value, as long as the caller says that they are.
    let result = unsafe { raw::bpf_map_lookup_elem(map, key.as_ptr().cast(), into) };
    found(result, value)
}

/// Takes a key and its value out of the map; `None` where there is none.
pub(crate) fn take<const K: usize, const V: usize>(
    map: BorrowedFd<'_>,
    key: &[u8; K],
) -> io::Result<Option<[u8; V]>> {
    let mut value = [0; V];
    // SAFETY: the kernel reads a key and writes a value, as long as the caller says that they are.
    let result = unsafe {
        raw::bpf_map_lookup_and_delete_elem(map.as_raw_fd(), key.as_ptr().cast(), value.as_mut_ptr().cast())
    };
    found(result, value)
}

/// Many keys and their values at once, and whether there are more. `cursor` is `None` at first, and then what the last
/// call left there.
pub(crate) fn batch<const K: usize, const V: usize>(
    map: BorrowedFd<'_>,
    cursor: &mut Option<u32>,
    keys: &mut Vec<[u8; K]>,
    values: &mut Vec<[u8; V]>,
    most: usize,
) -> io::Result<bool> {
    keys.resize(most, [0; K]);
    values.resize(most, [0; V]);
    let mut count = u32::try_from(most).map_err(io::Error::other)?;
    let mut from = cursor.unwrap_or(0);
    let start: *mut u32 = if cursor.is_some() { &raw mut from } else { std::ptr::null_mut() };
    let mut next = 0_u32;
    let next_at: *mut u32 = &raw mut next;
    // SAFETY: both lists have room for `count` keys and values of the map's sizes, as the caller says; a cursor in a hash
    // is a word.
    let result = unsafe {
        raw::bpf_map_lookup_batch(
            map.as_raw_fd(),
            start.cast::<c_void>(),
            next_at.cast::<c_void>(),
            keys.as_mut_ptr().cast(),
            values.as_mut_ptr().cast(),
            &raw mut count,
            std::ptr::null(),
        )
    };
    let more = match check(result) {
        Ok(()) => true,
        // That was all.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => false,
        Err(error) => return Err(error),
    };
    let count = usize::try_from(count).unwrap_or(0).min(most);
    keys.truncate(count);
    values.truncate(count);
    *cursor = Some(next);
    Ok(more)
}

fn found<const V: usize>(result: libc::c_int, value: [u8; V]) -> io::Result<Option<[u8; V]>> {
    match check(result) {
        Ok(()) => Ok(Some(value)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// libbpf returns the negated errno.
fn check(result: libc::c_int) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        negative if negative < 0 => Err(io::Error::from_raw_os_error(-negative)),
        _ => Ok(()),
    }
}
