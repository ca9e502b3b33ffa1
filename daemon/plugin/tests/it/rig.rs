//! Workers of the engine with plugins, over packets from memory.

use portcullis_capture::memory::MemoryModule;
use portcullis_capture::{PortId, WorkerId};
use portcullis_engine::{EngineSettings, FlowWorker, Rules, WorkerParts, drive, publish};
use portcullis_event::{Counters, RingMode, ring};
use portcullis_flow::{HookCost, Registry};
use portcullis_plugin::{LoadError, PluginFile, Settings};
use portcullis_wire::Timestamp;
use portcullis_wire::builder::PacketBuilder;
use std::path::Path;
use std::sync::Arc;
use std::thread;

pub(crate) type Frame = (Timestamp, PortId, Vec<u8>);

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) counters: Counters,
    /// Names and costs of hooks, those of all workers added up.
    pub(crate) hooks: Vec<(String, HookCost)>,
    /// How many frames left.
    pub(crate) left: usize,
}

impl Ran {
    pub(crate) fn hook(&self, name: &str) -> HookCost {
        self.hooks.iter().find(|(known, _)| known == name).unwrap().1
    }
}

pub(crate) fn settings(pairs: &[(&str, &str)]) -> Settings {
    let mut settings = Settings::default();
    assert!(pairs.iter().all(|(key, value)| settings.add(key, value)));
    settings
}

/// Loads a plugin into a registry.
pub(crate) fn load(registry: &mut Registry, path: &Path, pairs: &[(&str, &str)]) -> Result<(), LoadError> {
    let plugin = PluginFile::open(path)?.start(&settings(pairs))?;
    assert_eq!(plugin.unknown_settings(), [""; 0]);
    plugin.register(registry)
}

/// A registry with one plugin.
pub(crate) fn registry(path: &Path, pairs: &[(&str, &str)]) -> Registry {
    let mut registry = Registry::default();
    load(&mut registry, path, pairs).unwrap();
    registry
}

/// Judges the frames, as many workers as asked for, each in its thread.
pub(crate) fn run(mut registry: Registry, frames: Vec<Frame>, workers: u8) -> Ran {
    registry.freeze();
    let names: Vec<String> = registry.names().map(str::to_owned).collect();
    let settings = EngineSettings { inline: true, ..EngineSettings::default() };
    let (modules, ports) = MemoryModule::open(frames, usize::from(workers));
    let (mut threads, mut published, mut rings) = (Vec::new(), Vec::new(), Vec::new());
    for (id, mut module) in (0..workers).map(WorkerId).zip(modules) {
        let (reporter, consumers) = ring::rings(1 << 20, 1 << 20, RingMode::Live);
        let (publisher, output) = publish::channel();
        published.push(output);
        rings.push(consumers);
        let callbacks = registry.instantiate(id);
        let start = Timestamp::from_secs(1);
        let rules = Arc::<Rules>::default();
        let parts = WorkerParts { id, workers, rules, callbacks, reporter, publisher, start };
        let settings = settings.clone();
        threads.push(thread::spawn(move || {
            let mut worker = FlowWorker::new(&settings, parts).unwrap();
            let (_commander, commands) = crossbeam::channel::bounded(1);
            drive(&mut module, &mut worker, &commands).unwrap();
        }));
    }
    drop(registry);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let mut counters = Counters::default();
    let mut hooks: Vec<_> = names.into_iter().map(|name| (name, HookCost::default())).collect();
    for published in &mut published {
        counters.merge(published.latest());
        for ((_, total), cost) in hooks.iter_mut().zip(published.hook_costs()) {
            total.calls += cost.calls;
            total.panics += cost.panics;
        }
    }
    Ran { counters, hooks, left: ports.take_departed().len() }
}

/// A UDP packet of client 10.0.0.1, so many milliseconds after the start.
pub(crate) fn udp(ms: u64, client: u16, to_server: bool, payload: &[u8]) -> Frame {
    let at = Timestamp::from_nanos((1_700_000_000_000 + ms) * 1_000_000);
    let (a, b) = ([10, 0, 0, u8::try_from(client % 200).unwrap()], [10, 0, 1, 2]);
    let builder = PacketBuilder::ethernet([2; 6], [4; 6]);
    let builder = if to_server {
        builder.ipv4(a, b).udp(client, 53).payload(payload)
    } else {
        builder.ipv4(b, a).udp(53, client).payload(payload)
    };
    (at, PortId(u8::from(!to_server)), builder.to_vec())
}

/// Lines of a file, sorted: workers write in no order.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    let mut lines: Vec<String> = std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}
