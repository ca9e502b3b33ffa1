//! Connections that were set up while nobody judged.

use crate::gate::{Gate, Place, eventually, lab, ping};
use portcullis_testkit::{Lab, RawSocket};
use portcullis_wire::builder::PacketBuilder;
use portcullis_wire::decoded::TcpFlags;
use rustix::process::Signal;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// `stream.midstream-grace`
const GRACE: Duration = Duration::from_secs(8);

/// Something from the client to the server, and back.
fn exchange(client: &mut TcpStream, server: &mut TcpStream) {
    let mut got = [0; 4];
    client.write_all(b"ping").unwrap();
    server.read_exact(&mut got).unwrap();
    server.write_all(b"pong").unwrap();
    client.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"pong");
}

fn stray(port: u16) -> Vec<u8> {
    let frame = PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let frame = frame.ipv4([10, 77, 0, 1], [10, 77, 0, 2]).tcp(port, 80);
    frame.flags(TcpFlags::ACK).seq(7).ack(9).payload(b"x").to_vec()
}

#[test]
fn after_a_blind_time_those_are_picked_up_that_passed_and_no_others() {
    let (lab, place) = (lab(), Place::new());
    let grace =
        format!("liveness = {{ limit-ms = 500 }}\nstream = {{ midstream-grace = {} }}", GRACE.as_secs());
    let gate = Gate::start(&lab, &place, &grace, "");
    assert!(ping(&lab, 2, 5));
    let wire = RawSocket::open(&lab.client, Lab::CLIENT_PORT).unwrap();
    let dropped = || gate.counter("ips.drop_reason.stream_midstream");
    wire.send(&stray(1)).unwrap();
    eventually("at first everybody has a grace", || gate.counter("tcp.midstream_grace") == 1);
    assert_eq!(dropped(), 0);
    thread::sleep(GRACE + Duration::from_secs(1));
    wire.send(&stray(2)).unwrap();
    eventually("then nobody has", || dropped() == 1);

    let listener = lab.server.run(|| TcpListener::bind((Lab::SERVER_ADDRESS, 0))).unwrap();
    gate.signal_judge(Signal::STOP);
    thread::sleep(Duration::from_millis(700));
    let mut client = lab.client.run(|| TcpStream::connect(listener.local_addr().unwrap())).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    }
    exchange(&mut client, &mut server);
    gate.signal_judge(Signal::CONT);
    // At first packets may pass still.
    eventually("it is picked up", || {
        exchange(&mut client, &mut server);
        gate.counter("tcp.midstream_grace") == 2
    });
    wire.send(&stray(3)).unwrap();
    eventually("one that did not pass is not", || dropped() == 2);
    exchange(&mut client, &mut server);
    gate.end(&lab);
}

/// Megabytes of a connection go by a gate that lives all the time, more than any window; then it is judged again.
#[test]
fn a_connection_goes_on_after_the_panic_switch() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    let turn = |word: &str| {
        let mut command = lab.gate.command(crate::gate::PROGRAM);
        let status = command.args(["ctl", "bypass", word, "--set", &place.name]).output().unwrap().status;
        assert!(status.success());
    };
    let listener = lab.server.run(|| TcpListener::bind((Lab::SERVER_ADDRESS, 0))).unwrap();
    let mut client = lab.client.run(|| TcpStream::connect(listener.local_addr().unwrap())).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    }
    exchange(&mut client, &mut server);
    for judged in 1..=3 {
        turn("on");
        let bytes = vec![b'x'; 10_000_000];
        thread::scope(|scope| {
            scope.spawn(|| client.write_all(&bytes).unwrap());
            server.read_exact(&mut vec![0; bytes.len()]).unwrap();
        });
        turn("off");
        exchange(&mut client, &mut server);
        eventually("it is told", || place.records("blind").len() >= judged);
    }
    assert!(gate.counter("gate.switched") > 3 * 6_000);
    assert_eq!(gate.counter("ips.blocked"), 0);
    drop((client, server));
    gate.end(&lab);
    let flows = place.records("flow");
    let flow = flows.iter().find(|flow| flow["proto"] == "TCP").unwrap();
    assert_eq!(flow["flow"]["uninspected"], true, "{flow}");
}
