//! The `portcullis` program. Everything is in the library beside it; this file only chooses the
//! allocator and turns the outcome into an exit status.
#![forbid(unsafe_code)]

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    portcullis::main()
}
