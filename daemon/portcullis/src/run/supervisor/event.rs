//! What the supervisor is told and asked, by the warden, the workers, and the control socket.

use crate::control::Ruleset;
use crate::run::lists;
use crate::run::reload::{Answer, Fresh};
use crate::run::warden::Order;
use crossbeam::channel::Sender;
use portcullis_detect::RuleChange;
use portcullis_engine::Question;
use portcullis_flow::FlowSelector;
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

/// What wakes the supervisor.
#[derive(Debug)]
pub(crate) enum Event {
    /// A signal came.
    Signal(i32),
    /// The warden wants something; the descriptor is what came beside it.
    Order(Order, Option<OwnedFd>),
    /// All flows were copied to the next gate: the queues can be left.
    Copied,
    /// The warden is gone.
    Orphaned,
    /// The control socket wants something.
    Ask(Ask),
    /// New rules are there for the workers.
    Loaded(Fresh),
    /// A worker has ended.
    Ended {
        /// Because its queues failed.
        failed: bool,
    },
}

/// What the control socket wants, and where the answer goes.
#[derive(Debug)]
pub(crate) enum Ask {
    /// All counters.
    Counters(Sender<BTreeMap<String, u64>>),
    /// Open the log files anew.
    ReopenLogs(Sender<()>),
    /// Judge by the rules as the files have them now; how many, or why the old ones stay.
    ReloadRules(Answer),
    /// The same, and nobody waits for it.
    ReloadRulesLater,
    /// The rules in use.
    Ruleset(Sender<Ruleset>),
    /// Change one rule, or with `None` take a change back; as for a reload.
    ChangeRule {
        /// Its `gid` and `sid`.
        ids: (u32, u32),
        change: Option<RuleChange>,
        answer: Answer,
    },
    /// Take over what of the configuration can change; what was done, or why nothing was.
    ReloadConfig(Sender<Result<String, String>>),
    /// Read one list, or all, anew; what changed, or why nothing did.
    ReloadLists {
        name: Option<String>,
        /// However much changes.
        force: bool,
        answer: lists::Answer,
    },
    /// How lists and bypasses are doing.
    ShowLists(Sender<Value>),
    /// End flows; how many workers were told to.
    EndFlows(FlowSelector, Sender<Result<usize, String>>),
    /// What is known about two ends.
    Explain(Question, Sender<Result<Value, String>>),
    /// So many of the last drops.
    Drops(usize, Sender<Result<Value, String>>),
    /// Have another gate take over.
    Restart {
        /// One of the program that is installed now?
        upgrade: bool,
        answer: Sender<Restarted>,
    },
    /// Begin to end.
    Shutdown,
}

/// What came of a restart.
#[derive(Debug)]
pub(crate) struct Restarted {
    /// Does this process judge no more?
    pub(crate) is_over: bool,
    /// What to tell who asked.
    pub(crate) outcome: Result<String, String>,
}
