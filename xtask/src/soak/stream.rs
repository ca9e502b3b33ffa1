//! A steady stream of UDP from host to host, both ends counted.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use portcullis_testkit::Lab;
use rustix::net::sockopt::set_socket_recv_buffer_size_force;

/// Bytes that may wait for the receiver: it is not what is measured.
const ROOM: usize = 256 << 20;

/// How long after the last packet none comes any more.
const LAST: Duration = Duration::from_millis(500);

/// How long the sender sleeps between two lots.
const PAUSE: Duration = Duration::from_micros(200);

/// Most packets in a lot. A sender that the machine kept waiting does not make up for it: no ring has room for that.
const LOT: u32 = 64;

/// What both ends counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// A stream under way.
#[derive(Debug)]
pub(crate) struct Stream {
    enough: Arc<AtomicBool>,
    sender: JoinHandle<u64>,
    receiver: JoinHandle<u64>,
}

impl Stream {
    /// Begins, at `rate` packets a second.
    pub(crate) fn start(lab: &Lab, rate: u32) -> Result<Self> {
        let server = lab.server.run(|| UdpSocket::bind((Lab::SERVER_ADDRESS, 0))).context("no server")?;
        let address = server.local_addr().context("no address")?;
        let client = lab.client.run(|| UdpSocket::bind((Lab::CLIENT_ADDRESS, 0))).context("no client")?;
        server.set_read_timeout(Some(LAST)).context("no limit")?;
        set_socket_recv_buffer_size_force(&server, ROOM).context("no room to receive into")?;
        // So that both know each other's addresses on the wire.
        lab.client.output("ping", &["-q", "-c", "1", "-W", "5", Lab::SERVER_ADDRESS])?;
        let enough = Arc::new(AtomicBool::new(false));
        let (told, heard) = (Arc::clone(&enough), Arc::clone(&enough));
        Ok(Self {
            enough,
            sender: thread::spawn(move || send(&client, address, rate, &told)),
            receiver: thread::spawn(move || receive(&server, &heard)),
        })
    }

    /// Ends, and waits for what is under way.
    pub(crate) fn finish(self) -> Result<Counts> {
        self.enough.store(true, Ordering::Relaxed);
        match (self.sender.join(), self.receiver.join()) {
            (Ok(sent), Ok(received)) => Ok(Counts { sent, received }),
            _ => bail!("an end of the stream panicked"),
        }
    }
}

fn send(client: &UdpSocket, address: SocketAddr, rate: u32, enough: &AtomicBool) -> u64 {
    let (mut sent, mut credit, mut last) = (0_u64, 0.0_f64, Instant::now());
    while !enough.load(Ordering::Relaxed) {
        let now = Instant::now();
        credit += now.duration_since(last).as_secs_f64() * f64::from(rate);
        credit = credit.min(f64::from(LOT));
        last = now;
        while credit >= 1.0 {
            sent += u64::from(client.send_to(&sent.to_be_bytes(), address).is_ok());
            credit -= 1.0;
        }
        thread::sleep(PAUSE);
    }
    sent
}

fn receive(server: &UdpSocket, enough: &AtomicBool) -> u64 {
    let (mut received, mut buffer) = (0, [0; 16]);
    loop {
        match server.recv(&mut buffer) {
            Ok(_) => received += 1,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if enough.load(Ordering::Relaxed) {
                    return received;
                }
            }
            Err(_) => return received,
        }
    }
}
