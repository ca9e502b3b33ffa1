//! A plugin in a running gate.

use crate::gate::{Gate, Place, eventually, lab, ping};
use std::path::Path;
use std::process::Command;

#[test]
fn a_plugin_sees_live_traffic_and_its_hooks_are_counted() {
    let (lab, place) = (lab(), Place::new());
    let (object, out) = (place.path("byte_counter.so"), place.path("bytes.txt"));
    let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-I"]).arg(plugin.join("include")).arg("-o").arg(&object);
    assert!(compiler.arg(plugin.join("examples/byte_counter.c")).status().unwrap().success());
    let top = format!("plugins.files = [{object:?}]\nplugins.config.byte-counter.path = {out:?}");
    let gate = Gate::start(&lab, &place, &top, "");
    assert!(place.said().contains("plugin byte-counter 1.0: "), "{}", place.said());
    assert!(ping(&lab, 1, 5));
    // One init; an update for the request, and one for the reply.
    eventually("its calls are counted", || {
        gate.ask("dump-counters")["hook"]["byte-counter"]["calls"].as_u64() >= Some(3)
    });
    gate.end(&lab);
    // Ping sends 56 bytes behind its header.
    assert!(place.read("bytes.txt").lines().any(|line| line == "0 0 56 56"), "{}", place.read("bytes.txt"));
}
