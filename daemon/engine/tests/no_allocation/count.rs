//! Counts what the C library is asked for memory, by thread: Rust's allocator asks there, and so does PCRE2,
//! which no allocator of Rust's would ever hear of.
#![expect(unsafe_code, reason = "functions of the C library are taken the place of")]

use std::cell::Cell;
use std::ffi::c_void;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Allocations of this thread while `work` was done.
pub(crate) fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

fn count() {
    ALLOCATIONS.with(|count| count.set(count.get() + 1));
}

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(place: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_memalign(alignment: usize, size: usize) -> *mut c_void;
}

// SAFETY: the C library's function of this name is meant to be replaced, and this one does what it does.
#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut c_void {
    count();
    // SAFETY: any size may be asked for.
    unsafe { __libc_malloc(size) }
}

// SAFETY: as for `malloc`.
#[unsafe(no_mangle)]
extern "C" fn calloc(many: usize, size: usize) -> *mut c_void {
    count();
    // SAFETY: any size may be asked for.
    unsafe { __libc_calloc(many, size) }
}

// SAFETY: as for `malloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(place: *mut c_void, size: usize) -> *mut c_void {
    count();
    // SAFETY: the caller keeps realloc's contract, which is the same.
    unsafe { __libc_realloc(place, size) }
}

// SAFETY: as for `malloc`; on failure the place is left alone, as POSIX says.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(place: *mut *mut c_void, alignment: usize, size: usize) -> i32 {
    count();
    // SAFETY: any size may be asked for, and the caller answers for the alignment.
    let memory = unsafe { __libc_memalign(alignment, size) };
    if memory.is_null() {
        return 12;
    }
    // SAFETY: the caller says where the answer goes.
    unsafe { place.write(memory) };
    0
}
