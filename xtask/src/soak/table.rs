//! What each kind of end costs, in packets: a steady stream from host to host meets it in the middle, and what did not
//! arrive was lost. What passed while nobody judged is the kernel's to tell.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use portcullis_testkit::Lab;
use rustix::process::Signal;

use super::gate::{Gate, LARGE};
use crate::program::Interrupt;
use crate::say;

/// Packets a second.
const RATE: u32 = 10_000;

/// How often each is tried; the middle one counts.
const TURNS: usize = 3;

/// How long the gate may take to judge again.
const RECOVERY: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug)]
enum End {
    None,
    Kill,
    Crash,
    Hang,
    Restart,
    Upgrade,
}

const ENDS: [(End, &str); 6] = [
    (End::None, "nothing"),
    (End::Kill, "kill -9"),
    (End::Crash, "SIGSEGV"),
    (End::Hang, "hang of 1 s"),
    (End::Restart, "restart"),
    (End::Upgrade, "upgrade"),
];

/// Measures all of them and prints the table.
pub(crate) fn measure(binary: &Path, interrupt: &Interrupt) -> Result<()> {
    say::step(&format!("Meeting a stream of {RATE} packets a second, each {TURNS} times"));
    say::line("| what happens | fail | lost | uninspected |");
    say::line("|---|---|---|---|");
    for fail in ["open", "closed"] {
        for (end, name) in ENDS {
            let mut turns = Vec::new();
            for _ in 0..TURNS {
                // A new one each time: those that die often are replaced later.
                let lab = Lab::inline().context("cannot make the lab")?;
                let folder =
                    tempfile::Builder::new().prefix("portcullis-soak-").tempdir().context("no folder")?;
                let gate = Gate::start(binary, &lab, folder.path(), LARGE, fail, interrupt)?;
                turns.push(meet(&lab, &gate, end, interrupt)?);
                gate.end(&lab)?;
            }
            turns.sort_unstable();
            if let Some((lost, uninspected)) = turns.get(TURNS / 2) {
                say::line(&format!("| {name} | {fail} | {lost} | {uninspected} |"));
            }
        }
    }
    Ok(())
}

/// Packets lost, and packets uninspected.
fn meet(lab: &Lab, gate: &Gate, end: End, interrupt: &Interrupt) -> Result<(u64, u64)> {
    let server = lab.server.run(|| UdpSocket::bind((Lab::SERVER_ADDRESS, 0))).context("no server")?;
    let address = server.local_addr().context("no address")?;
    let client = lab.client.run(|| UdpSocket::bind((Lab::CLIENT_ADDRESS, 0))).context("no client")?;
    server.set_read_timeout(Some(Duration::from_millis(300))).context("no limit")?;
    let before = gate.counters()?.number("gate.passed_uninspected")?;
    let done = AtomicBool::new(false);
    let (sent, received) = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let (start, mut sent) = (Instant::now(), 0_u32);
            while !done.load(Ordering::Relaxed) {
                let due = u32::try_from(start.elapsed().as_micros() * u128::from(RATE) / 1_000_000);
                while sent < due.unwrap_or(u32::MAX) {
                    if client.send_to(&sent.to_be_bytes(), address).is_ok() {
                        sent += 1;
                    }
                }
                thread::sleep(Duration::from_micros(200));
            }
            u64::from(sent)
        });
        let receiver = scope.spawn(|| {
            let (mut received, mut buffer) = (0_u64, [0; 16]);
            loop {
                match server.recv(&mut buffer) {
                    Ok(_) => received += 1,
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                        if done.load(Ordering::Relaxed) {
                            return received;
                        }
                    }
                    Err(_) => return received,
                }
            }
        });
        let happened = happen(gate, end, interrupt);
        done.store(true, Ordering::Relaxed);
        let counts = sender.join().ok().zip(receiver.join().ok());
        happened.and_then(|()| counts.context("a thread panicked"))
    })?;
    let after = gate.counters()?.number("gate.passed_uninspected")?;
    Ok((sent.saturating_sub(received), after.saturating_sub(before)))
}

fn happen(gate: &Gate, end: End, interrupt: &Interrupt) -> Result<()> {
    interrupt.pause(Duration::from_millis(500))?;
    let Some(judge) = gate.judge() else { bail!("nobody judges") };
    match end {
        End::None => {}
        End::Kill | End::Crash => {
            gate.signal(if matches!(end, End::Kill) { Signal::KILL } else { Signal::SEGV });
            interrupt.wait_for("another gate", RECOVERY, || {
                let next = gate.judge().filter(|next| *next != judge);
                Ok((next.is_some() && gate.ctl(&["version"]).is_ok()).then_some(()))
            })?;
        }
        End::Hang => {
            gate.signal(Signal::STOP);
            interrupt.pause(Duration::from_secs(1))?;
            gate.signal(Signal::CONT);
        }
        End::Restart => drop(gate.ctl(&["restart"])?),
        End::Upgrade => drop(gate.ctl(&["upgrade"])?),
    }
    interrupt.pause(Duration::from_millis(500))?;
    interrupt.wait_for("the gate before to end", RECOVERY, || Ok(gate.judge().map(drop)))
}
