//! The lists that are in force: a thread that puts them there, reads their files anew, and makes records of the
//! packets that the kernel noted. All it needs of the kernel is memory that it shares.

use super::list_balance::{Decided, Weighed, imbalance};
use super::listed::{self, Noted};
use super::start::wall_clock;
use crate::config::{ALLOWLIST, Config, ListAction};
use crate::exit::Failure;
use crate::lists::{self, Loaded};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use portcullis_bpf::pulse::coarse_now;
use portcullis_bpf::{GateCounters, ListHits, ListMaps, ListSample};
use portcullis_capture::{PacketMeta, PortId};
use portcullis_engine::Question;
use portcullis_event::{Common, DroppedPacket, ListedRecord, Record, RecordProducer};
use portcullis_wire::{Decoder, DecoderConfig, LinkType, Timestamp};
use serde_json::{Value, json};
use std::thread::JoinHandle;
use std::time::Duration;

/// Orders that may wait; more are refused.
const ORDERS: usize = 16;

/// How often samples are taken out of their ring.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long to wait for what was counted: a reload may be under way.
const PATIENCE: Duration = Duration::from_secs(10);

/// Samples that are made records at a time.
const AT_ONCE: usize = 256;

/// Largest frame that a sample is taken for, in bytes.
const MAX_FRAME: u32 = 65_550;

/// Where the answer to a reload goes: what has changed, or why nothing did.
pub(crate) type Answer = Sender<Result<String, String>>;

/// What the thread is told.
#[derive(Debug)]
enum Order {
    /// Read one list anew, or all.
    Reload { name: Option<String>, force: bool, answer: Option<Answer> },
    /// Tell how things are.
    Show(Sender<Value>),
    /// Tell what was counted.
    Count(Sender<Decided>),
    /// Tell what lists and bypasses make of two ends.
    Explain(Question, Sender<ListsSay>),
}

/// What lists and bypasses make of two ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListsSay {
    /// The lists that either is on.
    pub(crate) lists: Value,
    /// The bypass that packets between them meet.
    pub(crate) bypass: Value,
}

/// The thread that reads them anew. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct ListKeeper {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    /// What was counted when it began.
    begin: Option<Weighed>,
}

impl ListKeeper {
    /// Starts the thread; `records` takes what is made of samples. Another gate's must be at its end.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn start(mut force: Force, records: Option<RecordProducer>) -> Result<Self, Failure> {
        force.records = records;
        let (orders, waiting) = bounded(ORDERS);
        let thread = std::thread::Builder::new().name("lists".to_owned()).spawn(move || force.run(&waiting));
        let thread =
            thread.map_err(|error| Failure::Runtime(format!("cannot start the keeper of lists: {error}")))?;
        Ok(Self { orders: Some(orders), thread: Some(thread), begin: None })
    }

    /// What is counted from now on is to balance.
    pub(crate) fn begin(&mut self, gate: impl FnOnce() -> Option<GateCounters>) {
        self.begin = self.weigh(gate);
    }

    /// Says what has not been balanced since.
    pub(crate) fn imbalance(&self, gate: impl FnOnce() -> Option<GateCounters>) -> Vec<String> {
        let both = self.begin.zip(self.weigh(gate));
        both.map(|(begin, end)| imbalance(&begin, &end)).unwrap_or_default()
    }

    /// Nothing where somebody does not answer.
    fn weigh(&self, gate: impl FnOnce() -> Option<GateCounters>) -> Option<Weighed> {
        let before = self.decided()?;
        let gate = gate()?;
        Some(Weighed { before, gate, after: self.decided()? })
    }

    fn decided(&self) -> Option<Decided> {
        let (answer, said) = bounded(1);
        self.order(Order::Count(answer)).then(|| said.recv_timeout(PATIENCE).ok()).flatten()
    }

    /// Has one list, or all, read anew.
    pub(crate) fn reload(&self, name: Option<String>, force: bool, answer: Option<Answer>) {
        let waiting = answer.clone();
        if !self.order(Order::Reload { name, force, answer }) {
            tell(waiting, Err("too many reloads wait: this one is not done".to_owned()));
        }
    }

    /// Has it told how lists and bypasses are doing.
    pub(crate) fn show(&self, answer: Sender<Value>) {
        self.order(Order::Show(answer));
    }

    /// What lists and bypasses make of two ends; nothing where the thread has more urgent things to do for so long.
    pub(crate) fn explain(&self, question: Question, patience: Duration) -> ListsSay {
        let (answer, said) = bounded(1);
        let asked = self.order(Order::Explain(question, answer));
        asked.then(|| said.recv_timeout(patience).ok()).flatten().unwrap_or_default()
    }

    fn order(&self, order: Order) -> bool {
        self.orders.as_ref().is_some_and(|orders| orders.try_send(order).is_ok())
    }
}

impl Drop for ListKeeper {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was told when it came.
            let _ = thread.join();
        }
    }
}

/// The lists in force.
#[derive(Debug)]
pub(crate) struct Force {
    kernel: portcullis_bpf::Lists,
    config: Config,
    lists: lists::Lists,
    decoder: Decoder,
    records: Option<RecordProducer>,
    /// The last packets that the kernel noted.
    noted: Noted,
    /// Records that the log had no room for.
    refused: u64,
    /// When lists were last put in force.
    reloaded: Timestamp,
    /// Why the last reload was not done.
    failure: Option<String>,
}

impl Force {
    /// Puts lists and bypasses in force: from now on they hold, whoever judges.
    ///
    /// # Errors
    /// There is no room for so many entries, or the memory cannot be shared.
    pub(crate) fn put(
        config: &Config,
        lists: lists::Lists,
        maps: &ListMaps,
        decoder: DecoderConfig,
    ) -> Result<Self, Failure> {
        let kernel =
            portcullis_bpf::Lists::open(maps).map_err(|error| Failure::Runtime(error.to_string()))?;
        let mut force = Self {
            kernel,
            config: config.clone(),
            lists,
            decoder: Decoder::new(decoder),
            records: None,
            noted: Noted::default(),
            refused: 0,
            reloaded: wall_clock(),
            failure: None,
        };
        force.publish().map_err(Failure::Runtime)?;
        Ok(force)
    }

    fn run(mut self, orders: &Receiver<Order>) {
        loop {
            // Where there is nothing to be looked up, there is nothing to be noted.
            let order = if self.config.lists.is_empty() {
                orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                orders.recv_timeout(LOOK_EVERY)
            };
            match order {
                Ok(Order::Reload { name, force, answer }) => {
                    let done = self.reload(name.as_deref(), force);
                    tell(answer, done);
                }
                Ok(Order::Show(answer)) => {
                    let _ = answer.send(self.show());
                }
                Ok(Order::Count(answer)) => drop(answer.send(self.decided())),
                Ok(Order::Explain(question, answer)) => {
                    self.note();
                    let _ = answer.send(self.explain(&question));
                }
                Err(RecvTimeoutError::Timeout) => self.note(),
                Err(RecvTimeoutError::Disconnected) => return self.note(),
            }
        }
    }

    fn publish(&mut self) -> Result<(), String> {
        let (table, policy) = (self.lists.table(), self.lists.policy(&self.config));
        let bypasses = lists::bypasses(&self.config);
        self.kernel.publish(&table, &bypasses, &policy).map_err(|error| error.to_string())
    }

    fn reload(&mut self, name: Option<&str>, force: bool) -> Result<String, String> {
        let done = self.lists.reload(name, force, &self.config).and_then(|(lists, said)| {
            let old = std::mem::replace(&mut self.lists, lists);
            self.publish().inspect_err(|_| self.lists = old)?;
            Ok(said)
        });
        match done {
            Ok(said) => {
                self.lists.remark();
                (self.reloaded, self.failure) = (wall_clock(), None);
                tracing::info!("lists are in force: {said}");
                Ok(said)
            }
            Err(reason) => {
                let reason = format!("{reason}; the old lists stay");
                tracing::error!("{reason}");
                self.failure = Some(reason.clone());
                Err(reason)
            }
        }
    }

    fn decided(&self) -> Decided {
        let drops =
            |loaded: &Loaded| loaded.config.name != ALLOWLIST && loaded.config.action == ListAction::Drop;
        let lists = self.lists.numbered().filter(|(_, loaded)| drops(loaded));
        let bypasses = 0..self.config.lists.bypasses.len();
        Decided {
            dropped: lists.map(|(id, _)| self.kernel.hits(id).packets).sum(),
            bypassed: bypasses.map(|number| self.kernel.bypass_hits(number).packets).sum(),
        }
    }

    fn show(&self) -> Value {
        let lists = self.lists.numbered().map(|(id, Loaded { config, list })| {
            let ListHits { packets, bytes, samples_lost } = self.kernel.hits(id);
            let report = &list.report;
            let faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
            json!({
                "name": config.name,
                "action": if config.name == ALLOWLIST { "allow" } else { config.action.word() },
                "direction": config.direction.word(),
                "entries": list.set.len(),
                "packets": packets,
                "bytes": bytes,
                "samples_lost": samples_lost,
                "lines": report.lines,
                "bad_lines": report.bad,
                "duplicates": report.merged.duplicates,
                "covered": report.merged.covered,
                "faults": faults,
            })
        });
        let bypasses = self.config.lists.bypasses.iter().enumerate().map(|(number, bypass)| {
            let ListHits { packets, bytes, .. } = self.kernel.bypass_hits(number);
            json!({ "name": bypass.name, "packets": packets, "bytes": bytes })
        });
        json!({
            "lists": lists.collect::<Vec<_>>(),
            "bypasses": bypasses.collect::<Vec<_>>(),
            "last_reload": self.reloaded.as_secs(),
            "last_failure": self.failure,
            "records_refused": self.refused,
        })
    }

    fn explain(&self, question: &Question) -> ListsSay {
        ListsSay {
            lists: listed::lists_value(&self.lists, &self.noted, question, wall_clock()),
            bypass: listed::bypass_value(
                &lists::bypasses(&self.config),
                &self.config.lists.bypasses,
                question,
            ),
        }
    }

    /// Makes records of the samples that wait.
    fn note(&mut self) {
        loop {
            let samples = self.kernel.samples(AT_ONCE);
            let (wall, coarse) = (wall_clock(), coarse_now());
            for sample in &samples {
                self.record(sample, wall, coarse);
            }
            if samples.len() < AT_ONCE {
                return;
            }
        }
    }

    fn record(&mut self, sample: &ListSample, wall: Timestamp, coarse: u64) {
        let ListSample { time, port, list, dropped, length, bytes } = sample;
        let Some(Loaded { config, .. }) = self.lists.all.get(usize::from(*list)) else { return };
        // Its headers are there; the rest is only to have its length.
        let mut frame = bytes.clone();
        frame.resize((*length).min(MAX_FRAME).max(u32::try_from(bytes.len()).unwrap_or(0)) as usize, 0);
        let decoded = self.decoder.decode(LinkType::Ethernet, None, true, &frame);
        let ago = coarse.saturating_sub(*time);
        let timestamp = Timestamp::from_nanos(wall.as_nanos().saturating_sub(ago));
        let meta = PacketMeta { timestamp, ingress: PortId(*port), ..PacketMeta::default() };
        let common = Common::of_packet(&decoded, &meta);
        self.noted.add(*list, &common);
        let Some(records) = &mut self.records else { return };
        let record = ListedRecord {
            common,
            packet: DroppedPacket::of(&decoded),
            list: config.name.as_bytes(),
            dropped: *dropped,
        };
        if records.push(&Record::Listed(record)).is_err() {
            self.refused += 1;
        }
    }
}

/// Answers, if somebody asked and still waits.
fn tell(answer: Option<Answer>, what: Result<String, String>) {
    if let Some(answer) = answer {
        let _ = answer.send(what);
    }
}
