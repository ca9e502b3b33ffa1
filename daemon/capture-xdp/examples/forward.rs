//! Forwards everything between two interfaces: the packet module without an engine.
//!
//! `forward INTERFACE INTERFACE [open|closed] [PIN_DIR]`
//!
//! Says `ready` when the sockets stand, forwards until its standard input ends, then finishes what is queued, takes
//! everything off and says what was counted. Killed, it leaves what it pinned, and a next one adopts it.
#![expect(clippy::print_stdout, reason = "this is a program")]

use portcullis_bpf::{Fail, Gate, GateConfig};
use portcullis_capture::{Burst, CaptureStats, PacketModule, Poll, Verdict};
use portcullis_capture_xdp::{InlineSet, XdpConfig, XdpError, XdpModule};
use portcullis_wire::Timestamp;
use std::error::Error;
use std::io::{Read, stdin};
use std::path::PathBuf;
use std::thread;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (pair, options) = match arguments.as_slice() {
        [first, second, options @ ..] => ((first.clone(), second.clone()), options),
        _ => return Err("forward INTERFACE INTERFACE [open|closed] [PIN_DIR]".into()),
    };
    let fail = match options.first().map(String::as_str) {
        None | Some("open") => Fail::Open,
        Some("closed") => Fail::Closed,
        Some(other) => return Err(format!("{other}: open or closed").into()),
    };
    let config = XdpConfig { pairs: vec![pair], ..XdpConfig::default() };
    let pin_dir = options.get(1).map(PathBuf::from);
    let mut gate = Gate::load(&GateConfig {
        name: "forward".to_owned(),
        ports: config.gate_ports()?,
        sets: Vec::new(),
        fail,
        lock_dir: pin_dir.as_deref().map_or_else(std::env::temp_dir, |dir| dir.with_extension("lock")),
        pin_dir,
        ..GateConfig::default()
    })?;
    let (set, modules) = InlineSet::open(&config, &mut gate)?;
    println!("ready{}", if gate.adopted() { ", adopted" } else { "" });
    let ended: Result<Vec<XdpModule>, XdpError> = thread::scope(|scope| {
        let workers: Vec<_> =
            modules.into_iter().map(|module| scope.spawn(move || forward(module))).collect();
        let mut ignored = Vec::new();
        // An error ends it just as well.
        let _ = stdin().read_to_end(&mut ignored);
        let quiesced = set.quiesce(&mut gate);
        let join = |worker: thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let ended = workers.into_iter().map(join).collect();
        quiesced.and(ended)
    });
    let ended = ended?;
    let counted: Vec<CaptureStats> = ended.iter().map(PacketModule::stats).collect();
    println!("{counted:?}\n{:?}\nframes unaccounted for: {}", gate.counters()?, set.unaccounted(&ended));
    gate.detach()?;
    Ok(())
}

fn forward(mut module: XdpModule) -> Result<XdpModule, XdpError> {
    let mut accept = |burst: &mut Burst<'_>| {
        for index in 0..burst.len() {
            burst.judge(index, Verdict::Accept);
        }
    };
    loop {
        match module.poll(&mut accept)? {
            Poll::Received(_) => {}
            Poll::Empty => drop(module.wait(Timestamp::NEVER)?),
            Poll::End => return Ok(module),
        }
    }
}
