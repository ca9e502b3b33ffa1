//! The sender that is trafgen: it sends, from a scenario that we write or from a capture that netsniff-ng converts,
//! and where its frames leave a program of ours gives each its flow, its number and its time (trafgen can count bytes, but
//! has no clock).

use crate::maker::{Maker, ORDER};
use crate::pace::Pace;
use crate::place::Opened;
use crate::sender::Sent;
use crate::sender::program::{self, Progress, Setup, Which};
use crate::stop::Stop;
use anyhow::{Context, Result, bail, ensure};
use libbpf_rs::{TC_EGRESS, TcHook, TcHookBuilder, set_print};
use portcullis_trial::Trial;
use rustix::process::{Pid, Signal, kill_process_group};
use std::fmt::Write;
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often to look whether all is sent.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long trafgen may take to end.
const ENDING: Duration = Duration::from_millis(500);
/// How long trafgen may take to read its scenario and to begin.
const BEGINNING: Duration = Duration::from_secs(60);

/// Sends until the pace is over or the wish to stop comes.
pub(crate) fn send(from: &Opened, trial: &Trial, maker: &Maker, pace: Pace, stop: &Stop) -> Result<Sent> {
    let scratch = tempfile::tempdir()?;
    let scenario = scratch.path().join("scenario.cfg");
    match &trial.capture {
        Some(capture) => convert(capture, &scenario)?,
        None => fs::write(&scenario, scenario_of(maker))?,
    }
    let which = if trial.capture.is_some() { Which::Trail } else { Which::Stamp };
    let mut storage = MaybeUninit::uninit();
    // The rate is trafgen's.
    let paced = Pace { gap: 0, burst: 0, ..pace };
    let skeleton = program::load(
        &mut storage,
        &Setup { which, maker, pace: paced, egress: from.index, open_flows: None },
    )?;
    let progress = Progress::of(&skeleton)?;
    let program = if which == Which::Trail { &skeleton.progs.trail } else { &skeleton.progs.stamp };
    let mut hook = from.inside(|| attach(from, program.as_fd()))?;
    let result = run(from, trial, &scenario, pace.limit, &progress, stop);
    from.inside(|| hook.detach().context("cannot look away from what leaves"))?;
    let cpu = result?;
    let (sent, ..) = progress.look()?;
    Ok(Sent { cpu, ..sent })
}

/// Runs trafgen until all is sent; the CPU time that it took.
fn run(
    from: &Opened,
    trial: &Trial,
    scenario: &Path,
    limit: u64,
    progress: &Progress,
    stop: &Stop,
) -> Result<Duration> {
    let mut running = start(from, trial, scenario, limit)?;
    let begun = Instant::now();
    let ended = loop {
        let (sent, over, unfit) = progress.look()?;
        if unfit > 0 {
            break Err(anyhow::anyhow!(
                "{unfit} frames have no room for a number: the MTU of {} must be 16 bytes more than the longest of them needs",
                from.interface
            ));
        }
        if over || stop.is_wanted() {
            break Ok(());
        }
        if let Some(status) = running.try_wait()? {
            break if sent.frames > 0 {
                Ok(())
            } else {
                Err(anyhow::anyhow!("trafgen sent nothing: {status}"))
            };
        }
        if sent.frames == 0 && begun.elapsed() > BEGINNING {
            break Err(anyhow::anyhow!("trafgen does not begin"));
        }
        std::thread::sleep(LOOK_EVERY);
    };
    let cpu = group_time(running.id());
    let output = end(running)?;
    ended.with_context(|| format!("trafgen said: {}", output.trim())).map(|()| cpu)
}

/// A scenario with one packet of each length, twelve where they are mixed.
fn scenario_of(maker: &Maker) -> String {
    let frames = if maker.classes.len() > 1 { 0..ORDER } else { 0..1 };
    let mut text = String::new();
    for number in frames {
        let bytes = &maker.class(u32::try_from(number).unwrap_or(0)).bytes;
        text.push_str("{ ");
        for byte in bytes {
            // Writing to a string does not fail.
            let _ = write!(text, "0x{byte:02x}, ");
        }
        text.push_str("}\n");
    }
    text
}

fn convert(capture: &Path, scenario: &Path) -> Result<()> {
    ensure!(capture.is_file(), "there is no capture {}", capture.display());
    let output = Command::new("netsniff-ng")
        .arg("--in")
        .arg(capture)
        .arg("--out")
        .arg(scenario)
        .arg("--silent")
        .stdin(Stdio::null())
        .output()
        .context("cannot start netsniff-ng (package netsniff-ng)")?;
    let converted = fs::metadata(scenario).is_ok_and(|file| file.len() > 0);
    if !output.status.success() || !converted {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("netsniff-ng cannot convert {} (it reads pcap files): {}", capture.display(), said.trim());
    }
    Ok(())
}

/// In a process group of its own, for trafgen sends in processes of its own.
fn start(from: &Opened, trial: &Trial, scenario: &Path, limit: u64) -> Result<Child> {
    let mut command = from.namespace.command("trafgen");
    command.args(["--dev", &from.interface, "--cpus", "1", "--qdisc-path", "--no-sock-mem", "--notouch-irq"]);
    command.arg("--conf").arg(scenario).args(["--seed", &trial.seed.to_string()]);
    // So that it ends in any case, even if nobody is left to end it.
    command.args(["--num", &limit.to_string()]).process_group(0);
    if let Some(rate) = trial.rate.per_second() {
        // Its own --rate sends a whole second's frames at once, then waits for the second to end.
        command.args(["--gap", &format!("{}ns", 1_000_000_000 / rate)]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().context("cannot start trafgen (package netsniff-ng)")
}

/// Ends it; gives what it said.
fn end(mut running: Child) -> Result<String> {
    let group = Pid::from_child(&running);
    let asked = Instant::now();
    while running.try_wait()?.is_none() {
        let signal = if asked.elapsed() < ENDING { Signal::INT } else { Signal::KILL };
        // It may have ended just now.
        let _ = kill_process_group(group, signal);
        std::thread::sleep(LOOK_EVERY * 4);
    }
    let output = running.wait_with_output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

/// CPU time of the processes of a group that have not ended.
fn group_time(group: u32) -> Duration {
    let group = group.to_string();
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    let of = |process: fs::DirEntry| {
        let stat = fs::read_to_string(process.path().join("stat")).ok()?;
        // The name, in brackets, may have spaces in it; after it come state, parent, group.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let (user, system) = (fields.get(11)?.parse::<u64>().ok()?, fields.get(12)?.parse::<u64>().ok()?);
        (*fields.get(2)? == group).then_some(user + system)
    };
    let used: u64 = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(of).sum();
    Duration::from_millis(used * 1000 / ticks)
}

/// Has a program see what leaves the interface of this namespace.
fn attach(from: &Opened, program: BorrowedFd<'_>) -> Result<TcHook> {
    let index = i32::try_from(from.index)?;
    let mut hook =
        TcHookBuilder::new(program).ifindex(index).replace(true).handle(1).priority(1).hook(TC_EGRESS);
    // libbpf complains to standard error where the discipline is there already, which is as well.
    let print = set_print(None);
    let created = hook.create();
    set_print(print);
    created.context("cannot look at what leaves (it needs a clsact queueing discipline)")?;
    hook.attach().context("cannot look at what leaves")
}
