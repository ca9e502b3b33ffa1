//! Runs programs on frames, and what that takes.
#![expect(dead_code, reason = "every example takes what it needs")]
#![expect(unsafe_code, reason = "loads programs of two instructions, and runs programs on frames")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

pub(crate) mod flows;
pub(crate) mod lists;
pub(crate) mod live;

use libbpf_sys as raw;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};

/// linux/bpf.h
pub(crate) const XDP_DROP: u32 = 1;

/// Nanoseconds of a frame, as the kernel measured each.
pub(crate) fn mean_ns(program: &OwnedFd, ifindex: u32, frames: &[Vec<u8>]) -> f64 {
    let total: u64 = frames.iter().map(|frame| u64::from(run(program, ifindex, frame, 1, 0))).sum();
    total as f64 / frames.len() as f64
}

/// Prints the median of ratios with the range.
pub(crate) fn ratio(what: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    println!("{what}: {:.2} ({:.2} to {:.2})", values[values.len() / 2], values[0], values[values.len() - 1]);
}

/// Prints the median with the range, and gives it.
pub(crate) fn median(what: &str, mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values[values.len() / 2];
    println!("{what}: {middle:.0} ns ({:.0} to {:.0})", values[0], values[values.len() - 1]);
    middle
}

/// Runs a program on a frame; the nanoseconds of a run.
pub(crate) fn run(program: &OwnedFd, ifindex: u32, frame: &[u8], repeat: u32, flags: u32) -> u32 {
    let length = u32::try_from(frame.len()).unwrap();
    let context = [0, length, 0, ifindex, 0, 0];
    let mut options = raw::bpf_test_run_opts {
        sz: size_of::<raw::bpf_test_run_opts>() as raw::size_t,
        data_in: frame.as_ptr().cast(),
        data_size_in: length,
        ctx_in: context.as_ptr().cast(),
        ctx_size_in: u32::try_from(size_of_val(&context)).unwrap(),
        repeat: i32::try_from(repeat).unwrap(),
        flags,
        ..Default::default()
    };
    // SAFETY: `options` is a valid struct of the size it states, and what it points to lives over the call.
    let done = unsafe { raw::bpf_prog_test_run_opts(program.as_raw_fd(), &raw mut options) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    options.duration
}

/// The program that is attached to an interface.
pub(crate) fn program_of(ifindex: u32) -> OwnedFd {
    let mut id = 0;
    // SAFETY: the kernel's answer is written to `id`.
    let done = unsafe { raw::bpf_xdp_query_id(i32::try_from(ifindex).unwrap(), 0, &raw mut id) };
    assert_eq!(done, 0, "no program is attached");
    libbpf_rs::Program::fd_from_id(id).unwrap().as_fd().try_clone_to_owned().unwrap()
}

/// `r0 = XDP_DROP; exit`.
pub(crate) fn bare_drop() -> OwnedFd {
    let mut instructions = [
        raw::bpf_insn { code: 0xb7, ..Default::default() },
        raw::bpf_insn { code: 0x95, ..Default::default() },
    ];
    instructions[0].imm = XDP_DROP.cast_signed();
    let kind = raw::BPF_PROG_TYPE_XDP;
    // SAFETY: two instructions are read, and two C strings.
    let fd = unsafe {
        raw::bpf_prog_load(
            kind,
            c"bare".as_ptr(),
            c"GPL".as_ptr(),
            instructions.as_ptr(),
            2,
            std::ptr::null_mut(),
        )
    };
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: a fresh descriptor that nobody else knows.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
