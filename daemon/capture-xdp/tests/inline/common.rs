//! A client, a server, and the module under test between them.

use portcullis_bpf::{Fail, Gate, GateConfig, Liveness, XdpMode};
use portcullis_capture::{Burst, PacketModule, Poll, Verdict};
use portcullis_capture_xdp::{BusyPoll, CopyMode, FrameAccount, InlineSet, XdpConfig, XdpError, XdpModule};
use portcullis_testkit::{Lab, LabOptions, NetNs, RawSocket, require_root};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long something that must come is waited for: a lost frame fails a test rather than holding it up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What a bench is made of.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) queues: u32,
    pub(crate) workers: Option<u8>,
    pub(crate) mtu: u32,
    pub(crate) copy_mode: CopyMode,
    pub(crate) fail: Fail,
    pub(crate) mode: XdpMode,
    pub(crate) ring_size: u32,
    pub(crate) busy_poll_us: u32,
    /// Do the end hosts send by all queues, by flow? Otherwise by the first alone.
    pub(crate) spread: bool,
    /// When does a worker count as dead or busy?
    pub(crate) liveness: Liveness,
    pub(crate) busy_poll: Option<BusyPoll>,
    /// Do packets pass that their owner has no room for?
    pub(crate) bypass: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queues: 1,
            workers: None,
            mtu: 1500,
            copy_mode: CopyMode::Ips,
            fail: Fail::Closed,
            mode: XdpMode::Auto,
            ring_size: 256,
            busy_poll_us: 0,
            spread: false,
            liveness: Liveness::default(),
            busy_poll: None,
            bypass: false,
        }
    }
}

pub(crate) struct Bench {
    // In this order: modules let go of their queues before the gate is taken off.
    pub(crate) modules: Vec<XdpModule>,
    pub(crate) set: InlineSet,
    pub(crate) gate: Gate,
    pub(crate) client: RawSocket,
    pub(crate) server: RawSocket,
    pub(crate) lab: Lab,
    _dir: TempDir,
}

impl Bench {
    pub(crate) fn new(options: &Options) -> Self {
        let (lab, dir) = lab(options);
        Self::between(lab, dir, options)
    }

    /// The module between wires that are there already.
    pub(crate) fn between(lab: Lab, dir: TempDir, options: &Options) -> Self {
        let client = RawSocket::open(&lab.client, Lab::CLIENT_PORT).unwrap();
        let server = RawSocket::open(&lab.server, Lab::SERVER_PORT).unwrap();
        let (gate, set, modules) = open(&lab.gate, &dir, options).unwrap();
        Self { modules, set, gate, client, server, lab, _dir: dir }
    }

    /// Polls all modules until `enough` packets were judged and none follows at once.
    pub(crate) fn run(&mut self, enough: usize, mut judge: impl FnMut(usize, &mut Burst<'_>)) {
        let mut count = 0;
        let mut deadline = Instant::now() + PATIENCE;
        while count < enough {
            let before = count;
            for (worker, module) in self.modules.iter_mut().enumerate() {
                count += poll(module, &mut |burst| judge(worker, burst));
            }
            if count == before {
                assert!(Instant::now() < deadline, "only {count} of {enough} packets came");
                let module = &mut self.modules[0];
                module.wait(module.now().after(Duration::from_millis(1))).unwrap();
            } else {
                deadline = Instant::now() + PATIENCE;
            }
        }
        until("a moment without packets", || {
            let mut modules = self.modules.iter_mut().enumerate();
            let came = modules.any(|(worker, module)| poll(module, &mut |burst| judge(worker, burst)) > 0);
            (!came).then_some(())
        });
    }

    /// The frames of all workers, each in one place.
    pub(crate) fn account(&self) -> FrameAccount {
        let mut sum = FrameAccount::default();
        for module in &self.modules {
            let FrameAccount { pool, fill, held, transmit, steering, home } = module.account();
            sum.pool += pool;
            sum.fill += fill;
            sum.held += held;
            sum.transmit += transmit;
            sum.steering += steering;
            sum.home += home;
        }
        sum
    }

    pub(crate) fn assert_nothing_lost(&self) {
        assert_eq!(self.set.unaccounted(&self.modules), 0, "{:?} of {}", self.account(), self.set.frames());
    }
}

/// Goes on until `step` gives something, but not for ever.
pub(crate) fn until<T>(what: &str, mut step: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = step() {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
    }
}

/// Three namespaces with `options`' queues.
pub(crate) fn lab(options: &Options) -> (Lab, TempDir) {
    require_root();
    let lab = Lab::with(LabOptions { queues: options.queues, mtu: options.mtu }).unwrap();
    for (namespace, port) in [(&lab.client, Lab::CLIENT_PORT), (&lab.server, Lab::SERVER_PORT)] {
        if options.queues > 1 && !options.spread {
            namespace.output("ethtool", &["-L", port, "tx", "1"]).unwrap();
        }
    }
    (lab, tempfile::tempdir().unwrap())
}

pub(crate) fn xdp_config(options: &Options) -> XdpConfig {
    XdpConfig {
        pairs: vec![(Lab::GATE_CLIENT_PORT.to_owned(), Lab::GATE_SERVER_PORT.to_owned())],
        workers: options.workers,
        copy_mode: options.copy_mode,
        ring_size: options.ring_size,
        busy_poll_us: options.busy_poll_us,
        busy_poll: options.busy_poll,
        bypass: vec![options.bypass; 2],
        ..XdpConfig::default()
    }
}

pub(crate) fn gate_config(config: &XdpConfig, dir: &TempDir, options: &Options) -> GateConfig {
    GateConfig {
        name: "test".to_owned(),
        ports: config.gate_ports().unwrap(),
        sets: Vec::new(),
        fail: options.fail,
        liveness: options.liveness,
        forward: options.copy_mode.forwards(),
        mode: options.mode,
        frags: options.mtu > portcullis_bpf::device::MAX_MTU,
        lock_dir: dir.path().to_owned(),
        ..GateConfig::default()
    }
}

pub(crate) fn open(
    namespace: &NetNs,
    dir: &TempDir,
    options: &Options,
) -> Result<(Gate, InlineSet, Vec<XdpModule>), XdpError> {
    let config = xdp_config(options);
    namespace.run(|| {
        let gate =
            GateConfig { ports: config.gate_ports()?, ..gate_config(&XdpConfig::default(), dir, options) };
        let mut gate = Gate::load(&gate)?;
        let (set, modules) = InlineSet::open(&config, &mut gate)?;
        Ok((gate, set, modules))
    })
}

/// One poll; how many packets it brought.
pub(crate) fn poll(module: &mut XdpModule, judge: &mut dyn FnMut(&mut Burst<'_>)) -> usize {
    match module.poll(judge).unwrap() {
        Poll::Received(count) => count,
        Poll::Empty | Poll::End => 0,
    }
}

/// Judges every packet of a burst alike.
pub(crate) fn all(burst: &mut Burst<'_>, verdict: Verdict) {
    for index in 0..burst.len() {
        assert!(burst.judge(index, verdict));
    }
}
