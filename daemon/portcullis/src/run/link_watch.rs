//! Watches the ports of the gate: mirrors the state of links between peers, takes ports down where nobody judges, and
//! notices what was changed under the gate.
//!
//! It belongs to the warden and knows nothing but interfaces and heartbeats. The kernel tells of links by rtnetlink,
//! but may hold the news back for a second where a link comes and goes; so links are looked at a few times in a second,
//! too, and messages only say that it is time to look.

use super::link_state::{Change, PairState, Rules, Seen, Step};
use portcullis_bpf::{Pulses, device};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// How often links and heartbeats are looked at where something depends on them: lost links are to be mirrored within
/// 100 ms.
const GLANCE: Duration = Duration::from_millis(25);

/// How often to look where nothing is to be done about it but to tell.
const SLOWLY: Duration = Duration::from_secs(1);

/// A worker that looks dead so many times in a row is: not only we were kept from looking.
const SURE: u32 = 2;

/// `RTMGRP_LINK` (linux/rtnetlink.h).
const LINK_GROUP: u32 = 1;

/// What to watch; plain data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkPlan {
    /// The pairs, in the order of the ports.
    pub(crate) pairs: Vec<PairPlan>,
    /// `links.mirror`.
    pub(crate) mirror: bool,
    /// `links.hold-down-ms`.
    pub(crate) hold_down: Duration,
}

/// One pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PairPlan {
    pub(crate) ports: [String; 2],
    /// Is its set's policy `link-down`?
    pub(crate) fail: bool,
    /// Receive queues of each port.
    pub(crate) queues: u32,
    /// The largest MTU that packet memory has room for.
    pub(crate) max_mtu: u32,
}

/// What was seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LinkFacts {
    /// Links that were lost and mirrored, and times in which pairs were down for want of a worker.
    pub(crate) losses: u64,
    /// Pairs with a port that is down on our account now.
    pub(crate) held: u64,
    /// Ports whose queues or MTU no longer are what the gate was started with.
    pub(crate) misfits: u64,
}

#[derive(Debug, Default)]
struct Seens {
    losses: AtomicU64,
    held: AtomicU64,
    misfits: AtomicU64,
    silence: AtomicBool,
}

/// The watching thread. Dropping it ends the watch; ports that it took down stay so.
#[derive(Debug)]
pub(crate) struct LinkWatch {
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
    plan: LinkPlan,
    seens: Arc<Seens>,
}

impl LinkWatch {
    /// Brings the ports up and begins to watch, in the network namespace of the calling thread.
    pub(crate) fn start(plan: LinkPlan, pulses: Option<Pulses>) -> Result<Self, String> {
        for name in plan.pairs.iter().flat_map(|pair| &pair.ports) {
            device::set_up(name, true).map_err(|error| format!("cannot bring up {name}: {error}"))?;
        }
        let fail = |error: &dyn std::fmt::Display| format!("cannot watch the ports: {error}");
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let stop = Arc::new(stop.map_err(|error| fail(&error))?);
        let news = listen().map_err(|error| fail(&error))?;
        let seens = Arc::new(Seens::default());
        let mut watcher = Watcher::new(plan.clone(), pulses, Arc::clone(&seens));
        let ending = Arc::clone(&stop);
        let run = move || watcher.run(&news, &ending);
        let thread = Builder::new().name("links".to_owned()).spawn(run).map_err(|error| fail(&error))?;
        Ok(Self { stop, thread: Some(thread), plan, seens })
    }

    /// What it watches.
    pub(crate) const fn plan(&self) -> &LinkPlan {
        &self.plan
    }

    /// Are workers silent because they were told to be? Then they are not dead.
    pub(crate) fn expect_silence(&self, expected: bool) {
        self.seens.silence.store(expected, Ordering::Relaxed);
    }

    /// What was seen so far.
    pub(crate) fn facts(&self) -> LinkFacts {
        let Seens { losses, held, misfits, silence: _ } = &*self.seens;
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        LinkFacts { losses: of(losses), held: of(held), misfits: of(misfits) }
    }
}

impl Drop for LinkWatch {
    fn drop(&mut self) {
        // It fails only where the counter is full, and then it is readable anyway.
        let _ = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            // A panic in it has been told already.
            let _ = thread.join();
        }
    }
}

/// A socket that the kernel sends news of links to. Netlink's protocol 0 is rtnetlink.
fn listen() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, LINK_GROUP))?;
    Ok(socket)
}

#[derive(Debug)]
struct Watcher {
    plan: LinkPlan,
    pulses: Option<Pulses>,
    pairs: Vec<Pair>,
    seens: Arc<Seens>,
    looked_at_shape: Option<Instant>,
}

#[derive(Debug)]
struct Pair {
    state: PairState,
    /// How often in a row its workers looked dead.
    dead: u32,
    /// By port: does it no longer fit?
    misfits: [bool; 2],
}

impl Watcher {
    fn new(plan: LinkPlan, pulses: Option<Pulses>, seens: Arc<Seens>) -> Self {
        let now = Instant::now();
        let pair = |pair: &PairPlan| {
            let rules = Rules { mirror: plan.mirror, fail: pair.fail, hold_down: plan.hold_down };
            Pair { state: PairState::new(rules, now), dead: 0, misfits: [false; 2] }
        };
        let pairs = plan.pairs.iter().map(pair).collect();
        Self { plan, pulses, pairs, seens, looked_at_shape: None }
    }

    fn run(&mut self, news: &OwnedFd, stop: &OwnedFd) {
        let acts = self.plan.mirror || self.plan.pairs.iter().any(|pair| pair.fail);
        let longest = if acts { GLANCE } else { SLOWLY };
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(longest.subsec_nanos()) };
        let timeout = Timespec { tv_sec: i64::try_from(longest.as_secs()).unwrap_or(1), ..timeout };
        loop {
            self.look();
            let mut fds = [PollFd::new(stop, PollFlags::IN), PollFd::new(news, PollFlags::IN)];
            // What cannot be waited for is looked at all the same, not in a busy loop.
            if poll(&mut fds, Some(&timeout)).is_err() {
                std::thread::sleep(GLANCE);
            }
            let [stopped, told] = fds.map(|fd| !fd.revents().is_empty());
            if stopped {
                return;
            }
            if told {
                drain(news);
            }
        }
    }

    fn look(&mut self) {
        let now = Instant::now();
        let silence = self.seens.silence.load(Ordering::Relaxed);
        let mut port = 0_u8;
        for (pair, plan) in self.pairs.iter_mut().zip(&self.plan.pairs) {
            let alive = self.pulses.as_ref().is_none_or(|pulses| {
                pulses.are_alive(port, plan.queues) && pulses.are_alive(port.saturating_add(1), plan.queues)
            });
            port = port.saturating_add(2);
            if silence {
                // Whoever takes the ports over may set them up anew.
                pair.dead = 0;
                continue;
            }
            pair.dead = if alive { 0 } else { pair.dead.saturating_add(1) };
            let [one, other] = &plan.ports;
            let step = pair.state.step(now, [seen(one), seen(other)], pair.dead < SURE);
            carry_out(&plan.ports, step);
            if matches!(step.change, Some(Change::Lost(_) | Change::Dead)) {
                self.seens.losses.fetch_add(1, Ordering::Relaxed);
            }
        }
        let held = self.pairs.iter().filter(|pair| pair.state.is_held()).count();
        self.seens.held.store(held as u64, Ordering::Relaxed);
        if self.looked_at_shape.is_none_or(|last| now.duration_since(last) >= SLOWLY) {
            self.looked_at_shape = Some(now);
            self.look_at_shapes();
        }
    }

    /// Do queues and MTU still fit what was opened?
    fn look_at_shapes(&mut self) {
        for (pair, plan) in self.pairs.iter_mut().zip(&self.plan.pairs) {
            for (name, was) in plan.ports.iter().zip(&mut pair.misfits) {
                let reason = misfit(name, plan);
                if let Some(reason) = reason.as_ref().filter(|_| !*was) {
                    tracing::error!("{reason}");
                } else if reason.is_none() && *was {
                    tracing::info!("{name} is again as it was at the start");
                }
                *was = reason.is_some();
            }
        }
        let misfits = self.pairs.iter().flat_map(|pair| pair.misfits).filter(|misfit| *misfit).count();
        self.seens.misfits.store(misfits as u64, Ordering::Relaxed);
    }
}

/// What is wrong with a port, and what mends it. One that is gone ends its worker, which tells of it.
fn misfit(name: &str, plan: &PairPlan) -> Option<String> {
    let PairPlan { queues, max_mtu, .. } = *plan;
    if let Ok(now) = device::queues(name)
        && now != queues
    {
        return Some(format!(
            "{name} has {now} receive queues now, but {queues} are served: what comes in by others is the fail \
             policy's; restart, or ethtool -L {name} back to {queues}"
        ));
    }
    match device::mtu(name) {
        Ok(mtu) if mtu > max_mtu => Some(format!(
            "{name} has MTU {mtu} now, but packet memory has room for {max_mtu}: longer packets are lost; restart, \
             or ip link set {name} mtu {max_mtu}"
        )),
        _ => None,
    }
}

/// A driver that cannot tell of its link is taken for connected; an interface that is gone is none.
fn seen(name: &str) -> Seen {
    let up = device::is_up(name).unwrap_or(false);
    let carrier = match device::carrier(name) {
        Ok(carrier) => carrier,
        Err(error) => error.raw_os_error() == Some(rustix::io::Errno::OPNOTSUPP.raw_os_error()),
    };
    Seen { up, carrier }
}

fn carry_out(ports: &[String; 2], step: Step) {
    for (name, up) in ports.iter().zip(step.set_up) {
        if let Some(up) = up
            && let Err(error) = device::set_up(name, up)
        {
            let action = if up { "bring up" } else { "take down" };
            tracing::error!("cannot {action} {name}: {error}");
        }
    }
    let [one, other] = ports;
    let of = |which: usize| if which == 0 { (one, other) } else { (other, one) };
    match step.change {
        Some(Change::Lost(which)) => {
            let (lost, peer) = of(which);
            tracing::warn!("{lost} has lost its link: {peer} is taken down");
        }
        Some(Change::Back(which)) => {
            let (back, peer) = of(which);
            tracing::info!("{back} has its link again: {peer} is brought up");
        }
        Some(Change::Dead) => tracing::warn!("no live worker: {one} and {other} are taken down"),
        Some(Change::Alive) => tracing::info!("workers live: {one} and {other} are brought up"),
        None => {}
    }
}

/// What the kernel said does not matter, and that some of it was lost neither: everything is looked at.
fn drain(news: &OwnedFd) {
    let mut buffer = [0_u8; 8192];
    loop {
        match recv(news, buffer.as_mut_slice(), RecvFlags::empty()) {
            Ok(_) | Err(rustix::io::Errno::NOBUFS | rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}
