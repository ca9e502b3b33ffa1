//! `portcullis ctl`: sends a command to the running daemon and prints its answer.

use crate::bypass;
use crate::changes;
use crate::cli::CtlArgs;
use crate::control::client::Client;
use crate::control::protocol::Outcome;
use crate::detach;
use crate::exit::Failure;
use crate::output;
use std::time::Duration;

/// How long a restart may take: the new gate loads all rules first.
const RESTART: Duration = Duration::from_secs(300);

/// Runs the command.
///
/// # Errors
/// Where no daemon answers, or it refused.
pub fn run(arguments: &CtlArgs) -> Result<(), Failure> {
    if let [command, verb] = arguments.command.as_slice()
        && command == "bypass"
    {
        return bypass::run(verb, arguments);
    }
    if arguments.command == ["detach"] {
        return detach::run(arguments);
    }
    let (command, given) = request(&arguments.command, arguments.force)?;
    let fail = |error: crate::control::client::ClientError| Failure::Control(error.to_string());
    let mut client = Client::connect(&arguments.socket).map_err(fail)?;
    if matches!(command.as_str(), "restart" | "upgrade") {
        client.wait_up_to(RESTART).map_err(fail)?;
    }
    let reply = client.request(&command, given).map_err(fail)?;
    let message = match reply.message {
        serde_json::Value::String(text) => text,
        other => serde_json::to_string_pretty(&other).unwrap_or_else(|_| other.to_string()),
    };
    match reply.outcome {
        Outcome::Ok => {
            output::line(&message);
            Ok(())
        }
        Outcome::Refused => Err(Failure::Control(message)),
    }
}

/// The words of the command line as a command and its arguments.
fn request(words: &[String], force: bool) -> Result<(String, serde_json::Value), Failure> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [command] => Ok((command.to_owned(), serde_json::Value::Null)),
        ["list", "reload"] => Ok(("list-reload".to_owned(), serde_json::json!({ "force": force }))),
        ["list", "reload", name] => {
            Ok(("list-reload".to_owned(), serde_json::json!({ "name": name, "force": force })))
        }
        ["rule", verb, rule] => {
            let ids = changes::ids(rule);
            let (gid, sid) =
                ids.ok_or_else(|| Failure::Control(format!("{rule} is no SID and no GID:SID")))?;
            Ok((format!("rule-{verb}"), serde_json::json!({ "gid": gid, "sid": sid })))
        }
        ["explain", protocol, one, other]
            if ![protocol, one, other].iter().any(|word| word.contains('=')) =>
        {
            Ok(("explain".to_owned(), ends(protocol, one, other)))
        }
        ["drops", count] if !count.contains('=') => {
            Ok(("drops".to_owned(), serde_json::json!({ "n": count })))
        }
        [command, ref arguments @ ..] if !arguments.is_empty() => {
            let mut given = serde_json::Map::new();
            for argument in arguments {
                let (key, value) = argument.split_once('=').ok_or_else(|| {
                    Failure::Control(format!("{argument}: the arguments of {command} are KEY=VALUE"))
                })?;
                given.insert(key.to_owned(), value.into());
            }
            Ok((command.to_owned(), given.into()))
        }
        _ => Err(Failure::Control("no command is given".to_owned())),
    }
}

/// `tcp 10.0.0.1:4000 10.0.0.2:80` as arguments; the port may be missing, and an IPv6 address with one is in brackets.
fn ends(protocol: &str, one: &str, other: &str) -> serde_json::Value {
    let mut given = serde_json::Map::new();
    given.insert("proto".to_owned(), protocol.into());
    for (side, end) in [("src", one), ("dest", other)] {
        let (ip, port) = match end.parse::<std::net::SocketAddr>() {
            Ok(both) => (both.ip().to_string(), Some(both.port())),
            // What is no address either is the daemon's to refuse.
            Err(_) => (end.to_owned(), None),
        };
        given.insert(format!("{side}-ip"), ip.into());
        if let Some(port) = port {
            given.insert(format!("{side}-port"), port.into());
        }
    }
    given.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_a_command_and_its_arguments() {
        let of = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            request(&words, true).map_err(|failure| failure.to_string())
        };
        assert_eq!(of("uptime"), Ok(("uptime".to_owned(), serde_json::Value::Null)));
        let disable = serde_json::json!({ "gid": 1, "sid": 5 });
        assert_eq!(of("rule disable 5"), Ok(("rule-disable".to_owned(), disable)));
        let enable = serde_json::json!({ "gid": 3, "sid": 5 });
        assert_eq!(of("rule enable 3:5"), Ok(("rule-enable".to_owned(), enable)));
        assert!(of("rule disable five").unwrap_err().contains("five is no SID"));
        let reload = serde_json::json!({ "name": "feed", "force": true });
        assert_eq!(of("list reload feed"), Ok(("list-reload".to_owned(), reload)));
        let ends = serde_json::json!({ "ip": "10.0.0.1", "port": "53" });
        assert_eq!(of("flow-end ip=10.0.0.1 port=53"), Ok(("flow-end".to_owned(), ends)));
        let ends = |one, port: u16, other| serde_json::json!({ "proto": "udp", "src-ip": one, "src-port": port, "dest-ip": other });
        let asked = of("explain udp 10.0.0.1:53 10.0.0.2");
        assert_eq!(asked, Ok(("explain".to_owned(), ends("10.0.0.1", 53, "10.0.0.2"))));
        assert_eq!(of("explain udp [::1]:53 ::2"), Ok(("explain".to_owned(), ends("::1", 53, "::2"))));
        let port = serde_json::json!({ "proto": "tcp", "vlan": "5" });
        assert_eq!(of("explain proto=tcp vlan=5"), Ok(("explain".to_owned(), port)));
        assert_eq!(of("drops 20"), Ok(("drops".to_owned(), serde_json::json!({ "n": "20" }))));
        assert!(of("uptime now").unwrap_err().contains("KEY=VALUE"));
    }
}
