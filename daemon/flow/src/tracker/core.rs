//! The tracker: how it is made, asked and changed. What a packet and a sweep do is told in their own modules.

use super::config::{TrackerConfig, TrackerError, TrackerStats};
use super::entry::{FlowEntry, FlowStats};
use super::event::{EndReason, FlowEvent};
use super::extract::{FlowExtractor, L4Proto};
use super::history::History;
use super::store::{Record, Store};
use std::fmt;
use std::time::Duration;

type StateInit<K, S> = Box<dyn FnMut(&K) -> S + Send>;
type IdleTimeoutFn<K> = Box<dyn Fn(&K, Option<L4Proto>) -> Option<Duration> + Send>;

/// Tracks flows by the keys that an extractor finds, with a state of the user's own for each. See the
/// [module](super) for what it promises.
pub struct FlowTracker<E: FlowExtractor, S = ()> {
    pub(super) extractor: E,
    pub(super) store: Store<E::Key, S>,
    pub(super) config: TrackerConfig,
    pub(super) stats: TrackerStats,
    pub(super) init: StateInit<E::Key, S>,
    idle_timeout_fn: Option<IdleTimeoutFn<E::Key>>,
}

impl<E: FlowExtractor, S: Default> FlowTracker<E, S> {
    /// A tracker with default settings; each flow's state begins as its default.
    ///
    /// # Errors
    /// The memory is refused.
    pub fn new(extractor: E) -> Result<Self, TrackerError> {
        Self::with_state(extractor, |_| S::default())
    }

    /// The same with settings.
    ///
    /// # Errors
    /// `max_flows` is out of range, or its memory is refused.
    pub fn with_config(extractor: E, config: TrackerConfig) -> Result<Self, TrackerError> {
        Self::with_config_and_state(extractor, config, |_| S::default())
    }
}

impl<E: FlowExtractor, S> FlowTracker<E, S> {
    /// A tracker with default settings; `init` makes a new flow's state and is called once for each.
    ///
    /// # Errors
    /// The memory is refused.
    pub fn with_state(
        extractor: E,
        init: impl FnMut(&E::Key) -> S + Send + 'static,
    ) -> Result<Self, TrackerError> {
        Self::with_config_and_state(extractor, TrackerConfig::default(), init)
    }

    /// The same with settings.
    ///
    /// # Errors
    /// `max_flows` is out of range, or its memory is refused.
    pub fn with_config_and_state(
        extractor: E,
        config: TrackerConfig,
        init: impl FnMut(&E::Key) -> S + Send + 'static,
    ) -> Result<Self, TrackerError> {
        let store = Store::new(config.capacity()?, config.initial_capacity)?;
        let (stats, init) = (TrackerStats::default(), Box::new(init));
        Ok(Self { extractor, store, config, stats, init, idle_timeout_fn: None })
    }

    /// The extractor, for asking it without tracking.
    pub const fn extractor(&self) -> &E {
        &self.extractor
    }

    /// Gives the extractor back. Flows that are live are dropped; [`drain`](Self::drain) reports them before.
    pub fn into_extractor(self) -> E {
        self.extractor
    }

    /// A live flow. The order of use stays.
    pub fn get(&self, key: &E::Key) -> Option<&FlowEntry<S>> {
        let place = self.store.find(key, self.store.hash(key))?;
        self.store.record(place).map(|record| &record.entry)
    }

    /// A live flow, to be changed. The order of use stays.
    pub fn get_mut(&mut self, key: &E::Key) -> Option<&mut FlowEntry<S>> {
        let place = self.store.find(key, self.store.hash(key))?;
        self.store.record_mut(place).map(|record| &mut record.entry)
    }

    /// All live flows, that of the last packet first.
    pub fn flows(&self) -> impl Iterator<Item = (&E::Key, &FlowEntry<S>)> {
        self.store.iter().map(|record| (&record.key, &record.entry))
    }

    /// How many flows are live.
    pub const fn flow_count(&self) -> usize {
        self.store.len()
    }

    /// A copy of a live flow's counts.
    pub fn snapshot_stats(&self, key: &E::Key) -> Option<FlowStats> {
        self.get(key).map(|entry| entry.stats)
    }

    /// A copy of a live flow's history.
    pub fn snapshot_history(&self, key: &E::Key) -> Option<History> {
        self.get(key).map(|entry| entry.history)
    }

    /// The counts of all live flows, that of the last packet first.
    pub fn all_flow_stats(&self) -> impl Iterator<Item = (&E::Key, &FlowStats)> {
        self.flows().map(|(key, entry)| (key, &entry.stats))
    }

    /// Drops a flow without an event; was there one? Its next packet begins a new flow.
    pub fn forget(&mut self, key: &E::Key) -> bool {
        let Some(place) = self.store.find(key, self.store.hash(key)) else { return false };
        let forgotten = self.store.remove(place).is_some();
        self.stats.flows_forgotten += u64::from(forgotten);
        forgotten
    }

    /// What was counted since the tracker was made.
    pub const fn stats(&self) -> &TrackerStats {
        &self.stats
    }

    /// The settings.
    pub const fn config(&self) -> &TrackerConfig {
        &self.config
    }

    /// Changes the settings of a running tracker: new timeouts hold for live flows too, and a smaller `max_flows` ends
    /// the flows that were longest not seen, longest first. Looks at every live flow once.
    ///
    /// # Errors
    /// `max_flows` is out of range, or its memory is refused; nothing has changed then.
    pub fn set_config(&mut self, config: TrackerConfig) -> Result<Vec<FlowEvent<E::Key, S>>, TrackerError> {
        let capacity = config.capacity()?;
        let mut ended = Vec::new();
        if config.max_flows == self.config.max_flows {
            self.config = config;
            self.set_timeouts();
            return Ok(ended);
        }
        let mut next = Store::new(capacity, config.initial_capacity)?;
        self.config = config;
        let excess = self.flow_count().saturating_sub(capacity as usize);
        while let Some(place) = self.store.least_used() {
            let Some(mut record) = self.store.remove(place) else { break };
            if ended.len() < excess {
                ended.push(self.end(record, EndReason::Evicted));
                continue;
            }
            record.entry.idle_timeout = self.idle_timeout_of(&record.key, record.entry.l4);
            let hash = next.hash(&record.key);
            if let Err(record) = next.insert(hash, record) {
                ended.push(self.end(record, EndReason::Evicted));
            }
        }
        self.store = next;
        Ok(ended)
    }

    /// Gives flows idle timeouts of their own: asked for each flow when it begins, and for all live ones now. `None`
    /// leaves the setting. Replaces a function that was set before. The answer must depend on nothing but its
    /// arguments: it is not asked again.
    pub fn set_idle_timeout_fn(
        &mut self,
        idle_timeout: impl Fn(&E::Key, Option<L4Proto>) -> Option<Duration> + Send + 'static,
    ) {
        self.idle_timeout_fn = Some(Box::new(idle_timeout));
        self.set_timeouts();
    }

    /// Takes that function away: the settings hold for all flows again, live ones too.
    pub fn clear_idle_timeout_fn(&mut self) {
        self.idle_timeout_fn = None;
        self.set_timeouts();
    }

    pub(super) fn idle_timeout_of(&self, key: &E::Key, l4: Option<L4Proto>) -> Duration {
        let own = self.idle_timeout_fn.as_ref().and_then(|own| own(key, l4));
        own.unwrap_or_else(|| self.config.idle_timeout(l4))
    }

    /// Counts the end of a flow that has left the store, and says it.
    pub(super) fn end(&mut self, record: Record<E::Key, S>, reason: EndReason) -> FlowEvent<E::Key, S> {
        self.stats.flows_ended += 1;
        self.stats.flows_evicted += u64::from(reason == EndReason::Evicted);
        let Record { key, entry } = record;
        let (stats, history, conn_state) = (entry.stats, entry.history, entry.conn_state());
        FlowEvent::Ended { key, reason, stats, history, conn_state, user: entry.user }
    }

    /// Gives every live flow the timeout that now holds for it.
    fn set_timeouts(&mut self) {
        let places: Vec<u32> = self.store.places().collect();
        for place in places {
            let Some(Record { key, entry }) = self.store.record(place) else { continue };
            let idle_timeout = self.idle_timeout_of(key, entry.l4);
            if let Some(record) = self.store.record_mut(place) {
                record.entry.idle_timeout = idle_timeout;
                let deadline = record.entry.deadline();
                self.store.wheel().arm(place, deadline);
            }
        }
    }
}

impl<E: FlowExtractor + fmt::Debug, S> fmt::Debug for FlowTracker<E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlowTracker")
            .field("extractor", &self.extractor)
            .field("flows", &self.flow_count())
            .field("config", &self.config)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}
