//! The program `loadgen`; see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis_loadgen::main_from(std::env::args_os())
}
