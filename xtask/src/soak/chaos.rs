//! What happens to the gate and its links, one thing after another, by chance that can be repeated.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use portcullis_testkit::Lab;
use rustix::process::Signal;

use crate::gate::Gate;
use crate::program::Interrupt;

/// How long the gate may take to judge again after whatever happened.
const RECOVERY: Duration = Duration::from_secs(60);

/// Numbers by chance (xorshift64*).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A beginning that nobody knows.
    pub(crate) fn fresh() -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::from(now.subsec_nanos()) ^ u64::from(std::process::id()) << 32
    }

    /// The numbers that follow from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        // Not 0, from which nothing would follow.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// One of `from` and those after it, but not `to`.
    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16;
        from + number % (to - from).max(1)
    }
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Blow {
    Kill,
    Crash,
    Hang,
    Restart,
    Upgrade,
    Reload,
    Link,
    Flood,
    Panic,
}

const BLOWS: [(Blow, &str); 9] = [
    (Blow::Kill, "killed"),
    (Blow::Crash, "crashed"),
    (Blow::Hang, "stopped for a while"),
    (Blow::Restart, "restarted"),
    (Blow::Upgrade, "upgraded"),
    (Blow::Reload, "given rules anew"),
    (Blow::Link, "left by a link"),
    (Blow::Flood, "flooded"),
    (Blow::Panic, "passed by"),
];

/// Whoever it is that does it.
#[derive(Debug)]
pub(crate) struct Chaos<'a> {
    lab: &'a Lab,
    gate: &'a Gate,
    random: Random,
    /// Does only happen what leaves the wire as it is?
    gentle: bool,
    counts: BTreeMap<Blow, u64>,
}

impl<'a> Chaos<'a> {
    /// With `gentle`, links stay up and no ring is flooded.
    pub(crate) const fn new(lab: &'a Lab, gate: &'a Gate, random: Random, gentle: bool) -> Self {
        Self { lab, gate, random, gentle, counts: BTreeMap::new() }
    }

    /// Waits a moment and does something.
    pub(crate) fn strike(&mut self, interrupt: &Interrupt) -> Result<()> {
        interrupt.pause(Duration::from_millis(self.random.between(100, 1500)))?;
        let place = usize::try_from(self.random.between(0, BLOWS.len() as u64)).unwrap_or(0);
        let Some((blow, what)) = BLOWS.get(place) else { return Ok(()) };
        if self.gentle && matches!(blow, Blow::Link | Blow::Flood) {
            return Ok(());
        }
        let happened = self.strike_with(*blow).with_context(|| format!("while the gate was {what}"))?;
        if happened {
            *self.counts.entry(*blow).or_default() += 1;
        }
        Ok(())
    }

    /// Did it happen?
    fn strike_with(&mut self, blow: Blow) -> Result<bool> {
        let gate = self.gate;
        let some = |random: &mut Random, from, to| Duration::from_millis(random.between(from, to));
        match blow {
            Blow::Kill => return Ok(gate.signal(Signal::KILL)),
            Blow::Crash => return Ok(gate.signal(Signal::SEGV)),
            Blow::Hang => {
                let Some(judge) = gate.judge() else { return Ok(false) };
                // It may be gone by now.
                let _ = rustix::process::kill_process(judge, Signal::STOP);
                thread::sleep(some(&mut self.random, 100, 1500));
                let _ = rustix::process::kill_process(judge, Signal::CONT);
            }
            // Where the one before is dying or another restart is under way, it is refused.
            Blow::Restart => return Ok(gate.ctl(&["restart"]).is_ok()),
            Blow::Upgrade => return Ok(gate.ctl(&["upgrade"]).is_ok()),
            Blow::Reload => return Ok(gate.ctl(&["reload-rules"]).is_ok()),
            Blow::Link => {
                let (host, port) = match self.random.between(0, 2) {
                    0 => (&self.lab.client, Lab::CLIENT_PORT),
                    _ => (&self.lab.server, Lab::SERVER_PORT),
                };
                host.set_down(port)?;
                thread::sleep(some(&mut self.random, 50, 700));
                host.set_up(port)?;
            }
            Blow::Flood => {
                let socket = self.lab.client.run(|| UdpSocket::bind((Lab::CLIENT_ADDRESS, 0)));
                let socket = socket.context("cannot flood")?;
                for _ in 0..self.random.between(1000, 40_000) {
                    // What the host itself has no room for is not sent.
                    let _ = socket.send_to(&[0; 32], (Lab::SERVER_ADDRESS, 9));
                }
            }
            Blow::Panic => {
                gate.ctl(&["bypass", "on", "--for", "1s"])?;
                if self.random.between(0, 2) == 0 {
                    gate.ctl(&["bypass", "off"])?;
                }
            }
        }
        Ok(true)
    }

    /// Waits until all is as before.
    pub(crate) fn calm(&self, interrupt: &Interrupt) -> Result<()> {
        interrupt.wait_for("the gate to judge again", RECOVERY, || {
            Ok((self.gate.judge().is_some() && self.gate.ctl(&["version"]).is_ok()).then_some(()))
        })
    }

    /// How often the panic switch was turned on.
    pub(crate) fn panics(&self) -> u64 {
        self.counts.get(&Blow::Panic).copied().unwrap_or(0)
    }

    /// What happened how often.
    pub(crate) fn told(&self) -> String {
        let told = BLOWS.iter().filter_map(|(blow, what)| {
            let count = self.counts.get(blow)?;
            Some(format!("{what} {count} times"))
        });
        format!("the gate was {}", told.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_repeats_itself_and_keeps_its_bounds() {
        let numbers = |seed| {
            let mut random = Random::new(seed);
            (0..1000).map(|_| random.between(5, 15)).collect::<Vec<_>>()
        };
        let once = numbers(7);
        assert_eq!(once, numbers(7));
        assert_ne!(once, numbers(8));
        assert!((5..15).all(|number| once.contains(&number)) && once.iter().all(|n| (5..15).contains(n)));
    }
}
