//! Measures the whole gate on real interfaces and captures.
//!
//! - [`inline`]: what flow tracking costs an inline worker, on live frames over veth
//! - [`cached`]: what the verdict cache answers, against bare XDP programs
//! - [`engine`]: the engine alone, on frames in memory
//! - [`replay`]: `portcullis replay` of a generated capture
//!
//! Figures go to standard output. Needs root and two CPUs of which nothing else uses much.
#![forbid(unsafe_code)]

mod cached;
mod engine;
mod inline;
mod load;
mod numbers;
mod output;
mod over;
mod replay;
mod rounds;
mod workers;

use clap::Parser;
use std::ffi::OsString;
use std::process::ExitCode;

// As in the daemon.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the whole gate on real interfaces and captures.
#[derive(Debug, Parser)]
#[command(name = "bench-inline", version)]
enum Arguments {
    /// Packets a second of worker CPU time, with the engine and without, in turn on the same module.
    Inline(inline::Arguments),
    /// Packets a second that the verdict cache drops and passes, against programs that do nothing else.
    Cached(cached::Arguments),
    /// CPU time of a packet in the engine, on frames in memory.
    Engine(engine::Arguments),
    /// Packets a second and peak memory of `portcullis replay` over a generated capture.
    ReplayFigures(replay::Arguments),
    /// Prints so many made rules, as public sets have them.
    Rules {
        /// How many.
        count: u32,
    },
    /// Replays frames that lie in memory; for the other measurements.
    #[command(hide = true)]
    FromMemory(replay::FromMemory),
    /// Runs a program and tells what it took; for the other measurements.
    #[command(hide = true)]
    Measured(replay::Measured),
}

fn main() -> ExitCode {
    // The load generator runs in processes of its own: this program again, under this word.
    let mut arguments = std::env::args_os().peekable();
    if std::env::args_os().nth(1).is_some_and(|word| word == load::WORD) {
        let program = arguments.next();
        let rest: Vec<OsString> = program.into_iter().chain(arguments.skip(1)).collect();
        return portcullis_loadgen::main_from(rest);
    }
    let result = match Arguments::parse() {
        Arguments::Inline(arguments) => inline::run(&arguments),
        Arguments::Cached(arguments) => cached::run(&arguments),
        Arguments::Engine(arguments) => engine::run(&arguments),
        Arguments::Rules { count } => {
            output::line(portcullis_bench_micro::rulegen::rules(count, true)).map_err(Into::into)
        }
        Arguments::ReplayFigures(arguments) => replay::run(&arguments),
        Arguments::FromMemory(arguments) => replay::run_from_memory(&arguments),
        Arguments::Measured(measured) => replay::run_measured(&measured),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error);
            ExitCode::FAILURE
        }
    }
}
