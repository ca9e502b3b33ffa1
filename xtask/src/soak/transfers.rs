//! TCP transfers from host to host, one after another on a few lanes. Every byte that arrives is looked at.

use std::fmt;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use portcullis_testkit::Lab;

use crate::program::Interrupt;

/// Transfers at a time.
const LANES: u64 = 4;

/// Bytes of a transfer, from and to.
const SIZES: [u64; 2] = [50_000, 3_000_000];

/// How long a transfer may hang: gates come back within ten seconds, and TCP waits ever longer.
const PATIENCE: Duration = Duration::from_secs(90);

/// All of them.
#[derive(Debug)]
pub(crate) struct Transfers {
    enough: Arc<AtomicBool>,
    lanes: Vec<JoinHandle<Result<Done>>>,
    arrived: Arc<AtomicU64>,
}

/// What they came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) transfers: u64,
    pub(crate) bytes: u64,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} transfers, {} bytes, each as it was sent", self.transfers, self.bytes)
    }
}

impl Transfers {
    /// Begins.
    pub(crate) fn start(lab: &Lab) -> Result<Self> {
        let (enough, arrived) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut lanes = Vec::new();
        for lane in 0..LANES {
            let listener = lab.server.run(|| TcpListener::bind((Lab::SERVER_ADDRESS, 0)));
            let listener = listener.context("the server cannot listen")?;
            let address = listener.local_addr().context("the server listens nowhere")?;
            let (enough, arrived) = (Arc::clone(&enough), Arc::clone(&arrived));
            // A thread stays in the namespace that it was started in.
            let start = || thread::spawn(move || run(lane, &listener, address, &enough, &arrived));
            lanes.push(lab.client.run(start));
        }
        Ok(Self { enough, lanes, arrived })
    }

    /// Have any failed already?
    pub(crate) fn check(&self) -> Result<()> {
        let ended = self.lanes.iter().any(JoinHandle::is_finished);
        ensure!(!ended, "a transfer failed; {} bytes have arrived", self.arrived.load(Ordering::Relaxed));
        Ok(())
    }

    /// Begins no more and waits for those under way.
    pub(crate) fn finish(self, limit: Duration, interrupt: &Interrupt) -> Result<Done> {
        self.enough.store(true, Ordering::Relaxed);
        let all = || Ok(self.lanes.iter().all(JoinHandle::is_finished).then_some(()));
        interrupt.wait_for("the last transfers", limit, all)?;
        let mut total = Done::default();
        for lane in self.lanes {
            let Ok(done) = lane.join() else { bail!("a lane of transfers panicked") };
            let done = done?;
            total.transfers += done.transfers;
            total.bytes += done.bytes;
        }
        Ok(total)
    }
}

fn run(
    lane: u64,
    listener: &TcpListener,
    address: SocketAddr,
    enough: &AtomicBool,
    arrived: &AtomicU64,
) -> Result<Done> {
    let mut done = Done::default();
    while !enough.load(Ordering::Relaxed) {
        let number = done.transfers * LANES + lane;
        let [least, most] = SIZES;
        let size = least + number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (most - least);
        transfer(number, listener, address, size, arrived).with_context(|| format!("transfer {number}"))?;
        done.transfers += 1;
        done.bytes += size;
    }
    Ok(done)
}

/// One connection: the client sends, the server says at the end how much came.
fn transfer(
    number: u64,
    listener: &TcpListener,
    address: SocketAddr,
    size: u64,
    arrived: &AtomicU64,
) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut client = loop {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(client) => break client,
            // A host whose link is down has no way to the other.
            Err(error) if Instant::now() > deadline => return Err(error).context("cannot connect"),
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    };
    let own = client.local_addr().context("no address")?;
    let mut server = loop {
        // A connection that its client gave up may be there before.
        let (server, peer) = listener.accept().context("cannot accept")?;
        if peer == own {
            break server;
        }
    };
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(PATIENCE)).context("cannot set a limit")?;
        stream.set_write_timeout(Some(PATIENCE)).context("cannot set a limit")?;
    }
    let receiver = thread::spawn(move || -> Result<u64> {
        let (mut place, mut chunk) = (0_u64, vec![0; 65_536]);
        loop {
            let got = server.read(&mut chunk).context("cannot read")?;
            if got == 0 {
                server.write_all(&place.to_be_bytes()).context("cannot answer")?;
                return Ok(place);
            }
            let bytes = chunk.get(..got).unwrap_or_default();
            ensure!(bytes == pattern(number, place, got), "not as it was sent, from byte {place} on");
            place += bytes.len() as u64;
        }
    });
    let mut sent = 0;
    while sent < size {
        let length = usize::try_from(size - sent).unwrap_or(usize::MAX).min(16_384);
        client.write_all(&pattern(number, sent, length)).context("cannot send")?;
        sent += length as u64;
        arrived.fetch_add(length as u64, Ordering::Relaxed);
        // Transfers that last a while meet more than those that are over at once.
        thread::sleep(Duration::from_millis(2));
    }
    client.shutdown(Shutdown::Write).context("cannot end")?;
    let mut answer = [0; 8];
    client.read_exact(&mut answer).context("no answer")?;
    let Ok(received) = receiver.join() else { bail!("the receiver panicked") };
    ensure!(received? == size && u64::from_be_bytes(answer) == size, "not all of {size} bytes arrived");
    Ok(())
}

/// Bytes that tell a lost, doubled or moved one, different for each transfer.
fn pattern(number: u64, from: u64, length: usize) -> Vec<u8> {
    let byte = |place: u64| {
        let [.., last] = (place ^ number.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        last
    };
    (from..).take(length).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_go_on_where_they_ended_and_differ() {
        let whole = pattern(3, 0, 1000);
        assert_eq!([pattern(3, 0, 300), pattern(3, 300, 700)].concat(), whole);
        assert_ne!(pattern(4, 0, 1000), whole);
        assert_ne!(pattern(3, 1, 999), whole[..999]);
    }
}
