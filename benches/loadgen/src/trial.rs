//! A trial from its beginning to its end.

use crate::counts::{Counts, Expected, Found};
use crate::maker::{Layout, Maker, TRAILER_MODE};
use crate::pace::Pace;
use crate::place::Opened;
use crate::sender::{Sent, live, trafgen, xdp};
use crate::stop::Stop;
use crate::{say, thread};
use anyhow::{Context, Result, bail, ensure};
use portcullis_trial::{Outcome, Protocol, Returned, Size, Trial, Via};
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

/// Bytes of a frame that an MTU does not count.
const ETHERNET: u32 = 14;
/// More frames a second than any sender makes.
const FASTEST: f64 = 12e6;
/// Opened connections a second, so that nobody is flooded before the trial.
const OPENED_A_SECOND: u32 = 100_000;
/// How often those are asked again that did not open.
const ATTEMPTS: u32 = 8;
/// How often to look whether something still arrives.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long frames that still arrive are waited for at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// Carries out a trial and prints its outcome.
pub(crate) fn run(trial: &Trial) -> Result<()> {
    check(trial)?;
    let stop = Stop::on_signals()?;
    let (from, to) = (Opened::open(&trial.from)?, Opened::open(&trial.to)?);
    check_fits(trial, &from)?;
    thread::pin(trial.sender_cpu)?;
    let outcome = carry_out(trial, &from, &to, &stop)?;
    say(serde_json::to_string(&outcome)?)?;
    Ok(())
}

/// Refuses what cannot be.
fn check(trial: &Trial) -> Result<()> {
    let Trial { via, size, churn, protocol, .. } = trial;
    ensure!((0.0..=1.0).contains(churn), "--churn is a share from 0 to 1, not {churn}");
    ensure!(trial.seconds > 0.0 && trial.seconds <= 1e9, "--seconds must be above 0, not {}", trial.seconds);
    for (name, micros) in [("pause-us", trial.pause_us), ("catch-up-us", trial.catch_up_us)] {
        ensure!(micros <= 1_000_000_000, "--{name} is 1,000,000,000 at most");
    }
    if *protocol == Protocol::TcpEstablished {
        ensure!(
            *churn == 0.0,
            "flows of open connections have no --churn; use `--protocol syn` for new ones"
        );
    }
    if *protocol == Protocol::Syn {
        ensure!(
            *size == Size::Bytes(Size::SHORTEST),
            "a SYN has no payload: `--protocol syn` needs `--size 60`"
        );
    }
    let longest = if let Size::Bytes(bytes) = size { *bytes } else { 0 };
    ensure!(
        *via == Via::Trafgen || longest <= live::LONGEST,
        "frames above {} bytes need `--via trafgen`",
        live::LONGEST
    );
    ensure!(
        *via != Via::Trafgen || trial.burst.is_none(),
        "trafgen cannot make bursts; use `--via live` or `xdp`"
    );
    if trial.capture.is_some() {
        ensure!(*via == Via::Trafgen, "a capture needs `--via trafgen`");
        ensure!(
            *protocol == Protocol::Udp && trial.answers() == 0,
            "a capture's frames are what they are: no --protocol, no --return"
        );
        ensure!(*churn == 0.0, "a capture's flows are what they are: no --churn");
    }
    Ok(())
}

/// Refuses frames that the wire does not take.
fn check_fits(trial: &Trial, from: &Opened) -> Result<()> {
    let mtu = from.inside(|| Ok(portcullis_bpf::device::mtu(&from.interface)?))?;
    let longest = match trial.size {
        Size::Bytes(bytes) => bytes,
        Size::Imix => Size::IMIX.iter().map(|(bytes, _)| *bytes).max().unwrap_or_default(),
    };
    ensure!(
        u32::from(longest) <= mtu + ETHERNET || trial.capture.is_some(),
        "frames of {longest} bytes do not go through {}, whose MTU is {mtu}",
        trial.from
    );
    Ok(())
}

fn carry_out(trial: &Trial, from: &Opened, to: &Opened, stop: &Stop) -> Result<Outcome> {
    let pace = Pace::of(trial, numbers(trial));
    let mark = mark();
    let layout = Layout::of(trial.protocol);
    let maker = Maker::new(trial, layout, mark);
    let expected = Expected {
        mode: if trial.capture.is_some() { TRAILER_MODE } else { layout.mode() },
        mark,
        flows: if trial.capture.is_some() { 1 } else { trial.flows },
        answer_every: trial.answers(),
        numbers: pace.limit,
    };
    let answers = trial.answers() > 0 || layout == Layout::Tcp;
    let mut storage = MaybeUninit::uninit();
    let counts = Counts::begin(&mut storage, &expected, from, to, answers)?;
    let established =
        if layout == Layout::Tcp { Some(open(trial, mark, from, &counts, stop)?) } else { None };
    let refused = refused(from);
    let sent = match trial.via {
        Via::Live => live::send(from, &maker, pace, None, stop)?,
        Via::Xdp => xdp::send(from, &maker, pace, stop)?,
        Via::Trafgen => trafgen::send(from, trial, &maker, pace, stop)?,
    };
    thread::pin(trial.receiver_cpu)?;
    let found = settled(trial, &counts)?;
    outcome(trial, &counts, &sent, &found, established, self::refused(from) - refused)
}

/// How many frames there can be.
fn numbers(trial: &Trial) -> u64 {
    let rate = trial.rate.per_second().map_or(FASTEST, f64::from);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is bounded right away")]
    let frames = (rate * trial.seconds) as u64 + 64;
    frames.min(trial.count.map_or(u64::MAX, u64::from)).min(u32::MAX.into())
}

/// What tells this trial's frames from those of others, that may still be under way.
fn mark() -> u16 {
    let [low, high, ..] = (thread::nanos() >> 20).to_le_bytes();
    0x8000 | u16::from_le_bytes([low, high & 0x3f])
}

/// Opens a connection for each flow, through whatever lies between; how many.
fn open(trial: &Trial, mark: u16, from: &Opened, counts: &Counts<'_>, stop: &Stop) -> Result<u32> {
    let maker = Maker::new(trial, Layout::Opening, mark);
    let asked = Trial {
        rate: portcullis_trial::Rate::PerSecond(OPENED_A_SECOND),
        seconds: f64::from(trial.flows / OPENED_A_SECOND + 1) * 4.0,
        burst: None,
        ..trial.clone()
    };
    let pace = Pace::of(&asked, trial.flows.into());
    for _ in 0..ATTEMPTS {
        live::send(from, &maker, pace, Some(counts.open_flows()), stop)?;
        settled(trial, counts)?;
        if counts.opened()? == trial.flows || stop.is_wanted() {
            break;
        }
    }
    let opened = counts.opened()?;
    ensure!(opened > 0, "no connection could be opened from {} to {}", trial.from, trial.to);
    Ok(opened)
}

/// What has arrived once nothing arrives any more.
fn settled(trial: &Trial, counts: &Counts<'_>) -> Result<Found> {
    let (settle, until) = (Duration::from_millis(trial.settle_ms), Instant::now() + PATIENCE);
    let (mut found, mut since) = (counts.look()?, Instant::now());
    while since.elapsed() < settle && Instant::now() < until {
        std::thread::sleep(LOOK_EVERY.min(settle));
        let now = counts.look()?;
        if now != found {
            (found, since) = (now, Instant::now());
        }
    }
    Ok(found)
}

/// Frames that the far end of the sender's wire had no room for, so far; only veth tells.
fn refused(from: &Opened) -> u64 {
    let Ok(text) = from.namespace.output("ethtool", &["-S", &from.interface]) else { return 0 };
    let values = text.lines().filter_map(|line| line.trim().split_once(": "));
    values
        .filter(|(name, _)| name.ends_with("_xdp_xmit_errors"))
        .filter_map(|(_, value)| value.parse::<u64>().ok())
        .sum()
}

fn outcome(
    trial: &Trial,
    counts: &Counts<'_>,
    sent: &Sent,
    found: &Found,
    established: Option<u32>,
    refused: u64,
) -> Result<Outcome> {
    if sent.frames == 0 {
        bail!("nothing was sent");
    }
    let lost = sent.frames.checked_sub(found.packets).context("more frames arrived than were sent")?;
    let returned = if trial.answers() > 0 {
        let lost = found.answers.saturating_sub(found.returned);
        Some(Returned {
            sent: found.answers,
            received: found.returned,
            lost,
            round_trip: counts.round_trip(found)?,
        })
    } else {
        None
    };
    Ok(Outcome {
        trial: trial.clone(),
        sent: sent.frames,
        sent_bytes: sent.bytes,
        received: found.packets,
        received_bytes: found.bytes,
        lost,
        refused,
        duplicated: found.duplicated,
        reordered: found.reordered,
        reordered_in_flow: found.reordered_in_flow,
        reordered_furthest: found.furthest,
        corrupted: found.corrupted,
        seconds: span(sent.first, sent.last),
        offered_pps: rate(sent.frames, sent.first, sent.last),
        received_pps: rate(found.packets, found.times.first, found.times.last),
        latency: counts.latency(found)?,
        returned,
        established,
        sender_cpu_seconds: sent.cpu.as_secs_f64(),
    })
}

fn span(first: u64, last: u64) -> f64 {
    Duration::from_nanos(last.saturating_sub(first)).as_secs_f64()
}

/// Frames a second: from the first to the last there is one step less than there are frames. 0 where no time passed.
pub(crate) fn rate(frames: u64, first: u64, last: u64) -> f64 {
    let span = span(first, last);
    #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
    let steps = frames.saturating_sub(1) as f64;
    if span > 0.0 { steps / span } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_trial::{Place, Rate};

    fn trial() -> Trial {
        Trial::between(Place::here("a"), Place::here("b"))
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(check(&trial()).is_ok());
        let wrong: [(&str, Trial); 9] = [
            ("churn", Trial { churn: 1.5, ..trial() }),
            ("churn", Trial { churn: f64::NAN, ..trial() }),
            ("churn", Trial { churn: 0.1, protocol: Protocol::TcpEstablished, ..trial() }),
            ("seconds", Trial { seconds: 0.0, ..trial() }),
            ("SYN", Trial { protocol: Protocol::Syn, size: Size::Imix, ..trial() }),
            ("3400", Trial { size: Size::Bytes(9000), ..trial() }),
            ("bursts", Trial { via: Via::Trafgen, burst: Some(3), ..trial() }),
            ("capture", Trial { capture: Some("a.pcap".into()), ..trial() }),
            (
                "return",
                Trial { capture: Some("a.pcap".into()), via: Via::Trafgen, return_every: Some(1), ..trial() },
            ),
        ];
        for (word, trial) in wrong {
            let error = check(&trial).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn there_are_numbers_for_all_frames() {
        assert_eq!(numbers(&Trial { rate: Rate::PerSecond(1000), seconds: 2.0, ..trial() }), 2064);
        assert_eq!(numbers(&Trial { count: Some(5), ..trial() }), 5);
        assert_eq!(numbers(&Trial { seconds: 1e9, ..trial() }), u64::from(u32::MAX));
    }

    #[test]
    fn a_rate_is_of_the_steps_between_frames() {
        assert_eq!(rate(11, 1_000_000_000, 2_000_000_000), 10.0);
        assert_eq!(rate(1, 5, 5), 0.0);
    }
}
