//! Client against server, over a socket in a temporary folder.

use super::client::{Client, ClientError};
use super::protocol::{MAX_REQUEST, Outcome, nested};
use super::*;
use crate::config::Sources;
use portcullis_event::RuleCounts;
use portcullis_wire::Timestamp;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, Sender, channel};

struct Recorder(Sender<&'static str>, About);

impl Handler for Recorder {
    fn counters(&mut self) -> BTreeMap<String, u64> {
        [("decoder.pkts", 7), ("flow.end.state.new", 3), ("uptime", 1)]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }

    fn shutdown(&mut self) {
        self.0.send("shutdown").unwrap();
    }

    fn reopen_logs(&mut self) -> Result<(), String> {
        self.0.send("reopen").unwrap();
        Err("the disk is full".to_owned())
    }

    fn reload_rules(&mut self) -> Result<u64, String> {
        self.0.send("reload").unwrap();
        Ok(3)
    }

    fn change_rule(&mut self, gid: u32, sid: u32, change: Option<RuleChange>) -> Result<u64, String> {
        match (gid, sid, change) {
            (1, 7, Some(RuleChange::Disable)) => Ok(2),
            (3, 7, None) => Ok(4),
            other => Err(format!("{other:?}")),
        }
    }

    fn reload_config(&mut self) -> Result<String, String> {
        Ok("timeouts and policies are in force".to_owned())
    }

    fn end_flows(&mut self, which: FlowSelector) -> Result<usize, String> {
        assert_eq!(which.id, Some(7));
        Ok(2)
    }

    fn explain(&mut self, question: Question) -> Result<Value, String> {
        if question.protocol == 6 { Ok(json!({ "flow": null })) } else { Err("nobody knows".to_owned()) }
    }

    fn drops(&mut self, most: usize) -> Result<Value, String> {
        Ok(json!({ "count": most }))
    }

    fn restart(&mut self, upgrade: bool) -> Result<String, String> {
        if upgrade { Err("the new gate ended with status 1".to_owned()) } else { Ok("done".to_owned()) }
    }

    fn lists(&mut self) -> Result<Value, String> {
        Ok(json!({ "lists": [] }))
    }

    fn reload_lists(&mut self, name: Option<String>, force: bool) -> Result<String, String> {
        Err(format!("{name:?} {force}"))
    }

    fn reload_rules_later(&mut self) -> Result<(), String> {
        self.0.send("later").unwrap();
        Ok(())
    }

    fn ruleset(&mut self) -> Result<Ruleset, String> {
        let counts = RuleCounts { last_reload: Timestamp::ZERO, loaded: 3, failed: 0, skipped: 0 };
        Ok(Ruleset { counts, faults: [].into() })
    }

    fn interface(&mut self, name: &str) -> Result<Value, String> {
        if name == "eth1" { Ok(json!({ "pkts": 5 })) } else { Err("no port".to_owned()) }
    }

    fn about(&self) -> &About {
        &self.1
    }
}

/// A server with the socket that it serves.
struct Serving {
    _server: Server,
    _socket: ControlSocket,
}

fn start(path: &std::path::Path, handler: Recorder) -> Result<Serving, ServerError> {
    let socket = ControlSocket::open(path)?;
    let listener = UnixListener::from(socket.listener().try_clone_to_owned().unwrap());
    Ok(Serving { _server: Server::start(listener, handler).unwrap(), _socket: socket })
}

fn about() -> About {
    let sources = Sources { text: "copy-mode = \"ips\"".to_owned(), ..Sources::default() };
    let interfaces = vec!["eth1".to_owned(), "eth2".to_owned()];
    About { running_mode: "workers", capture_mode: "AF_XDP_DEV", interfaces, sources }
}

fn serve() -> (tempfile::TempDir, std::path::PathBuf, Serving, Receiver<&'static str>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/control.sock");
    let (sender, receiver) = channel();
    let server = start(&path, Recorder(sender, about())).unwrap();
    (folder, path, server, receiver)
}

#[test]
fn commands_are_answered() {
    let (_folder, path, server, calls) = serve();
    let mut client = Client::connect(&path).unwrap();
    let mut check = |command: &str, outcome: Outcome, message: Value| {
        let reply = client.command(command).unwrap();
        assert_eq!((reply.outcome, reply.message), (outcome, message), "{command}");
    };
    check("version", Outcome::Ok, json!(format!("Portcullis {}", env!("CARGO_PKG_VERSION"))));
    check(
        "dump-counters",
        Outcome::Ok,
        json!({"decoder": {"pkts": 7}, "flow": {"end": {"state": {"new": 3}}}, "uptime": 1}),
    );
    check("reopen-log-files", Outcome::Refused, json!("the disk is full"));
    check("reload-rules", Outcome::Ok, json!("done: 3 rules are in use"));
    check("iface-list", Outcome::Ok, json!({"count": 2, "ifaces": ["eth1", "eth2"]}));
    check("running-mode", Outcome::Ok, json!("workers"));
    check("capture-mode", Outcome::Ok, json!("AF_XDP_DEV"));
    check("ruleset-reload-nonblocking", Outcome::Ok, json!("reload started"));
    let stats = json!([{ "id": 0, "rules_loaded": 3, "rules_failed": 0, "rules_skipped": 0 }]);
    check("ruleset-stats", Outcome::Ok, stats);
    check("ruleset-failed-rules", Outcome::Ok, json!([]));
    check("reload-config", Outcome::Ok, json!("timeouts and policies are in force"));
    check("restart", Outcome::Ok, json!("done"));
    check("upgrade", Outcome::Refused, json!("the new gate ended with status 1"));
    check("shutdown", Outcome::Ok, json!("shutting down"));
    check("dance", Outcome::Refused, json!("unknown command \"dance\"; command-list shows all"));
    let ended = client.request("flow-end", json!({"id": "7"})).unwrap();
    assert_eq!(ended.message, json!("2 workers end them; flow.wrk.flows_injected counts"));
    let ends = json!({"proto": "tcp", "src-ip": "10.0.0.1", "dest-ip": "10.0.0.2"});
    assert_eq!(client.request("explain", ends).unwrap().message, json!({ "flow": null }));
    assert_eq!(client.command("explain").unwrap().outcome, Outcome::Refused);
    assert_eq!(client.request("drops", json!({"n": 7})).unwrap().message, json!({ "count": 7 }));
    let stat = client.request("iface-stat", json!({"iface": "eth1"})).unwrap();
    assert_eq!((stat.outcome, stat.message), (Outcome::Ok, json!({ "pkts": 5 })));
    assert_eq!(client.command("iface-stat").unwrap().outcome, Outcome::Refused);
    let mut setting = |name: &str| client.request("conf-get", json!({ "variable": name })).unwrap();
    assert_eq!(setting("copy-mode").message, json!("ips"));
    assert_eq!(setting("flow.memcap").outcome, Outcome::Refused);
    let refused = client.command("flow-end").unwrap();
    assert_eq!(refused.outcome, Outcome::Refused, "{}", refused.message);
    let list = client.command("command-list").unwrap().message;
    let commands: Vec<&str> = list["commands"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(commands.contains(&"dump-counters"));
    assert_eq!(list["count"], commands.len());
    for command in commands {
        assert!(!client.command(command).unwrap().message.to_string().contains("unknown"), "{command}");
    }
    assert!(client.command("uptime").unwrap().message.is_u64());
    let expected =
        ["reopen", "reload", "later", "shutdown", "reload", "reopen", "later", "reload", "shutdown"];
    assert_eq!(calls.try_iter().collect::<Vec<_>>(), expected);
    drop(server);
    assert!(!path.exists());
}

#[test]
fn clients_are_served_beside_each_other() {
    let (_folder, path, _server, _calls) = serve();
    let mut silent = UnixStream::connect(&path).unwrap();
    silent.write_all(b"{\"vers").unwrap();
    let mut first = Client::connect(&path).unwrap();
    let mut second = Client::connect(&path).unwrap();
    assert_eq!(second.command("version").unwrap(), first.command("version").unwrap());
    silent.write_all(b"ion\": \"0.2\"}").unwrap();
    let mut line = String::new();
    BufReader::new(silent).read_line(&mut line).unwrap();
    assert_eq!(line, "{\"return\":\"OK\"}\n");
}

/// Sends `bytes` and returns all that comes back until the server hangs up or half a line is asked.
fn raw(path: &std::path::Path, bytes: &[u8], lines: usize) -> Vec<String> {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(bytes).unwrap();
    BufReader::new(stream).lines().take(lines).map(Result::unwrap).collect()
}

#[test]
fn bad_messages_are_refused_with_a_reason() {
    let (_folder, path, _server, _calls) = serve();
    let check = |bytes: &[u8], expected: &[&str]| {
        let got = raw(&path, bytes, expected.len());
        for (got, expected) in got.iter().zip(expected) {
            assert!(got.contains(expected), "{got} should contain {expected}");
        }
        assert_eq!(got.len(), expected.len());
    };
    check(b"{\"version\":\"9\"}", &["NOK"]);
    check(b"hello\n", &["must be JSON"]);
    check(b"{\"command\":\"version\"}", &["the first message must be a version"]);
    check(b"{\"version\":\"0.1\"}{\"cmd\":1}", &["OK", "must hold a command"]);
    check(b"{\"version\":\"0.2\"}{\"command\":\"uptime\",\"arguments\":3}", &["OK", "must be an object"]);
    check(b"{\"version\":\"0.2\"}\n{\"command\":\"uptime\",\"arguments\":{}}\n", &["OK", "OK"]);
    let long = [b"\"".as_slice(), &vec![b'a'; MAX_REQUEST + 1]].concat();
    check(&long, &["at most"]);
}

#[test]
fn only_a_dead_socket_is_replaced() {
    let (folder, path, server, _calls) = serve();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let again = start(&path, Recorder(channel().0, about()));
    assert!(matches!(again, Err(ServerError::InUse(_))));
    drop(server);

    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a listener that is dropped leaves its file");
    assert!(matches!(Client::connect(&path), Err(ClientError::Connect { .. })));
    let server = start(&path, Recorder(channel().0, about())).unwrap();
    assert!(Client::connect(&path).is_ok());

    // The file of somebody else who took the path is left alone.
    std::fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    drop(server);
    assert!(path.exists());
    drop(other);

    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "mine").unwrap();
    assert!(matches!(start(&file, Recorder(channel().0, about())), Err(ServerError::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn a_client_beyond_the_bound_is_turned_away() {
    let (_folder, path, _server, _calls) = serve();
    let mut clients: Vec<Client> = (0..16).map(|_| Client::connect(&path).unwrap()).collect();
    let mut text = String::new();
    UnixStream::connect(&path).unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("too many clients"), "{text}");
    assert!(clients.iter_mut().all(|client| client.command("version").is_ok()));
}

#[test]
fn a_counter_that_is_also_a_group_does_not_panic() {
    let counters = [("a".to_owned(), 1), ("a.b".to_owned(), 2)].into();
    assert_eq!(nested(&counters), json!({"a": {"b": 2}}));
}

#[test]
fn rules_are_changed_by_their_ids() {
    let (_folder, path, _server, _calls) = serve();
    let mut client = Client::connect(&path).unwrap();
    let mut check = |command: &str, arguments: Value, outcome: Outcome, said: &str| {
        let reply = client.request(command, arguments).unwrap();
        assert_eq!((reply.outcome, reply.message), (outcome, json!(said)), "{command}");
    };
    check("rule-disable", json!({"sid": 7}), Outcome::Ok, "done: 2 rules are in use");
    check("rule-enable", json!({"gid": 3, "sid": 7}), Outcome::Ok, "done: 4 rules are in use");
    check("rule-alert-only", json!({"sid": 8}), Outcome::Refused, "(1, 8, Some(AlertOnly))");
    let missing = "arguments must hold a number `sid`, and may hold a number `gid`";
    check("rule-disable", json!({"sid": "7"}), Outcome::Refused, missing);
    check("rule-disable", json!({"sid": 7, "gid": -1}), Outcome::Refused, missing);
}
