//! The gates that are soaked and measured: what differs between them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use portcullis_testkit::Lab;

use crate::gate::{Config, Gate};
use crate::program::Interrupt;

/// Rules that traffic is held against: one that never drops what is sent, and one that would.
const RULES: &str = "alert tcp any any -> any any (content:\"never sent\"; sid:1;)\n\
                     drop tcp any any -> any any (content:\"never sent either\"; sid:2;)\n";

/// What differs between gates.
#[derive(Clone, Debug)]
pub(crate) struct Measures {
    /// `liveness.limit-ms`
    pub(crate) limit_ms: u32,
    /// `capture.af-xdp.ring-size`
    pub(crate) ring_size: u32,
    /// `flow.prealloc`, with as much memory as that takes.
    pub(crate) flows: u32,
    /// Rules instead of the few that are always there, and how many there are.
    pub(crate) rules: Option<PathBuf>,
    pub(crate) rule_count: u32,
    /// Are drivers' receive loops left to workers?
    pub(crate) busy_poll: bool,
    /// `links.mirror`
    pub(crate) mirror: bool,
    /// Do its crashes leave core dumps in its folder?
    pub(crate) dumps: bool,
}

impl Measures {
    /// One that has its hands full soon, on machines that are busy with other things.
    pub(crate) const SMALL: Self = Self {
        limit_ms: 200,
        ring_size: 512,
        flows: 1000,
        rules: None,
        rule_count: 2,
        busy_poll: false,
        mirror: false,
        dumps: false,
    };

    /// One as it is by default.
    pub(crate) const LARGE: Self = Self { limit_ms: 50, ring_size: 4096, ..Self::SMALL };

    /// `flow.memcap`, in MiB: 256 bytes a flow, all in.
    fn flow_memory(&self) -> u32 {
        (self.flows / 4096).max(32)
    }

    /// Starts such a gate between the lab's ports.
    pub(crate) fn start(
        &self,
        binary: &Path,
        lab: &Lab,
        folder: &Path,
        fail: &str,
        interrupt: &Interrupt,
    ) -> Result<Gate> {
        let Self { limit_ms, ring_size, flows, busy_poll, mirror, .. } = self;
        let memory = self.flow_memory();
        let written = if self.dumps { format!("{folder:?}") } else { String::new() };
        let more = format!(
            r#"liveness = {{ limit-ms = {limit_ms}, outlive-warden = false }}
flow = {{ memcap = "{memory}mb", prealloc = {flows} }}
stats.interval = 1
links.mirror = {mirror}
security.landlock.directories.write = [{written}]
[capture.af-xdp]
ring-size = {ring_size}
huge-pages = false
enable-busy-poll = {busy_poll}"#
        );
        let rules = self.rules.as_ref().map(fs::read_to_string).transpose().context("cannot read rules")?;
        let rules = rules.as_deref().unwrap_or(RULES);
        let set = format!("soak-{}", std::process::id());
        Gate::between(lab, binary, folder, Config { set, fail, rules, more: &more }, interrupt)
    }
}
