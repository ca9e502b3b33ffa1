//! Test runs over live frames, in batches of a size that libbpf-rs does not let one choose.
#![expect(unsafe_code, reason = "libbpf-rs has no such argument")]

use libbpf_rs::ProgramMut;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// `BPF_F_TEST_XDP_LIVE_FRAMES`: the frames of a test run are real and go where the program says.
const LIVE_FRAMES: u32 = 1 << 1;

/// Runs the program over this frame until a signal comes, or very often. Frames leave in batches of this size.
pub(super) fn run_frames(program: &ProgramMut<'_>, frame: &[u8], batch: u32) -> io::Result<()> {
    let mut options = libbpf_sys::bpf_test_run_opts {
        sz: size_of::<libbpf_sys::bpf_test_run_opts>() as libbpf_sys::size_t,
        data_in: frame.as_ptr().cast(),
        data_size_in: u32::try_from(frame.len()).map_err(io::Error::other)?,
        repeat: i32::MAX,
        flags: LIVE_FRAMES,
        batch_size: batch,
        ..Default::default()
    };
    // SAFETY: the program is open, and the options point to a frame that outlives the call and is only read.
    let result = unsafe { libbpf_sys::bpf_prog_test_run_opts(program.as_fd().as_raw_fd(), &raw mut options) };
    // libbpf gives the error as the result, negated.
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(()) }
}
