//! Figures that criterion is too slow for: tables of up to ten million flows, a hundred million
//! replacements, bytes of an idle flow.
//!
//! Figures go to standard output.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "figures are what this program is for")]

mod collisions;
mod compare;
mod dearest;
mod decoding;
#[cfg(feature = "dpdk")]
mod dpdk;
mod fragments;
mod handover;
mod idle;
mod instructions;
mod matchers;
mod pauses;
mod rules;
mod streams;

use clap::Parser;
use std::process::ExitCode;

/// Measures the packet path, without devices.
#[derive(Debug, Parser)]
#[command(name = "bench-micro", version)]
enum Arguments {
    /// Nanoseconds of a look-up and update: the flow table, hash tables and the floor, in turn.
    Tables(compare::Arguments),
    /// The longest bursts of a full table in which every packet begins a flow.
    Pauses(pauses::Arguments),
    /// What keys do that were chosen to meet under a seed: under that, and under another.
    Collisions(collisions::Arguments),
    /// Nanoseconds of a fragment in floods of them, each flood twice and four times as long, too.
    Fragments(fragments::Arguments),
    /// Nanoseconds of a TCP segment in streams and floods, each twice and four times as long, too.
    Streams(streams::Arguments),
    /// Nanoseconds of a frame: the decoder and etherparse, in turn.
    Decode(decoding::Arguments),
    /// Rules: time to compile, memory, and payload judged by second.
    Rules(rules::Arguments),
    /// Writes so many rules to standard output, in the shapes of public ones: for whoever wants a gate that has many.
    RuleFile {
        /// How many.
        count: u32,
    },
    /// The packet that costs the rules most, as far as a search finds it.
    Dearest(dearest::Arguments),
    /// Searches for many patterns at once: ours and those that were compared with it, in turn.
    Matchers(matchers::Arguments),
    /// Bytes and time of a flow that goes on in another process.
    Handover(handover::Arguments),
    /// Nanoseconds of a packet through DPDK's packet module, without and with an engine.
    #[cfg(feature = "dpdk")]
    Dpdk(dpdk::Arguments),
    /// Bytes of an idle flow, all in.
    Idle(idle::Arguments),
    /// What `cargo xtask instructions` runs under callgrind.
    #[command(hide = true)]
    Counted(instructions::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse() {
        Arguments::Tables(arguments) => compare::run(&arguments),
        Arguments::Pauses(arguments) => pauses::run(&arguments),
        Arguments::Collisions(arguments) => collisions::run(&arguments),
        Arguments::Fragments(arguments) => fragments::run(&arguments),
        Arguments::Streams(arguments) => streams::run(&arguments),
        Arguments::Decode(arguments) => decoding::run(&arguments),
        Arguments::Rules(arguments) => rules::run(&arguments),
        Arguments::RuleFile { count } => {
            print!("{}", portcullis_bench_micro::rulegen::rules(count, true));
            Ok(())
        }
        Arguments::Dearest(arguments) => dearest::run(&arguments),
        Arguments::Matchers(arguments) => matchers::run(&arguments),
        Arguments::Handover(arguments) => handover::run(&arguments),
        #[cfg(feature = "dpdk")]
        Arguments::Dpdk(arguments) => dpdk::run(&arguments),
        Arguments::Idle(arguments) => idle::run(&arguments),
        Arguments::Counted(arguments) => instructions::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("bench-micro: {error:#}");
            ExitCode::FAILURE
        }
    }
}
