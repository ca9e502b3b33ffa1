//! A rule set as the workers use it: the compiled rules, and their texts packed once for records.

use crossbeam::channel::Sender;
use portcullis_detect::{Action, RuleId, RuleSet, Scratch, Signature};
use portcullis_event::{Alert, AlertAction, TextListBuf};
use portcullis_host::{HostSettings, HostTable};
use std::sync::Arc;

/// Compiled rules with what their alert records need, made off the packet path and shared by
/// `Arc`.
#[derive(Debug, Default)]
pub struct Rules {
    set: RuleSet,
    texts: Vec<Texts>,
    hosts: Option<Arc<HostTable>>,
    /// Gid and sid of those that drop, in order.
    droppers: Vec<(u32, u32)>,
    generation: u32,
}

/// Rules for a worker to judge by from now on, with the working memory that they need: made where they were
/// loaded, so that the worker allocates nothing.
#[derive(Debug)]
pub struct NewRules {
    pub(crate) rules: Arc<Rules>,
    pub(crate) scratch: Scratch,
    back: Option<Sender<Box<Self>>>,
}

impl NewRules {
    /// The rules in whose place these come, with their working memory, go there to be freed; a channel with room
    /// for one from each worker, so that no worker frees any.
    #[must_use]
    pub fn returning(self, old: Sender<Box<Self>>) -> Self {
        Self { back: Some(old), ..self }
    }

    /// What was exchanged for them goes to whoever wants it. Where nobody does, it is freed here.
    pub(crate) fn give_back(mut self: Box<Self>) {
        if let Some(back) = self.back.take() {
            // With nobody left to free it, the end has come.
            let _ = back.try_send(self);
        }
    }
}

impl From<Arc<Rules>> for NewRules {
    fn from(rules: Arc<Rules>) -> Self {
        Self { scratch: Scratch::new(rules.set()), rules, back: None }
    }
}

#[derive(Debug)]
struct Texts {
    references: TextListBuf,
    metadata: TextListBuf,
}

impl Rules {
    /// Prepares `set` for use, with a table of its own for state about hosts where it needs one.
    #[must_use]
    pub fn new(set: RuleSet) -> Self {
        let hosts = set.uses_hosts().then(|| Arc::new(HostTable::new(&HostSettings::default())));
        Self::with_hosts(set, hosts)
    }

    /// Prepares `set` for use with state about hosts that outlives it; without a table nothing is counted
    /// and no bit of a host is ever set.
    #[must_use]
    pub fn with_hosts(set: RuleSet, hosts: Option<Arc<HostTable>>) -> Self {
        let texts = set.signatures().iter().map(Texts::of).collect();
        let drops =
            |rule: &&Signature| !rule.would_drop && matches!(rule.action, Action::Drop | Action::Reject);
        let mut droppers: Vec<_> =
            set.signatures().iter().filter(drops).map(|rule| (rule.gid, rule.sid)).collect();
        droppers.sort_unstable();
        Self { set, texts, hosts, droppers, generation: 0 }
    }

    /// Says which generation of rules this is: what was decided by one is known by it outside the engine.
    #[must_use]
    pub fn of_generation(self, generation: u32) -> Self {
        Self { generation, ..self }
    }

    /// Which generation of rules this is; 0 where nobody said.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// Is there a rule with this gid and sid that drops?
    pub(crate) fn drops(&self, ids: (u32, u32)) -> bool {
        self.droppers.binary_search(&ids).is_ok()
    }

    /// State about hosts, the same for all workers.
    #[must_use]
    pub fn hosts(&self) -> Option<&Arc<HostTable>> {
        self.hosts.as_ref()
    }

    /// The compiled rules.
    #[must_use]
    pub const fn set(&self) -> &RuleSet {
        &self.set
    }

    /// What a rule is called whatever its number: gid and sid; 0 for one that is not there.
    pub(crate) fn name(&self, rule: u32) -> u64 {
        let signature = usize::try_from(rule).ok().and_then(|rule| self.set.signatures().get(rule));
        signature.map_or(0, |signature| u64::from(signature.gid) << 32 | u64::from(signature.sid))
    }

    /// The rule as an alert record shows it.
    pub(crate) fn alert(&self, rule: RuleId, action: AlertAction) -> Option<Alert<'_>> {
        let signature = self.set.signature(rule)?;
        let texts = self.texts.get(rule.index())?;
        Some(Alert {
            action,
            would: None,
            gid: signature.gid,
            sid: signature.sid,
            rev: signature.rev,
            signature: signature.msg.as_bytes(),
            category: signature.category.as_bytes(),
            severity: signature.priority,
            target: signature.target.map(target),
            references: texts.references.as_list(),
            metadata: texts.metadata.as_list(),
            rule: b"",
        })
    }
}

const fn target(target: portcullis_detect::Target) -> portcullis_event::Target {
    match target {
        portcullis_detect::Target::Source => portcullis_event::Target::Source,
        portcullis_detect::Target::Destination => portcullis_event::Target::Destination,
    }
}

impl Texts {
    fn of(signature: &Signature) -> Self {
        let references = signature.references.iter().map(ToString::to_string).collect();
        let pairs = signature
            .metadata
            .iter()
            .flat_map(|entry| entry.values.iter().flat_map(|value| [entry.key.as_str(), value.as_str()]));
        Self { references, metadata: pairs.collect() }
    }
}
