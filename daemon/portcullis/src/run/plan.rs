//! From the configuration to what each part is told. Refuses what this build cannot do rather than
//! doing something else.

mod devices;
mod set;

pub(crate) use devices::Devices;
pub(crate) use set::SetPlan;

use super::link_watch::{LinkPlan, PairPlan};
use crate::config::{
    AfXdpRequire, BindMode, Config, CopyMode, FailPolicy, LinksConfig, LivenessConfig, RssMode, Sources,
    Workers, XdpMode,
};
use crate::control::About;
use crate::exit::Failure;
use crate::{lists, settings};
use portcullis_bpf::{Fail, GateConfig, GatePort, ListRoom, Liveness, TunnelPorts};
use portcullis_capture_xdp::{BusyPoll, NapiDefer, XdpConfig};
use portcullis_engine::EngineSettings;
use portcullis_wire::{DecoderConfig, Ports};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// Most workers of an inline set.
const MAX_WORKERS: u32 = 64;

/// What the parts are told.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The gate's name, of pins and lock: those of its inline sets, with `+` between.
    pub(crate) name: String,
    /// The inline sets.
    pub(crate) sets: Vec<SetPlan>,
    /// Ports, queues, rings.
    pub(crate) capture: XdpConfig,
    /// When a worker counts as dead or busy.
    pub(crate) liveness: Liveness,
    /// How long one may hang before it is replaced; zero: for ever.
    pub(crate) replace_after: Duration,
    links: LinksConfig,
    /// How long drivers leave their receive loops to workers.
    pub(crate) napi: Option<NapiDefer>,
    /// Are NICs to bring both directions of a flow to the same queue?
    pub(crate) symmetric_rss: bool,
    /// What a queue does that was blind too often; `None`: as its set.
    latched_fail: Option<FailPolicy>,
    /// How the program is to be attached.
    pub(crate) xdp_mode: portcullis_bpf::XdpMode,
    /// The least that must be reached.
    pub(crate) require: AfXdpRequire,
    /// Entries of the verdict cache; 0 where there is none.
    pub(crate) cache: u32,
    /// How long a verdict in it holds.
    pub(crate) cache_lifetime: Duration,
    /// CPUs that workers are pinned to, as configured.
    pub(crate) cpus: Vec<usize>,
    /// How much room the kernel has for lists.
    pub(crate) lists: ListRoom,
    /// The engine.
    pub(crate) engine: EngineSettings,
    /// What DPDK is to open, where it brings the packets. Fail policy and liveness then mean nothing.
    pub(crate) devices: Option<Devices>,
}

impl Plan {
    /// # Errors
    /// The configuration asks for what this build cannot do.
    pub(crate) fn new(config: &Config) -> Result<Self, Failure> {
        let refuse = |reason: &str| Err(Failure::Input(reason.to_owned()));
        if config.inline_sets.is_empty() {
            return refuse(
                "no inline set is configured, so there is nothing to stand between: add [[inline-set]] with \
                 pairs = [[\"eth1\", \"eth2\"]]",
            );
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let named = |name: &str| !name.is_empty() && name.chars().all(plain);
        if let Some(set) = config.inline_sets.iter().find(|set| !named(&set.name)) {
            return refuse(&format!("inline-set name {:?}: letters, digits, - and _ only", set.name));
        }
        let sets: Vec<SetPlan> = config.inline_sets.iter().map(|set| SetPlan::new(config, set)).collect();
        let pairs = config.inline_sets.iter().flat_map(|set| &set.pairs);
        let af_xdp = &config.capture.af_xdp;
        let workers = match config.capture.workers {
            Workers::Auto => None,
            Workers::Exactly(count) => Some(count.get()),
        };
        if workers.is_some_and(|count| u32::from(count) > MAX_WORKERS) {
            return refuse(&format!("capture.workers: at most {MAX_WORKERS}"));
        }
        let capture = XdpConfig {
            pairs: pairs.map(|[one, other]| (one.clone(), other.clone())).collect(),
            workers,
            copy_mode: copy_mode(config.copy_mode),
            bind_mode: bind_mode(af_xdp.bind_mode),
            ring_size: af_xdp.ring_size,
            huge_pages: af_xdp.huge_pages,
            busy_poll: af_xdp.busy_poll.map(|busy| BusyPoll { time_us: busy.time, budget: busy.budget }),
            bypass: sets.iter().flat_map(SetPlan::bypass).collect(),
            ..XdpConfig::default()
        };
        Ok(Self {
            devices: Devices::new(config, &capture)?,
            name: sets.iter().map(|set| set.name.as_str()).collect::<Vec<_>>().join("+"),
            sets,
            capture,
            liveness: liveness(config),
            replace_after: config.liveness.replace_after,
            latched_fail: config.liveness.latched_fail,
            links: config.links,
            napi: af_xdp.busy_poll.map(|busy| NapiDefer {
                gro_flush_timeout: busy.gro_flush_timeout,
                hard_irqs: busy.napi_defer_hard_irq,
            }),
            symmetric_rss: af_xdp.rss == RssMode::Symmetric,
            xdp_mode: xdp_mode(af_xdp.xdp_mode),
            require: af_xdp.require,
            // Elsewhere packets are not ours to drop, or not to be passed on.
            cache: if config.copy_mode == CopyMode::Ips { config.verdict_cache.entries } else { 0 },
            cache_lifetime: config.verdict_cache.lifetime,
            cpus: config.capture.cpus.clone(),
            lists: lists::room(&config.lists),
            // The standard library seeds it from the system's entropy.
            engine: settings::engine(
                config,
                config.copy_mode != CopyMode::Ids,
                true,
                RandomState::new().build_hasher().finish(),
            ),
        })
    }

    /// What does not change about the gate.
    pub(crate) fn about(&self, sources: Sources) -> About {
        let interfaces = self.interfaces();
        let capture_mode = if self.devices.is_some() { "DPDK" } else { "AF_XDP_DEV" };
        About { running_mode: "workers", capture_mode, interfaces, sources }
    }

    /// The interfaces by port.
    pub(crate) fn interfaces(&self) -> Vec<String> {
        self.capture.interfaces().map(str::to_owned).collect()
    }

    /// What the gate is loaded with, where the longest packet takes `segments` frames.
    pub(crate) fn gate(&self, ports: Vec<GatePort>, segments: u32) -> GateConfig {
        GateConfig {
            name: self.name.clone(),
            ports,
            sets: self.sets.iter().map(|set| set.gate(self.latched_fail)).collect(),
            fail: Fail::Closed,
            liveness: Liveness { room: self.liveness.room / segments.max(1), ..self.liveness },
            frags: segments > 1,
            tunnels: tunnels(&self.engine.decoder),
            cache: self.cache,
            lists: self.lists,
            forward: self.capture.copy_mode.forwards(),
            mode: self.xdp_mode,
            pin_dir: Some(GateConfig::PIN_DIR.into()),
            lock_dir: GateConfig::LOCK_DIR.into(),
        }
    }

    /// What to watch of the ports, given the queues that are served and the largest MTU that there is room for.
    pub(crate) fn links(&self, queues: &[u32], max_mtu: u32) -> LinkPlan {
        let fails = self.sets.iter().flat_map(|set| {
            let fail = set.fail == FailPolicy::LinkDown;
            std::iter::repeat_n(fail, set.ports / 2)
        });
        let queues = queues.iter().copied().step_by(2);
        let pairs = self.capture.pairs.iter().zip(fails).zip(queues);
        let pairs = pairs.map(|(((one, other), fail), queues)| PairPlan {
            ports: [one.clone(), other.clone()],
            fail,
            queues,
            max_mtu,
        });
        LinkPlan {
            pairs: pairs.collect(),
            mirror: self.links.mirror && self.capture.copy_mode.forwards(),
            hold_down: self.links.hold_down,
        }
    }

    /// How many workers there will be on these ports.
    pub(crate) fn workers(&self, ports: &[GatePort]) -> u8 {
        let queues = ports.iter().map(|port| port.queues).min().unwrap_or(1).min(MAX_WORKERS);
        self.capture.workers.unwrap_or_else(|| u8::try_from(queues).unwrap_or(u8::MAX))
    }

    /// The CPU of each worker; `None` where they are left to the scheduler because there are fewer
    /// CPUs than workers.
    ///
    /// # Errors
    /// A configured CPU is not to be had, or they are too few.
    pub(crate) fn affinity(&self, workers: u8, allowed: &[usize]) -> Result<Option<Vec<usize>>, Failure> {
        let workers = usize::from(workers);
        if self.cpus.is_empty() {
            let enough = allowed.len() >= workers;
            return Ok(enough.then(|| allowed.iter().copied().take(workers).collect()));
        }
        if let Some(cpu) = self.cpus.iter().find(|cpu| !allowed.contains(cpu)) {
            return Err(Failure::Input(format!("capture.cpus: this process may not use CPU {cpu}")));
        }
        if self.cpus.len() < workers {
            let reason = format!("capture.cpus: {} CPUs are too few for {workers} workers", self.cpus.len());
            return Err(Failure::Input(reason));
        }
        Ok(Some(self.cpus.iter().copied().take(workers).collect()))
    }
}

const fn copy_mode(mode: CopyMode) -> portcullis_capture_xdp::CopyMode {
    match mode {
        CopyMode::Ips => portcullis_capture_xdp::CopyMode::Ips,
        CopyMode::Tap => portcullis_capture_xdp::CopyMode::Tap,
        CopyMode::Ids => portcullis_capture_xdp::CopyMode::Ids,
    }
}

const fn bind_mode(mode: BindMode) -> portcullis_capture_xdp::BindMode {
    match mode {
        BindMode::Auto => portcullis_capture_xdp::BindMode::Auto,
        BindMode::ZeroCopy => portcullis_capture_xdp::BindMode::ZeroCopy,
        BindMode::Copy => portcullis_capture_xdp::BindMode::Copy,
    }
}

/// The ports that the decoder takes for a tunnel's, all in one list.
fn tunnels(decoder: &DecoderConfig) -> TunnelPorts {
    let kinds = [&decoder.vxlan, &decoder.geneve, &decoder.teredo];
    let listed: Option<Vec<&[u16]>> = kinds.into_iter().map(Ports::listed).collect();
    listed.map_or(TunnelPorts::Any, |ports| TunnelPorts::These(ports.concat()))
}

/// Where nothing is forwarded, it makes no difference to traffic whether a worker lives.
fn liveness(config: &Config) -> Liveness {
    if config.copy_mode == CopyMode::Ids {
        return Liveness::default();
    }
    let LivenessConfig { limit, full_limit, latch_after, .. } = config.liveness;
    Liveness {
        // The kernel loses frames once the fill ring is empty: a quarter is for what is on its way.
        room: config.capture.af_xdp.ring_size / 4 * 3,
        beat_limit: limit,
        full_limit,
        latch_after,
        // By set.
        ..Liveness::default()
    }
}

const fn xdp_mode(mode: XdpMode) -> portcullis_bpf::XdpMode {
    match mode {
        XdpMode::Auto => portcullis_bpf::XdpMode::Auto,
        XdpMode::Native => portcullis_bpf::XdpMode::Native,
        XdpMode::Generic => portcullis_bpf::XdpMode::Generic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inline, Sources, parse};
    use portcullis_bpf::{GateSet, Overload};

    const SET: &str = r#"inline-set = [{ name = "a", pairs = [["p0", "p1"]] }]"#;

    fn plan(text: &str) -> Result<Plan, String> {
        let sources = Sources { text: text.to_owned(), ..Sources::default() };
        let config = parse(sources, Inline::ByCopyMode).unwrap().config;
        Plan::new(&config).map_err(|failure| failure.to_string())
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let check = |text: &str, expected: &str| {
            let reason = plan(text).map(|_| ()).unwrap_err();
            assert!(reason.contains(expected), "{text}: {reason}");
        };
        check("", "no inline set is configured");
        check(r#"inline-set = [{ name = "a.b", pairs = [["p0", "p1"]] }]"#, "letters, digits");
        check(&format!("{SET}\n[capture]\nworkers = 65"), "at most 64");
    }

    #[test]
    fn a_plan_is_what_was_configured() {
        let plan =
            plan(&format!("copy-mode = \"ids\"\nfail = \"closed\"\n{SET}\n[capture]\nworkers = 3")).unwrap();
        assert_eq!(plan.interfaces(), ["p0", "p1"]);
        assert!(!plan.engine.inline && plan.engine.flow.populate);
        let gate = plan.gate(Vec::new(), 1);
        assert_eq!((gate.name.as_str(), gate.sets[0].fail, gate.forward), ("a", Fail::Closed, false));
        assert_eq!(plan.workers(&[GatePort { name: "p0".to_owned(), queues: 8 }]), 3);
    }

    #[test]
    fn the_kernel_knows_what_is_looked_into() {
        let check = |text: &str, expected: TunnelPorts| {
            assert_eq!(plan(&format!("{SET}\n{text}")).unwrap().gate(Vec::new(), 1).tunnels, expected);
        };
        check("", TunnelPorts::These(vec![4789, 6081, 3544]));
        check("[decoder.geneve]\nenabled = false", TunnelPorts::These(vec![4789, 3544]));
        check("[decoder.teredo]\nports = \"any\"", TunnelPorts::Any);
    }

    #[test]
    fn sets_have_their_own_policies() {
        let plan = plan(
            r#"fail = "closed"
            [[inline-set]]
            name = "a"
            pairs = [["p0", "p1"], ["p2", "p3"]]
            [[inline-set]]
            name = "b"
            pairs = [["p4", "p5"]]
            fail = "open"
            overload = "bypass"
            "#,
        )
        .unwrap();
        assert_eq!(plan.interfaces(), ["p0", "p1", "p2", "p3", "p4", "p5"]);
        assert_eq!(plan.engine.inline_sets, [0, 0, 0, 0, 1, 1]);
        let set = |ports, fail, overload| GateSet { ports, fail, overload, latched_fail: fail };
        let gate = plan.gate(Vec::new(), 1);
        assert_eq!(gate.name, "a+b");
        let sets = [set(4, Fail::Closed, Overload::Drop), set(2, Fail::Open, Overload::Bypass)];
        assert_eq!(gate.sets, sets);
    }

    #[test]
    fn workers_are_pinned_where_there_are_cpus_for_all() {
        let affinity = |text: &str, workers, allowed: &[usize]| {
            plan(&format!("{SET}\n[capture]\n{text}")).unwrap().affinity(workers, allowed)
        };
        assert_eq!(affinity("", 2, &[0, 1, 2]).unwrap(), Some(vec![0, 1]));
        assert_eq!(affinity("", 3, &[4, 5]).unwrap(), None);
        assert_eq!(affinity("cpus = [5, 4]", 1, &[4, 5]).unwrap(), Some(vec![5]));
        assert!(affinity("cpus = [6]", 1, &[4, 5]).is_err());
        assert!(affinity("cpus = [4]", 2, &[4, 5]).is_err());
    }
}
