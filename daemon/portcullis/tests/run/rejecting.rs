//! Real hosts learn that they were rejected.

use crate::gate::{Gate, PATIENCE, Place, eventually, lab};
use portcullis_testkit::Lab;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};

const RULES: &str = concat!(
    "reject tcp any any -> any 8081 (flags:S; sid:1;)\n",
    "rejectboth tcp any any -> any 8082 (flow:established,to_server; content:\"forbidden\"; sid:2;)\n",
    "reject udp any any -> any 8083 (sid:3;)\n",
    "rejectdst udp any any -> any 8084 (content:\"forbidden\"; sid:4;)\n",
);

const VERDICTS: &str = "outputs.eve-log.drop.verdict = true";

#[test]
fn rejected_hosts_see_their_connections_refused_reset_and_prohibited() {
    let (lab, place) = (lab(), Place::new());
    let gate = Gate::start(&lab, &place, VERDICTS, RULES);
    let listen = |port| lab.server.run(|| TcpListener::bind((Lab::SERVER_ADDRESS, port))).unwrap();
    let bind = |port| lab.server.run(|| UdpSocket::bind((Lab::SERVER_ADDRESS, port))).unwrap();

    // Somebody listens, and yet the connection is refused.
    let _listener = listen(8081);
    let refused = lab.client.run(|| TcpStream::connect((Lab::SERVER_ADDRESS, 8081))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{refused}");

    // An open one is reset, for both.
    let listener = listen(8082);
    let mut client = lab.client.run(|| TcpStream::connect((Lab::SERVER_ADDRESS, 8082))).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    for end in [&client, &server] {
        end.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    client.write_all(b"a good word").unwrap();
    let mut bytes = [0; 11];
    server.read_exact(&mut bytes).unwrap();
    client.write_all(b"a forbidden word").unwrap();
    for (name, end) in [("client", &mut client), ("server", &mut server)] {
        let reset = end.read(&mut bytes).unwrap_err();
        assert_eq!(reset.kind(), ErrorKind::ConnectionReset, "{name}: {reset}");
    }

    // Of datagrams their sender learns.
    let client = lab.client.run(|| UdpSocket::bind((Lab::CLIENT_ADDRESS, 0))).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.connect((Lab::SERVER_ADDRESS, 8083)).unwrap();
    let _server = bind(8083);
    client.send(b"anything").unwrap();
    let prohibited = client.recv(&mut bytes).unwrap_err();
    assert_eq!(prohibited.kind(), ErrorKind::HostUnreachable, "{prohibited}");

    // Or whom they were for, if that one talks to the sender.
    let (client, server) =
        (lab.client.run(|| UdpSocket::bind((Lab::CLIENT_ADDRESS, 8085))).unwrap(), bind(8084));
    client.connect((Lab::SERVER_ADDRESS, 8084)).unwrap();
    server.connect((Lab::CLIENT_ADDRESS, 8085)).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send(b"forbidden").unwrap();
    let prohibited = server.recv(&mut bytes).unwrap_err();
    assert_eq!(prohibited.kind(), ErrorKind::HostUnreachable, "{prohibited}");

    eventually("all is counted", || gate.counter("ips.rejected") >= 4 && gate.counter("reject.sent") >= 5);
    assert_eq!((gate.counter("reject.refused"), gate.counter("capture.forged_refused")), (0, 0));
    gate.end(&lab);
    let told: Vec<_> = place
        .records("drop")
        .iter()
        .filter(|drop| drop["drop"]["reason"] == "rules")
        .map(|drop| {
            (
                drop["dest_port"].clone(),
                drop["verdict"]["reject_target"].clone(),
                drop["verdict"]["reject"].clone(),
            )
        })
        .collect();
    let tell = |port: u16, target: &str, with: &str| (port.into(), target.into(), serde_json::json!([with]));
    assert!(told.contains(&tell(8081, "to_client", "tcp-reset")), "{told:?}");
    assert!(told.contains(&tell(8082, "both", "tcp-reset")), "{told:?}");
    assert!(told.contains(&tell(8083, "to_client", "icmp-prohib")), "{told:?}");
    assert!(told.contains(&tell(8084, "to_server", "icmp-prohib")), "{told:?}");
}
