//! A part of the evasion matrix against a real server: Linux behind the gate, judged by what its program reads.
//! And fragments, which the kernels on both sides make and put together.

use crate::gate::{Gate, Place, eventually, lab};
use portcullis_testkit::evasion::{Row, Step, Text, Wire, rows};
use portcullis_testkit::{Lab, RawSocket};
use portcullis_wire::decoded::{TcpFlags, Transport};
use portcullis_wire::{Decoder, LinkType};
use serde_json::Value;
use std::collections::HashMap;
use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const RULE: &str = "drop tcp any any -> any 8080 (content:\"forbidden\"; sid:1;)\n";

/// Where the attacker seems to be. No interface has these addresses, so that no kernel answers for it.
const ATTACKER: ([u8; 6], [u8; 4]) = ([2, 0, 0, 0, 0, 0x50], [10, 77, 0, 80]);

/// How long a handshake may take before it is tried again, as its packets may get lost on a busy machine.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// A server that keeps what it reads, by the client's port.
struct Server {
    read: Arc<Mutex<HashMap<u16, Vec<u8>>>>,
    ended: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    fn start(lab: &Lab) -> Self {
        let listener = lab.server.run(|| TcpListener::bind((Lab::SERVER_ADDRESS, 8080))).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (read, ended) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (kept, end) = (Arc::clone(&read), Arc::clone(&ended));
        let thread = thread::spawn(move || serve(&listener, &kept, &end));
        Self { read, ended, thread: Some(thread) }
    }

    fn read(&self, port: u16) -> Vec<u8> {
        self.read.lock().unwrap().get(&port).cloned().unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.take().map(thread::JoinHandle::join);
    }
}

fn serve(listener: &TcpListener, read: &Mutex<HashMap<u16, Vec<u8>>>, ended: &AtomicBool) {
    let mut clients: Vec<(TcpStream, SocketAddr)> = Vec::new();
    let mut bytes = [0; 4096];
    while !ended.load(Ordering::Relaxed) {
        while let Ok((client, address)) = listener.accept() {
            client.set_nonblocking(true).unwrap();
            clients.push((client, address));
        }
        clients.retain_mut(|(client, address)| match client.read(&mut bytes) {
            Ok(0) => false,
            Ok(got) => {
                read.lock().unwrap().entry(address.port()).or_default().extend(&bytes[..got]);
                true
            }
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        });
        thread::sleep(Duration::from_millis(1));
    }
}

/// The attacker's end of the client's wire.
struct Attacker {
    socket: RawSocket,
    wire: Wire,
}

impl Attacker {
    fn new(lab: &Lab) -> Self {
        let socket = RawSocket::open(&lab.client, Lab::CLIENT_PORT).unwrap();
        let mac = ATTACKER.0.map(|byte| format!("{byte:02x}")).join(":");
        let address = IpAddr::from(ATTACKER.1).to_string();
        let neighbour = ["neigh", "replace", &address, "lladdr", &mac, "dev", Lab::SERVER_PORT];
        lab.server.output("ip", &neighbour).unwrap();
        let links = lab.server.output("ip", &["-j", "link", "show", Lab::SERVER_PORT]).unwrap();
        let links: Value = serde_json::from_str(&links).unwrap();
        let server = links[0]["address"].as_str().unwrap().split(':');
        let server: Vec<u8> = server.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        let host = (server.try_into().unwrap(), Lab::SERVER_ADDRESS.parse().unwrap(), 8080);
        let attacker = (ATTACKER.0, ATTACKER.1.into(), 20_000);
        Self {
            socket,
            wire: Wire { attacker, host, isn: u32::MAX - 40, host_isn: 0, timestamps: false, serves: false },
        }
    }

    /// Opens a connection from this port and learns the server's numbers.
    fn open(&mut self, port: u16) -> Wire {
        let mut wire = self.wire;
        wire.attacker.2 = port;
        let [syn, _] = wire.handshake();
        let answer = |frame: &[u8]| {
            let decoded = Decoder::default().decode(LinkType::Ethernet, None, false, frame);
            match decoded.transport {
                Transport::Tcp(tcp) if decoded.destination_port == port => Some(tcp),
                _ => None,
            }
        };
        let is_answer = |frame: &[u8]| answer(frame).is_some_and(|tcp| tcp.flags.has(TcpFlags::SYN));
        for _ in 0..10 {
            self.socket.send(&syn).unwrap();
            if let Some(frame) = self.socket.receive_matching(HANDSHAKE, is_answer).unwrap() {
                wire.host_isn = answer(&frame).unwrap().seq;
                let [_, ack] = wire.handshake();
                self.socket.send(&ack).unwrap();
                return wire;
            }
        }
        panic!("the server does not answer port {port}");
    }

    fn run(&mut self, row: &Row, port: u16, text: &Text) {
        let wire = self.open(port);
        for step in row.steps(&wire, text) {
            if let Step::Send(frame) = step {
                self.socket.send(&frame).unwrap();
            }
        }
    }
}

/// Rows that take no time, leave the handshake to us, and fit the wire.
fn is_quick(row: &Row, wire: &Wire) -> bool {
    let fits = |step: &Step| matches!(step, Step::Send(frame) if frame.len() <= 1514);
    row.suits(wire) && !row.opens && row.steps(wire, &Text::request(true)).iter().all(fits)
}

#[test]
fn a_real_server_never_reads_the_keyword() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", RULE);
    let server = Server::start(&lab);
    let mut attacker = Attacker::new(&lab);
    let (forbidden, harmless) = (Text::request(true), Text::request(false));
    let rows = rows();
    let wire = attacker.wire;
    let rows: Vec<&Row> = rows.iter().filter(|row| is_quick(row, &wire)).collect();
    assert!(rows.len() > 800, "{}", rows.len());
    for (port, row) in (10_000..).zip(&rows) {
        attacker.run(row, port, &forbidden);
        if row.is_legal(&wire) {
            let twin = port + 20_000;
            attacker.run(row, twin, &harmless);
            let read = || server.read(twin) == harmless.bytes;
            eventually(&format!("{}: {:?}", row.name, String::from_utf8_lossy(&harmless.bytes)), read);
        }
    }
    // What came before it has been judged when this is read.
    attacker.run(rows[0], 9_999, &harmless);
    eventually("the last session is read", || server.read(9_999) == harmless.bytes);
    for (port, row) in (10_000..).zip(&rows) {
        let read = server.read(port);
        let holds = read.windows(Text::KEYWORD.len()).any(|window| window == Text::KEYWORD);
        assert!(!holds, "{}: {:?}", row.name, String::from_utf8_lossy(&read));
    }
    let damaged = [
        "tcp.invalid_checksum",
        "tcp.overlap_diff_data",
        "defrag.ipv4.reassembled",
        "tcp.rst",
        "ips.blocked",
    ];
    for name in damaged {
        eventually(name, || gate.counter(name) > 0);
    }
    gate.end(&lab);
}

#[test]
fn large_pings_go_through_in_fragments() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    // As many as it takes: a busy machine may lose one of the fourteen fragments of each.
    eventually("a ping of 20,000 bytes is answered", || {
        lab.client.output("ping", &["-q", "-c", "2", "-s", "20000", "-W", "5", Lab::SERVER_ADDRESS]).is_ok()
    });
    eventually("they were put together", || gate.counter("defrag.ipv4.reassembled") >= 4);
    assert!(gate.counter("defrag.ipv4.fragments") >= 4 * 14);
    assert_eq!(gate.counter("ips.blocked"), 0);
    gate.end(&lab);
    let icmp = |flow: &&Value| flow["proto"] == "ICMP";
    assert!(place.records("flow").iter().any(|flow| icmp(&flow)), "the datagrams are a flow");
}
