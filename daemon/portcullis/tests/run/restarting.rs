//! One gate follows another: what is lost, what passes uninspected, and what it takes to be replaced.

use crate::gate::{Gate, PATIENCE, PROGRAM, Place, eventually, lab, lives, ping};
use portcullis::control::client::Client;
use portcullis::control::protocol::Outcome;
use portcullis_testkit::Lab;
use rustix::process::Signal;
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Bytes of a pattern that tells a lost, doubled or moved byte.
fn pattern(from: u64, length: usize) -> Vec<u8> {
    let byte = |place: u64| (place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56).to_le_bytes()[0];
    (from..).take(length).map(byte).collect()
}

/// Has threads end, also where the test fails that they serve.
struct Ender<'a>(&'a AtomicBool);

impl Drop for Ender<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends over one TCP connection while `act` acts, and looks at every byte that arrives; how many did.
fn transfer_during(lab: &Lab, act: impl FnOnce(&dyn Fn() -> u64)) -> u64 {
    let listener = lab.server.run(|| TcpListener::bind((Lab::SERVER_ADDRESS, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let mut client = lab.client.run(|| TcpStream::connect(address)).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.set_write_timeout(Some(PATIENCE)).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let (done, arrived) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sent = 0;
            while !done.load(Ordering::Relaxed) {
                client.write_all(&pattern(sent, 16_384)).unwrap();
                sent += 16_384;
                // Leaves time to all who share the machine.
                thread::sleep(Duration::from_millis(1));
            }
            client.shutdown(Shutdown::Write).unwrap();
            sent
        });
        let receiver = scope.spawn(|| {
            let (mut place, mut chunk) = (0, vec![0; 65_536]);
            loop {
                let got = server.read(&mut chunk).unwrap();
                if got == 0 {
                    return place;
                }
                assert!(chunk[..got] == pattern(place, got), "not as it was sent, from byte {place} on");
                place += got as u64;
                arrived.store(place, Ordering::Relaxed);
            }
        });
        let ender = Ender(&done);
        act(&|| arrived.load(Ordering::Relaxed));
        drop(ender);
        let (sent, received) = (sender.join().unwrap(), receiver.join().unwrap());
        assert_eq!(received, sent, "all that was sent");
        received
    })
}

/// Waits until more arrives than has by now.
fn goes_on(arrived: &dyn Fn() -> u64) {
    let before = arrived();
    eventually("the transfer goes on", || arrived() > before + 100_000);
}

pub(crate) fn restart(gate: &Gate<'_>, lab: &Lab, command: &str) -> Result<String, String> {
    let mut ctl = lab.gate.command(PROGRAM);
    let output = ctl.args(["ctl", command, "--socket"]).arg(gate.place.socket()).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    if output.status.success() { Ok(said) } else { Err(said) }
}

/// Sends numbered datagrams from the client while `act` acts; how many were sent, and what arrived.
fn datagrams_during(lab: &Lab, act: impl FnOnce()) -> (u64, Vec<u64>) {
    let server = lab.server.run(|| UdpSocket::bind((Lab::SERVER_ADDRESS, 0))).unwrap();
    let address = server.local_addr().unwrap();
    let client = lab.client.run(|| UdpSocket::bind((Lab::CLIENT_ADDRESS, 0))).unwrap();
    server.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(ping(lab, 1, 5), "addresses are known");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut number = 0_u64;
            while !done.load(Ordering::Relaxed) {
                client.send_to(&number.to_be_bytes(), address).unwrap();
                number += 1;
                // A pace that neither ring nor receiver loses anything at.
                thread::sleep(Duration::from_micros(300));
            }
            number
        });
        let receiver = scope.spawn(|| {
            let (mut numbers, mut buffer) = (Vec::new(), [0; 8]);
            loop {
                match server.recv(&mut buffer) {
                    Ok(_) => numbers.push(u64::from_be_bytes(buffer)),
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                        if done.load(Ordering::Relaxed) {
                            return numbers;
                        }
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        });
        let ender = Ender(&done);
        act();
        drop(ender);
        (sender.join().unwrap(), receiver.join().unwrap())
    })
}

#[test]
fn an_open_gate_loses_nothing_when_it_is_restarted() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    let (sent, mut arrived) = datagrams_during(&lab, || {
        for command in ["restart", "upgrade", "restart"] {
            let judge = gate.judge();
            let said = restart(&gate, &lab, command).unwrap();
            assert!(said.contains("another process judges"), "{said}");
            eventually("the one before has ended", || !lives(judge));
        }
    });
    arrived.sort_unstable();
    let expected: Vec<u64> = (0..sent).collect();
    assert!(arrived == expected, "{} of {sent} arrived", arrived.len());
    assert_eq!(gate.counter("gate.restarts"), 0, "nobody died");
    assert_eq!(gate.counter("gate.dropped_closed"), 0);
    gate.end(&lab);
}

/// With a closed gate nothing passes uninspected, whatever happens to it: by the kernel's counts, and by a rule that
/// drops what is sent all the time.
#[test]
fn a_closed_gate_lets_nothing_pass_uninspected_over_deaths_and_restarts() {
    let (lab, place) = (lab(), Place::new());
    let rules = "drop udp any any -> any any (msg:\"all\"; sid:1;)\n";
    let gate = Gate::start(&lab, &place, "fail = \"closed\"", rules);
    let (sent, arrived) = datagrams_during(&lab, || {
        for turn in 0..2 {
            let judge = gate.judge();
            gate.signal_judge(Signal::KILL);
            gate.wait_for_another(judge);
            eventually("another judges", || gate.counter("gate.restarts") == turn + 1);
            restart(&gate, &lab, "restart").unwrap();
            eventually("the one before has ended", || gate.judges().len() == 1);
        }
    });
    assert_eq!(arrived, Vec::<u64>::new(), "of {sent}");
    assert_eq!(gate.counter("gate.passed_uninspected"), 0);
    assert!(ping(&lab, 2, 5));
    gate.end(&lab);
}

#[test]
fn a_connection_outlives_restarts_deaths_and_hangs() {
    for fail in ["open", "closed"] {
        let (lab, place) = (lab(), Place::new());
        let gate =
            Gate::start(&lab, &place, &format!("fail = \"{fail}\"\nliveness = {{ limit-ms = 500 }}"), "");
        transfer_during(&lab, |arrived| {
            goes_on(arrived);
            restart(&gate, &lab, "restart").unwrap();
            goes_on(arrived);
            eventually("the one before has ended", || gate.judges().len() == 1);
            let judge = gate.judge();
            gate.signal_judge(Signal::KILL);
            gate.wait_for_another(judge);
            goes_on(arrived);
            gate.signal_judge(Signal::STOP);
            thread::sleep(Duration::from_secs(1));
            gate.signal_judge(Signal::CONT);
            goes_on(arrived);
        });
        gate.end(&lab);
    }
}

#[test]
fn a_flow_is_one_flow_over_a_restart() {
    let (lab, place) = (lab(), Place::new());
    let rules = "alert udp any any -> any 4001 (content:\"one\"; flowbits:set,seen; noalert; sid:1;)\n\
                 alert udp any any -> any 4001 (content:\"two\"; flowbits:isset,seen; sid:2;)\n";
    let gate = Gate::start(&lab, &place, "", rules);
    assert!(ping(&lab, 1, 5), "addresses are known");
    let client = lab.client.run(|| UdpSocket::bind((Lab::CLIENT_ADDRESS, 4000))).unwrap();
    let send = |text: &str| client.send_to(text.as_bytes(), (Lab::SERVER_ADDRESS, 4001)).unwrap();
    for _ in 0..5 {
        send("one");
    }
    eventually("all are judged", || gate.counter("decoder.udp") >= 5);
    restart(&gate, &lab, "restart").unwrap();
    eventually("flows are taken over", || gate.counter("flow.taken_over") >= 1);
    for _ in 0..5 {
        send("two");
    }
    eventually("all are judged", || gate.counter("decoder.udp") >= 5);
    gate.end(&lab);
    let mut flows = place.records("flow");
    flows.retain(|flow| flow["dest_port"] == 4001);
    assert_eq!(flows.len(), 1, "{flows:?}");
    assert_eq!(flows[0]["flow"]["pkts_toserver"], 10, "{flows:?}");
    let alerts = place.records("alert");
    assert_eq!(alerts.len(), 5, "the bit was handed over: {alerts:?}");
    assert!(alerts.iter().all(|alert| alert["flow_id"] == flows[0]["flow_id"]), "{alerts:?}");
}

#[test]
fn a_restart_that_cannot_be_leaves_the_gate_as_it_is() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, "", "");
    let judge = gate.judge();
    let config = fs::read_to_string(place.path("gate.toml")).unwrap();
    let check = |text: &str, expected: &str| {
        fs::write(place.path("gate.toml"), text).unwrap();
        let said = restart(&gate, &lab, "restart").unwrap_err();
        assert!(said.contains(expected), "{said}");
        eventually("the new one is gone", || gate.judges() == [judge]);
        assert!(ping(&lab, 1, 5));
    };
    check(&config.replace("16mb", "much"), "flow.memcap");
    check(
        &config.replace("test.rules", "none.rules"),
        "the new gate ended with status 1: the old one goes on",
    );
    check(&config.replace("\"gate0\", \"gate1\"", "\"gate1\", \"gate0\""), "that takes an end and a start");
    fs::write(place.path("gate.toml"), format!("fail = \"closed\"\n{config}")).unwrap();
    restart(&gate, &lab, "restart").unwrap();
    eventually("another judges", || gate.judges().len() == 1 && gate.judges() != [judge]);
    gate.signal_judge(Signal::STOP);
    assert!(!ping(&lab, 2, 1) || gate.counter("gate.dropped_closed") > 0, "the new policy is in force");
    gate.signal_judge(Signal::CONT);
    assert!(ping(&lab, 1, 5));
    gate.end(&lab);
}

/// What /proc says of each thread of the gate.
fn statuses(gate: &Gate<'_>) -> Vec<String> {
    let tasks = format!("/proc/{}/task", gate.judge().as_raw_nonzero());
    let threads = fs::read_dir(tasks).unwrap().flatten();
    threads.map(|thread| fs::read_to_string(thread.path().join("status")).unwrap()).collect()
}

#[test]
fn no_thread_of_the_gate_has_privileges_and_logs_and_commands_go_on() {
    for (user, expected) in [("", "0\t0\t0\t0"), ("run-as.user = \"nobody\"", "65534\t65534\t65534\t65534")] {
        let (lab, place) = (lab(), Place::new());
        let gate = Gate::start(&lab, &place, user, "");
        let threads = statuses(&gate);
        assert!(threads.len() > 4, "{}", threads.len());
        for status in threads {
            for line in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                assert!(status.contains(&format!("{line}:\t0000000000000000")), "{status}");
            }
            assert!(status.contains("NoNewPrivs:\t1"), "{status}");
            assert!(status.contains("Seccomp:\t2"), "{status}");
            assert!(status.contains(&format!("Uid:\t{expected}")), "{status}");
        }
        assert!(ping(&lab, 2, 5));
        fs::rename(place.path("eve.json"), place.path("eve.json.1")).unwrap();
        gate.signal(Signal::HUP);
        eventually("the file is there again", || place.path("eve.json").exists());
        eventually("and gets the next statistics", || !place.records("stats").is_empty());
        restart(&gate, &lab, "restart").unwrap();
        assert!(ping(&lab, 2, 5));
        gate.end(&lab);
    }
}

#[test]
fn a_gate_reads_its_rules_anew_and_nothing_that_is_elsewhere() {
    let (lab, place, elsewhere) = (lab(), Place::new(), Place::new());
    let rule = |sid| format!("alert icmp any any -> any any (sid:{sid};)\n");
    let (linked, other) = (place.path("linked.rules"), elsewhere.write("other.rules", &rule(2)));
    let link = |to| {
        let _ = fs::remove_file(&linked);
        std::os::unix::fs::symlink(to, &linked).unwrap();
    };
    link(elsewhere.write("first.rules", &rule(1)));
    let config = place.configure("", "");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("[\"test.rules\"]", "[\"linked.rules\"]")).unwrap();
    let gate = Gate::start_as(&lab, &place, &config);
    // A link that leads where one led at the start.
    link(other);
    gate.ask("ruleset-reload-rules");
    assert!(ping(&lab, 1, 5));
    eventually("the other rule is in use", || {
        place.records("alert").iter().any(|alert| alert["alert"]["signature_id"] == 2)
    });
    link("/etc/shadow".into());
    let mut client = Client::connect(&place.socket()).unwrap();
    let refused = client.command("ruleset-reload-rules").unwrap();
    assert_ne!(refused.outcome, Outcome::Ok);
    assert!(refused.message.to_string().contains("denied"), "{}", refused.message);
    assert!(ping(&lab, 1, 5));
    gate.end(&lab);
}

#[test]
fn a_gate_that_says_what_it_must_not_is_not_listened_to() {
    let (lab, place) = (lab(), Place::new());
    let config = place.configure("", "");
    // Started by nobody, and by somebody who is no warden.
    let mut command = lab.gate.command(PROGRAM);
    let output =
        command.arg("gate").arg("-c").arg(config).stdin(std::process::Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("the warden does not answer"), "{said}");
    crate::gate::assert_ports_are_free(&lab);
}
