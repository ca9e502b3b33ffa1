//! The death of a worker's thread, told to the program by the kernel itself, also where nothing in the process can: after
//! SIGKILL.
//!
//! A process that is killed gives its memory back first, which takes long where there is much, and closes its sockets
//! last: until then frames go to a socket that nobody reads. But the first that the kernel does for a dying thread is to
//! look through the robust futexes that it holds, and to write `FUTEX_OWNER_DIED` into each (`get_robust_list(2)`,
//! Documentation/locking/robust-futexes.rst). So each slot of the heartbeats' map has such a futex, held by the thread
//! that serves it, and the program looks at it.
#![expect(unsafe_code, reason = "the list that a thread registers with the kernel is one of raw pointers")]

use crate::pulse::Mapping;
use std::io;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// `FUTEX_OWNER_DIED` (linux/futex.h).
const DIED: u32 = 0x4000_0000;

/// Most slots that a thread can hold; the kernel looks at 2048 futexes of a thread.
const MOST: usize = 1024;

/// One slot's futex, behind the link by which the kernel finds it (`struct robust_list`).
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Holder {
    next: AtomicPtr<Holder>,
    owner: AtomicU32,
    reserved: u32,
}

const _: () = assert!(size_of::<Holder>() == 16);

impl Holder {
    /// Has whoever held it died, or left?
    pub(crate) fn died(&self) -> bool {
        self.owner.load(Ordering::Relaxed) & DIED != 0
    }

    /// Nobody holds it.
    pub(crate) fn release(&self) {
        self.owner.store(0, Ordering::Relaxed);
    }
}

/// `struct robust_list_head` (linux/futex.h).
#[repr(C)]
struct Head {
    first: AtomicPtr<Holder>,
    futex_offset: libc::c_long,
    pending: *const Holder,
}

/// Slots that the thread holds which has made this, until it is dropped. Then, too, the program takes the worker for dead:
/// nobody looks at the queues any more.
///
/// While it lives the thread has no robust mutexes of the C library; whatever was registered before is put back.
#[derive(Debug)]
pub struct Hold {
    slots: Vec<(Arc<Mapping>, usize)>,
    before: (*mut libc::c_void, usize),
    /// What the kernel looks through is the thread's own.
    _stays: PhantomData<*const ()>,
}

impl Hold {
    pub(crate) fn take(slots: Vec<(Arc<Mapping>, usize)>) -> io::Result<Self> {
        if slots.len() > MOST {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let before = registered()?;
        let thread = rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
        // The kernel looks at it when the thread dies, and nobody knows when that is.
        let head: &'static Head = Box::leak(Box::new(Head {
            first: AtomicPtr::new(ptr::null_mut()),
            futex_offset: libc::c_long::try_from(offset_of!(Holder, owner)).unwrap_or(0),
            pending: ptr::null(),
        }));
        // The last one leads back to the head, which begins with a link as they do.
        let mut next = ptr::from_ref(head).cast::<Holder>().cast_mut();
        for (mapping, index) in slots.iter().rev() {
            let Some(holder) = mapping.holder(*index) else { continue };
            holder.next.store(next, Ordering::Relaxed);
            holder.owner.store(thread, Ordering::Relaxed);
            next = ptr::from_ref(holder).cast_mut();
        }
        head.first.store(next, Ordering::Release);
        register(ptr::from_ref(head).cast_mut().cast(), size_of::<Head>())?;
        Ok(Self { slots, before, _stays: PhantomData })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        for (mapping, index) in &self.slots {
            if let Some(holder) = mapping.holder(*index) {
                holder.owner.store(DIED, Ordering::Relaxed);
            }
        }
        // Where that is refused the kernel finds futexes that nobody holds, and leaves them as they are.
        let (before, size) = self.before;
        if register(before, size).is_err() {
            std::mem::forget(std::mem::take(&mut self.slots));
        }
    }
}

/// What the C library has registered for this thread.
fn registered() -> io::Result<(*mut libc::c_void, usize)> {
    let (mut head, mut size) = (ptr::null_mut::<libc::c_void>(), 0_usize);
    // SAFETY: 0 is the calling thread, and both places are ours to be written.
    let got = unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut size) };
    if got == 0 { Ok((head, size)) } else { Err(io::Error::last_os_error()) }
}

/// Registers another list for this thread.
fn register(head: *mut libc::c_void, size: usize) -> io::Result<()> {
    if head.is_null() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the list is one that the C library made, or one of ours, which is never freed and leads through mappings that
    // live as long as they are on it. The kernel copes with any pointer.
    let set = unsafe { libc::syscall(libc::SYS_set_robust_list, head, size) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pulse::Pulses;
    use std::os::fd::AsFd;
    use std::time::Duration;

    /// Heartbeats of two slots in a file, which is as good as a map.
    fn pulses() -> Pulses {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        Pulses::map(file.as_fd(), 2, 1, Duration::ZERO).unwrap()
    }

    fn alive(pulses: &Pulses) -> [bool; 2] {
        [0, 1].map(|port| pulses.are_alive(port, 1))
    }

    #[test]
    fn the_kernel_tells_of_a_thread_that_ends_without_a_word() {
        let pulses = pulses();
        let holding = |slots: &'static [u8]| {
            let pulses = pulses.clone();
            let hold = move || {
                let beats: Vec<_> = slots.iter().map(|port| pulses.beat(*port, 0).unwrap()).collect();
                let hold = Pulses::hold(&beats).unwrap();
                assert_eq!(alive(&pulses), [true; 2]);
                std::mem::forget(hold);
            };
            std::thread::spawn(hold).join().unwrap();
        };
        holding(&[1]);
        assert_eq!(alive(&pulses), [true, false]);
        pulses.beat(1, 0).unwrap().release();
        assert_eq!(alive(&pulses), [true; 2]);
        holding(&[0, 1]);
        assert_eq!(alive(&pulses), [false; 2]);
    }

    #[test]
    fn whoever_lets_go_is_gone_and_may_come_back() {
        let pulses = pulses();
        let beats = [pulses.beat(0, 0).unwrap()];
        let before = registered().unwrap();
        for _ in 0..2 {
            let hold = Pulses::hold(&beats).unwrap();
            assert_eq!(alive(&pulses), [true; 2]);
            assert_ne!(registered().unwrap(), before);
            drop(hold);
            assert_eq!(alive(&pulses), [false, true]);
            assert_eq!(registered().unwrap(), before);
        }
    }
}
