//! What the commands of the control socket are called and answered with: those of Suricata by its names and in its
//! shapes, and ours.

use super::Handler;
use super::flow_end::selector;
use super::protocol::{Reply, Request, nested};
use super::question::{most_drops, question};
use portcullis_detect::RuleChange;
use serde_json::Value;
use std::time::Instant;

/// What the server answers to, sorted.
const COMMANDS: [&str; 30] = [
    "capture-mode",
    "command-list",
    "conf-get",
    "drops",
    "dump-counters",
    "explain",
    "flow-end",
    "help",
    "iface-list",
    "iface-stat",
    "list",
    "list-reload",
    "reload-config",
    "reload-rules",
    "reopen-log-files",
    "restart",
    "rule-alert-only",
    "rule-disable",
    "rule-enable",
    "rule-would-drop",
    "ruleset-failed-rules",
    "ruleset-reload-nonblocking",
    "ruleset-reload-rules",
    "ruleset-reload-time",
    "ruleset-stats",
    "running-mode",
    "shutdown",
    "upgrade",
    "uptime",
    "version",
];

/// Answers one message of a client that was greeted.
pub(super) fn answer(message: Value, handler: &mut impl Handler, started: Instant) -> Reply {
    let request: Request = match serde_json::from_value(message) {
        Ok(request) => request,
        Err(error) => return Reply::refused(format!("a message must hold a command: {error}")),
    };
    if !request.arguments.is_null() && !request.arguments.is_object() {
        return Reply::refused("arguments must be an object");
    }
    match request.command.as_str() {
        "command-list" | "help" => {
            Reply::ok(serde_json::json!({ "count": COMMANDS.len(), "commands": COMMANDS }))
        }
        "version" => Reply::ok(format!("Portcullis {}", env!("CARGO_PKG_VERSION"))),
        "uptime" => Reply::ok(started.elapsed().as_secs()),
        "dump-counters" => Reply::ok(nested(&handler.counters())),
        "flow-end" => match selector(&request.arguments).and_then(|which| handler.end_flows(which)) {
            Ok(workers) => Reply::ok(format!("{workers} workers end them; flow.wrk.flows_injected counts")),
            Err(reason) => Reply::refused(reason),
        },
        "explain" => told(question(&request.arguments).and_then(|asked| handler.explain(asked))),
        "drops" => told(most_drops(&request.arguments).and_then(|most| handler.drops(most))),
        "reload-config" => told(handler.reload_config()),
        "list" => told(handler.lists()),
        "list-reload" => {
            let name = request.arguments.get("name").and_then(|name| name.as_str()).map(str::to_owned);
            let force = request.arguments.get("force").and_then(Value::as_bool).unwrap_or(false);
            match handler.reload_lists(name, force) {
                Ok(done) => Reply::ok(format!("done: {done}")),
                Err(reason) => Reply::refused(reason),
            }
        }
        "iface-list" => {
            let ifaces = &handler.about().interfaces;
            Reply::ok(serde_json::json!({ "count": ifaces.len(), "ifaces": ifaces }))
        }
        "iface-stat" => told(text(&request.arguments, "iface").and_then(|iface| handler.interface(&iface))),
        "running-mode" => Reply::ok(handler.about().running_mode),
        "capture-mode" => Reply::ok(handler.about().capture_mode),
        "conf-get" => told(text(&request.arguments, "variable").and_then(|name| {
            let setting = handler.about().setting(&name);
            setting
                .ok_or_else(|| format!("{name} is not set: its default holds, or there is no such setting"))
        })),
        "ruleset-stats" => told(handler.ruleset().map(|rules| rules.stats())),
        "ruleset-reload-time" => told(handler.ruleset().map(|rules| rules.reload_time())),
        "ruleset-failed-rules" => told(handler.ruleset().map(|rules| rules.failed())),
        "ruleset-reload-nonblocking" => told(handler.reload_rules_later().map(|()| "reload started")),
        "reload-rules" | "ruleset-reload-rules" => match handler.reload_rules() {
            Ok(rules) => Reply::ok(format!("done: {rules} rules are in use")),
            Err(reason) => Reply::refused(reason),
        },
        "rule-disable" => change(&request.arguments, handler, Some(RuleChange::Disable)),
        "rule-alert-only" => change(&request.arguments, handler, Some(RuleChange::AlertOnly)),
        "rule-would-drop" => change(&request.arguments, handler, Some(RuleChange::WouldDrop)),
        "rule-enable" => change(&request.arguments, handler, None),
        "reopen-log-files" => match handler.reopen_logs() {
            Ok(()) => Reply::ok("log files reopened"),
            Err(reason) => Reply::refused(reason),
        },
        "restart" | "upgrade" => told(handler.restart(request.command == "upgrade")),
        "shutdown" => {
            handler.shutdown();
            Reply::ok("shutting down")
        }
        unknown => Reply::refused(format!("unknown command {unknown:?}; command-list shows all")),
    }
}

/// Changes the rule that the arguments name: `sid`, and `gid` unless it is 1.
fn change(arguments: &Value, handler: &mut impl Handler, change: Option<RuleChange>) -> Reply {
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    let gid = arguments.get("gid").map_or(Some(1), number);
    let (Some(gid), Some(sid)) = (gid, arguments.get("sid").and_then(number)) else {
        return Reply::refused("arguments must hold a number `sid`, and may hold a number `gid`");
    };
    match handler.change_rule(gid, sid, change) {
        Ok(rules) => Reply::ok(format!("done: {rules} rules are in use")),
        Err(reason) => Reply::refused(reason),
    }
}

/// What was found out, or why not.
fn told(outcome: Result<impl Into<Value>, String>) -> Reply {
    match outcome {
        Ok(message) => Reply::ok(message),
        Err(reason) => Reply::refused(reason),
    }
}

/// The argument of this name.
fn text(arguments: &Value, name: &str) -> Result<String, String> {
    let given = arguments.get(name).and_then(Value::as_str).map(str::to_owned);
    given.ok_or_else(|| format!("arguments must hold a string `{name}`"))
}
