//! A flood in which every packet begins a flow: its rate beside that of one flow, the memory that it takes, and whether
//! a connection that was there before goes on.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use portcullis_testkit::Lab;
use portcullis_trial::Protocol;

use super::super::bench::{Bench, Traffic, float, per_second};
use super::super::gates::Setup;
use super::super::results::Key;
use super::super::stand::Stand;
use super::super::subject::{PORTCULLIS, Subject};
use super::super::usage;

/// `flow.memcap`: small enough to be full in no time.
const MEMCAP_MIB: u32 = 64;

/// How long one answer may take before the connection counts as broken.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

pub(super) fn measure(bench: &mut Bench) -> Result<()> {
    for round in 0..bench.plan.rounds {
        let setup = Setup { memcap_mib: MEMCAP_MIB, ..Setup::default() };
        let mut stand = bench.stand(&Subject::portcullis(), &setup)?;
        let one = Traffic { flows: 1, protocol: Protocol::TcpEstablished, ..Traffic::default() };
        let key = Key::new("flood", PORTCULLIS, "one established flow", None);
        bench.throughput(&mut stand, &key, round, one)?;
        let flood = Traffic { flows: 1, churn: 1.0, protocol: Protocol::Syn, ..Traffic::default() };
        let key = Key::new("flood", PORTCULLIS, "every packet new", None);
        let found = bench.throughput(&mut stand, &key, round, flood)?;
        beside_a_connection(bench, &mut stand, &key, round, flood, found.rate)?;
        stand.end()?;
    }
    Ok(())
}

/// Half of the flood that passes without loss, for as long as it takes to fill the memory, beside a connection.
fn beside_a_connection(
    bench: &mut Bench,
    stand: &mut Stand,
    key: &Key,
    round: usize,
    flood: Traffic,
    rate: f64,
) -> Result<()> {
    let processes = stand.processes();
    let (before, _) = usage::memory(&processes);
    let connection = Connection::open(stand.lab())?;
    let mut trial = flood.trial(stand, per_second(rate / 2.0), bench.plan.seconds * 3.0);
    // Flows that the flood so far has not had.
    trial.seed = 2;
    let start = Instant::now();
    let flooded = bench.run(stand, key, round, &trial);
    let seconds = start.elapsed().as_secs_f64();
    let answers = connection.close()?;
    let outcome = flooded?;
    let (after, _) = usage::memory(&processes);
    let memuse = float(stand.gate()?.counters()?.number("flow.memuse")?);
    let cap = f64::from(MEMCAP_MIB) * f64::from(1 << 20);
    ensure!(answers > 0, "the connection got no answer while the flood lasted");
    ensure!(memuse <= cap, "flows take {memuse} bytes, and may take {cap}");
    let results = &mut bench.results;
    results.add(key, round, "answers on an established flow", "1/s", float(answers) / seconds);
    results.add(key, round, "flow memory by memcap", "", memuse / cap);
    results.add(key, round, "memory before", "MB", before / 1e6);
    results.add(key, round, "memory after", "MB", after / 1e6);
    results.add(key, round, "lost beside the connection", "packets", float(outcome.lost));
    Ok(())
}

/// A connection through the gate on which question follows answer.
#[derive(Debug)]
struct Connection {
    done: std::sync::Arc<AtomicBool>,
    asking: thread::JoinHandle<Result<u64>>,
}

impl Connection {
    fn open(lab: &Lab) -> Result<Self> {
        let listener = lab.server.run(|| TcpListener::bind((Lab::SERVER_ADDRESS, 0))).context("no server")?;
        let address = listener.local_addr().context("no address")?;
        let client = lab.client.run(|| TcpStream::connect_timeout(&address, ANSWER_LIMIT));
        let mut client = client.context("cannot connect through the gate")?;
        let (mut server, _) = listener.accept().context("no connection came")?;
        for end in [&client, &server] {
            end.set_nodelay(true)
                .and_then(|()| end.set_read_timeout(Some(ANSWER_LIMIT)))
                .context("no socket")?;
        }
        // Ends when the client closes.
        thread::spawn(move || {
            let mut byte = [0];
            while server.read_exact(&mut byte).and_then(|()| server.write_all(&byte)).is_ok() {}
        });
        let done = std::sync::Arc::new(AtomicBool::new(false));
        let over = std::sync::Arc::clone(&done);
        let asking = thread::spawn(move || {
            let (mut answers, mut byte) = (0, [7]);
            while !over.load(Ordering::Relaxed) {
                client.write_all(&byte).context("the connection broke in the flood")?;
                client.read_exact(&mut byte).context("the connection got no answer in the flood")?;
                answers += 1;
            }
            Ok(answers)
        });
        Ok(Self { done, asking })
    }

    /// Ends it; how many answers came.
    fn close(self) -> Result<u64> {
        self.done.store(true, Ordering::Relaxed);
        self.asking.join().map_err(|_| anyhow::anyhow!("the thread of the connection panicked"))?
    }
}
