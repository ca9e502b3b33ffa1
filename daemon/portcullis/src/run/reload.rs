//! New rules while the gate runs: read and compiled by a thread of their own, so that neither packets nor
//! commands wait; taken over by the workers between two bursts; the old ones freed by that thread once no
//! worker uses them. Files with a fault change nothing. State about hosts is handed on.

use super::crew::load_rules;
use super::supervisor::Event;
use crate::changes;
use crate::config::Config;
use crate::control::Ruleset;
use crate::exit::Failure;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use portcullis_detect::RuleChange;
use portcullis_engine::{NewRules, Rules};
use portcullis_event::RuleCounts;
use portcullis_host::HostTable;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Reloads that may wait for the one before; more are refused.
const ORDERS: usize = 16;

/// How long the workers may take to take new rules over before whoever asked is told that they have not.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often to look whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Where the answer to a reload goes: how many rules are in use, or why not.
pub(crate) type Answer = Sender<Result<u64, String>>;

/// New rules for the workers.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) rules: Arc<Rules>,
    pub(crate) ruleset: Ruleset,
    pub(crate) answer: Option<Answer>,
}

/// Rules that workers were told to leave, and what those that have left them gave back.
#[derive(Debug)]
pub(crate) struct Retired {
    pub(crate) rules: Arc<Rules>,
    pub(crate) left: Receiver<Box<NewRules>>,
}

impl Retired {
    /// Frees what came back within this time; says whether a worker still uses them.
    fn is_used(&self, patience: Duration) -> bool {
        match self.left.recv_timeout(patience) {
            Ok(left) => drop(left),
            Err(RecvTimeoutError::Timeout) => {}
            // None comes any more, but one worker may have taken no command.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(patience),
        }
        self.left.try_iter().for_each(drop);
        Arc::strong_count(&self.rules) > 1
    }
}

/// The thread that loads. It ends when this is dropped and the last order is done.
#[derive(Debug)]
pub(crate) struct Loader {
    orders: Sender<Order>,
}

#[derive(Debug)]
enum Order {
    Load(Option<Answer>),
    /// Change one rule, or take a change back, and load.
    Change {
        ids: (u32, u32),
        change: Option<RuleChange>,
        known: bool,
        answer: Answer,
    },
    /// These rules are no longer given to workers.
    Retire {
        old: Retired,
        loaded: u64,
        answer: Option<Answer>,
    },
}

impl Loader {
    /// Starts the thread; `rules` are those in use, with their counts.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn start(
        config: Config,
        rules: &Arc<Rules>,
        counts: RuleCounts,
        events: Sender<Event>,
    ) -> Result<Self, Failure> {
        let (orders, waiting) = bounded(ORDERS);
        let work = Work {
            config,
            hosts: rules.hosts().cloned(),
            generation: rules.generation(),
            all_loaded: counts.failed == 0,
            events,
            retired: Vec::new(),
        };
        std::thread::Builder::new()
            .name("loader".to_owned())
            .spawn(move || work.run(&waiting))
            .map_err(|error| Failure::Runtime(format!("cannot start the loader of rules: {error}")))?;
        Ok(Self { orders })
    }

    /// Has the files read anew; the rules come as an [`Event::Loaded`].
    pub(crate) fn load(&self, answer: Option<Answer>) {
        if let Err(refused) = self.orders.try_send(Order::Load(answer)) {
            tracing::error!("too many reloads wait: this one is not done");
            if let Order::Load(answer) = refused.into_inner() {
                tell(answer, Err("too many reloads wait".to_owned()));
            }
        }
    }

    /// Has one rule changed, or with `None` a change taken back, and the rules loaded; `known` says whether it is
    /// in use. The change is kept in `rules.state-file`.
    pub(crate) fn change(&self, ids: (u32, u32), change: Option<RuleChange>, known: bool, answer: Answer) {
        let order = Order::Change { ids, change, known, answer };
        if let Err(refused) = self.orders.try_send(order)
            && let Order::Change { answer, .. } = refused.into_inner()
        {
            tell(Some(answer), Err("too many reloads wait".to_owned()));
        }
    }

    /// Has rules freed that workers were told to leave, and answers when they have.
    pub(crate) fn retire(&self, old: Retired, loaded: u64, answer: Option<Answer>) {
        // Orders are few and the thread takes them all; where it is gone, so is the gate.
        let _ = self.orders.send(Order::Retire { old, loaded, answer });
    }
}

struct Work {
    config: Config,
    hosts: Option<Arc<HostTable>>,
    /// Of the rules that were loaded last.
    generation: u32,
    /// Could all rules of the files be loaded that are in use?
    all_loaded: bool,
    events: Sender<Event>,
    /// Rules that workers did not leave in time.
    retired: Vec<Retired>,
}

impl Work {
    fn run(mut self, orders: &Receiver<Order>) {
        for order in orders {
            self.retired.retain(|rules| rules.is_used(Duration::ZERO));
            match order {
                Order::Load(answer) => {
                    self.load(answer);
                }
                Order::Change { ids, change, known, answer } => self.change(ids, change, known, answer),
                Order::Retire { old, loaded, answer } => self.retire(old, loaded, answer),
            }
        }
    }

    /// Where all rules in use could be loaded, all new ones have to be, or else the old ones stay: a file that
    /// was broken by an edit takes no rule out of use.
    /// Says whether there are new ones.
    fn load(&mut self, answer: Option<Answer>) -> bool {
        let generation = self.generation.wrapping_add(1).max(1);
        match load_rules(&self.config, self.all_loaded, self.hosts.clone(), generation) {
            Ok((rules, ruleset)) => {
                self.generation = generation;
                self.hosts = rules.hosts().cloned();
                self.all_loaded = ruleset.counts.failed == 0;
                // Where nobody listens any more, the end has come.
                let _ = self.events.send(Event::Loaded(Fresh { rules, ruleset, answer }));
                true
            }
            Err(failure) => {
                tracing::error!("{failure}: the old rules stay");
                tell(answer, Err(format!("{failure}: the old rules stay")));
                false
            }
        }
    }

    /// The file has the change before rules are loaded with it; where they cannot be, it is taken back.
    fn change(&mut self, ids: (u32, u32), change: Option<RuleChange>, known: bool, answer: Answer) {
        let refuse = |reason: String| tell(Some(answer.clone()), Err(reason));
        let Some(path) = self.config.rules.state_file.clone() else {
            return refuse("there is no file to keep it in: set rules.state-file".to_owned());
        };
        let before = match changes::read(&path) {
            Ok(changes) => changes,
            Err(reason) => return refuse(reason),
        };
        if !known && !before.contains_key(&ids) {
            return refuse(format!("no rule in use has gid {} and sid {}", ids.0, ids.1));
        }
        let mut after = before.clone();
        match change {
            Some(change) => after.insert(ids, change),
            None => after.remove(&ids),
        };
        let write = |changes| {
            let fail = |error| format!("cannot write {}: {error}", path.display());
            changes::write(&path, changes).map_err(fail)
        };
        if let Err(reason) = write(&after) {
            return refuse(reason);
        }
        if !self.load(Some(answer))
            && let Err(reason) = write(&before)
        {
            tracing::error!("{reason}");
        }
    }

    fn retire(&mut self, old: Retired, loaded: u64, answer: Option<Answer>) {
        let deadline = Instant::now() + PATIENCE;
        while old.is_used(LOOK_EVERY) {
            if Instant::now() > deadline {
                tracing::warn!("a worker is slow to take over {loaded} new rules");
                self.retired.push(old);
                return tell(answer, Err("a worker is slow to take the new rules over".to_owned()));
            }
        }
        drop(old);
        tracing::info!("{loaded} rules are in use");
        tell(answer, Ok(loaded));
    }
}

/// Answers, if somebody asked and still waits.
fn tell(answer: Option<Answer>, what: Result<u64, String>) {
    if let Some(answer) = answer {
        let _ = answer.send(what);
    }
}
