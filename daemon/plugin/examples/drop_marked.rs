//! Drops packets whose payload has a mark in it, and the whole flow at its third such packet: a plugin in
//! Rust, with a value of its own beside each flow and a removal hook that reports.
//!
//! ```toml
//! [plugins.config.drop-marked]
//! mark = "evil"
//! path = "marked.txt"
//! ```
#![forbid(unsafe_code)]

use portcullis_plugin::abi::DropReason;
use portcullis_plugin::sdk::{Flow, Packet, Plugin, RemovalHook, Setup, StorageId, Worker};
use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

/// Marked packets after which a flow is dropped.
const MOST: usize = 3;

struct DropMarked;

/// What all workers share.
#[derive(Clone)]
struct Marks {
    mark: Vec<u8>,
    /// When marked packets of a flow came, for flows that have any.
    seen: StorageId<Vec<u64>>,
    report: RemovalHook,
    /// Taken once for each flow that had a mark.
    out: Arc<Mutex<File>>,
}

impl Plugin for DropMarked {
    type Shared = Marks;
    type Worker = Marks;

    fn register(setup: &mut Setup<'_>) -> Result<Marks, String> {
        let needed = |key: &str| setup.setting(key).ok_or_else(|| format!("the setting {key} is missing"));
        let (mark, path) = (needed("mark")?, needed("path")?);
        let out = File::create(&path).map_err(|error| format!("cannot write {path}: {error}"))?;
        Ok(Marks {
            mark: mark.into_bytes(),
            seen: setup.storage()?,
            report: setup.removal_hook("report")?,
            out: Arc::new(Mutex::new(out)),
        })
    }

    fn worker(shared: &Marks, _number: u32) -> Marks {
        shared.clone()
    }
}

impl Worker for Marks {
    fn update(&mut self, flow: &mut Flow<'_>, packet: &mut Packet<'_>) {
        let mark = self.mark.as_slice();
        if mark.is_empty() || !packet.payload().windows(mark.len()).any(|part| part == mark) {
            return;
        }
        packet.drop_packet(DropReason::Callback);
        flow.register_removal_hook(self.report);
        let mut seen = flow.take_stored(self.seen).unwrap_or_default();
        seen.push(packet.timestamp());
        if seen.len() >= MOST {
            flow.drop_flow(DropReason::Callback);
        }
        flow.store(self.seen, seen);
    }

    fn removed(&mut self, _hook: RemovalHook, flow: &mut Flow<'_>) {
        let marked = flow.stored(self.seen).map_or(0, Vec::len);
        let (client, server) = (flow.client().1, flow.server().1);
        let mut out = self.out.lock().expect("nobody panics while writing");
        writeln!(out, "{client} {server} {marked}").expect("the file can be written");
    }
}

portcullis_plugin::export_plugin!(DropMarked, name: "drop-marked", version: env!("CARGO_PKG_VERSION"));
