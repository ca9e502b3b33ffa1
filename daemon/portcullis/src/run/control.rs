//! The control socket's commands, each handed to the supervisor, which owns what they are about.

use super::iface_stat::IfaceStats;
use super::supervisor::{Ask, Event, Restarted};
use crate::control::{About, Handler, Ruleset};
use crossbeam::channel::{Sender, bounded};
use portcullis_detect::RuleChange;
use portcullis_engine::Question;
use portcullis_flow::FlowSelector;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the supervisor may take to answer; it may be loading rules.
const PATIENCE: Duration = Duration::from_secs(8);

const ENDING: &str = "the gate is busy or ending: nobody answers";

/// Hands commands to the supervisor.
#[derive(Debug)]
pub(crate) struct Desk {
    events: Sender<Event>,
    about: About,
    interfaces: IfaceStats,
    /// Another gate serves clients from now on.
    is_over: bool,
}

impl Desk {
    /// Hands commands to whoever gets `events`.
    pub(crate) fn new(events: Sender<Event>, about: About) -> Self {
        let interfaces = IfaceStats::new(&about.interfaces);
        Self { events, about, interfaces, is_over: false }
    }

    fn ask<T>(&self, ask: impl FnOnce(Sender<T>) -> Ask) -> Option<T> {
        let (sender, answer) = bounded(1);
        self.events.send(Event::Ask(ask(sender))).ok()?;
        answer.recv_timeout(PATIENCE).ok()
    }
}

impl Handler for Desk {
    fn counters(&mut self) -> BTreeMap<String, u64> {
        self.ask(Ask::Counters).unwrap_or_default()
    }

    fn shutdown(&mut self) {
        // Where nobody listens any more, the end has come already.
        let _ = self.events.send(Event::Ask(Ask::Shutdown));
    }

    fn reopen_logs(&mut self) -> Result<(), String> {
        self.ask(Ask::ReopenLogs).ok_or_else(|| ENDING.to_owned())
    }

    fn reload_rules(&mut self) -> Result<u64, String> {
        self.ask(Ask::ReloadRules).unwrap_or_else(|| Err(ENDING.to_owned()))
    }

    fn change_rule(&mut self, gid: u32, sid: u32, change: Option<RuleChange>) -> Result<u64, String> {
        let ask = |answer| Ask::ChangeRule { ids: (gid, sid), change, answer };
        self.ask(ask).unwrap_or_else(|| Err(ENDING.to_owned()))
    }

    fn reload_config(&mut self) -> Result<String, String> {
        self.ask(Ask::ReloadConfig).unwrap_or_else(|| Err(ENDING.to_owned()))
    }

    fn end_flows(&mut self, which: FlowSelector) -> Result<usize, String> {
        self.ask(|answer| Ask::EndFlows(which, answer)).unwrap_or_else(|| Err(ENDING.to_owned()))
    }

    fn explain(&mut self, question: Question) -> Result<Value, String> {
        self.ask(|answer| Ask::Explain(question, answer)).unwrap_or_else(|| Err(ENDING.to_owned()))
    }

    fn drops(&mut self, most: usize) -> Result<Value, String> {
        self.ask(|answer| Ask::Drops(most, answer)).unwrap_or_else(|| Err(ENDING.to_owned()))
    }

    fn restart(&mut self, upgrade: bool) -> Result<String, String> {
        let (answer, answered) = bounded(1);
        let asked = self.events.send(Event::Ask(Ask::Restart { upgrade, answer }));
        asked.map_err(|_| ENDING.to_owned())?;
        // Until it is answered, or nobody is left who could.
        let Restarted { is_over, outcome } = answered.recv().map_err(|_| ENDING.to_owned())?;
        self.is_over = is_over;
        outcome
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    fn lists(&mut self) -> Result<serde_json::Value, String> {
        self.ask(Ask::ShowLists).ok_or_else(|| ENDING.to_owned())
    }

    fn reload_lists(&mut self, name: Option<String>, force: bool) -> Result<String, String> {
        let ask = |answer| Ask::ReloadLists { name, force, answer };
        self.ask(ask).unwrap_or_else(|| Err(ENDING.to_owned()))
    }

    fn reload_rules_later(&mut self) -> Result<(), String> {
        self.events.send(Event::Ask(Ask::ReloadRulesLater)).map_err(|_| ENDING.to_owned())
    }

    fn ruleset(&mut self) -> Result<Ruleset, String> {
        self.ask(Ask::Ruleset).ok_or_else(|| ENDING.to_owned())
    }

    fn interface(&mut self, name: &str) -> Result<Value, String> {
        self.interfaces.of(name)
    }

    fn about(&self) -> &About {
        &self.about
    }
}
