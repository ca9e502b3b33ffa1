//! The control socket: a unix socket that speaks Suricata's unix-command protocol, so that
//! `suricatasc` and whatever else drives Suricata can drive the daemon.
//!
//! - [`protocol`]: messages, and finding them in a stream of bytes
//! - [`server`]: the thread that answers, and the life of the socket file
//! - [`client`]: one command, one answer
//! - `commands`: their names and answers
//! - [`Ruleset`] and [`About`]: what some of them tell
//! - `flow_end`: which flows a command means
//! - `question`: which packets somebody asks about
//!
//! Nothing here touches packets; what commands do is the [`Handler`]'s.

mod about;
pub mod client;
mod commands;
mod flow_end;
pub mod protocol;
mod question;
mod ruleset;
pub mod server;

pub use about::About;
pub use protocol::Reply;
pub use ruleset::Ruleset;
pub use server::{ControlSocket, Server, ServerError};

use portcullis_detect::RuleChange;
use portcullis_engine::Question;
use portcullis_flow::FlowSelector;
use serde_json::Value;
use std::collections::BTreeMap;

/// What the commands do. `version`, `uptime` and `command-list` need none of it.
pub trait Handler: Send + 'static {
    /// `dump-counters`: every counter by its dotted name, as in EVE's stats records.
    fn counters(&mut self) -> BTreeMap<String, u64>;

    /// `shutdown`: begins to stop the daemon; does not wait for it.
    fn shutdown(&mut self);

    /// `reopen-log-files`: as SIGHUP does.
    ///
    /// # Errors
    /// Why a log could not be reopened.
    fn reopen_logs(&mut self) -> Result<(), String>;

    /// `reload-rules` and `ruleset-reload-rules`: as SIGUSR2 does; gives how many rules are in use.
    ///
    /// # Errors
    /// Why the old rules stay.
    fn reload_rules(&mut self) -> Result<u64, String>;

    /// `rule-disable`, `rule-alert-only`, `rule-would-drop` and, with `None`, `rule-enable`: changes one rule, at once and for good;
    /// gives how many rules are in use.
    ///
    /// # Errors
    /// Why nothing is changed.
    fn change_rule(&mut self, gid: u32, sid: u32, change: Option<RuleChange>) -> Result<u64, String>;

    /// `reload-config`: takes over what can change while the daemon runs; says what cannot.
    ///
    /// # Errors
    /// Why everything stays as it was.
    fn reload_config(&mut self) -> Result<String, String>;

    /// `flow-end`: has the flows that match ended; gives how many workers look for them. Does not wait for it.
    ///
    /// # Errors
    /// Why no worker does.
    fn end_flows(&mut self, which: FlowSelector) -> Result<usize, String>;

    /// `explain`: what is known about the packets between two ends, and what becomes of them.
    ///
    /// # Errors
    /// Why that cannot be told.
    fn explain(&mut self, question: Question) -> Result<Value, String>;

    /// `drops`: so many of the last packets that were dropped, the latest first.
    ///
    /// # Errors
    /// Why that cannot be told.
    fn drops(&mut self, most: usize) -> Result<Value, String>;

    /// `restart` and `upgrade`: has another gate take over, with `upgrade` one of the program that is installed now;
    /// waits until it judges.
    ///
    /// # Errors
    /// Why this one goes on.
    fn restart(&mut self, upgrade: bool) -> Result<String, String>;

    /// Does somebody else serve clients from now on?
    fn is_over(&self) -> bool {
        false
    }

    /// `list`: lists and bypasses with their entries, hits and faults.
    ///
    /// # Errors
    /// Nobody answers.
    fn lists(&mut self) -> Result<serde_json::Value, String>;

    /// `list-reload`: reads one list, or all, anew; `force` also where much changes. Says what has changed.
    ///
    /// # Errors
    /// Why the old lists stay.
    fn reload_lists(&mut self, name: Option<String>, force: bool) -> Result<String, String>;

    /// `ruleset-reload-nonblocking`: begins what `reload-rules` does, and does not wait for it.
    ///
    /// # Errors
    /// Nobody answers.
    fn reload_rules_later(&mut self) -> Result<(), String>;

    /// `ruleset-stats`, `ruleset-reload-time`, `ruleset-failed-rules`: the rules in use.
    ///
    /// # Errors
    /// Nobody answers.
    fn ruleset(&mut self) -> Result<Ruleset, String>;

    /// `iface-stat`: what an interface counted.
    ///
    /// # Errors
    /// It is none of the ports, or tells nothing.
    fn interface(&mut self, name: &str) -> Result<Value, String>;

    /// `iface-list`, `running-mode`, `capture-mode`, `conf-get`: what does not change.
    fn about(&self) -> &About;
}

#[cfg(test)]
mod tests;
