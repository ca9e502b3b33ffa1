//! A trial: who sends what to whom, how fast and for how long.

use crate::values::{Place, Protocol, Rate, Size, Via};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::path::PathBuf;

/// One trial. The same seed, flows, size and churn give the same frames in the same order.
#[derive(Clone, Debug, PartialEq, clap::Args, Serialize, Deserialize)]
pub struct Trial {
    /// Where to send: `NAMESPACE:INTERFACE`; `-` is the present namespace, a path one that has no name.
    #[arg(long, allow_hyphen_values = true)]
    pub from: Place,
    /// Where to receive, likewise.
    #[arg(long, allow_hyphen_values = true)]
    pub to: Place,
    /// Who makes the frames.
    #[arg(long, value_enum, default_value_t)]
    pub via: Via,
    /// Frames a second, or `max`: as fast as they go.
    #[arg(long, default_value_t)]
    pub rate: Rate,
    /// Bytes of a frame without its check sequence (60 are 64 on a wire), 60 to 9000, or `imix`: 60, 590 and 1514 bytes as
    /// 7 to 4 to 1.
    #[arg(long, default_value_t)]
    pub size: Size,
    /// Flows that are open at a time, taken in turn.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    pub flows: u32,
    /// New flows by packet, 0 to 1: with 1 every packet is the first of its flow. A new one takes an old one's turn.
    #[arg(long, default_value_t = 0.0)]
    pub churn: f64,
    /// What frames carry.
    #[arg(long, value_enum, default_value_t)]
    pub protocol: Protocol,
    /// Source addresses that flows are spread over, from `--source` on.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1 << 16))]
    pub sources: u32,
    /// What differs between trials that are otherwise the same: the ports that flows begin with, the order of sizes, payload.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// For how long to send.
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// How many frames to send at most.
    #[arg(long)]
    pub count: Option<u32>,
    /// Send bursts of this many frames back to back.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub burst: Option<u32>,
    /// Microseconds from the end of a burst to the beginning of the next.
    #[arg(long, default_value_t = 100_000, requires = "burst")]
    pub pause_us: u64,
    /// The receiver answers each so-and-so-many-th frame of a flow, back to where it came from: with 1 as many frames go
    /// back as arrive. UDP frames are returned, TCP ones acknowledged. 0: none. By default 2 for `tcp-established`, as hosts
    /// do (RFC 1122), else 0.
    #[arg(long = "return", value_name = "N", num_args = 0..=1, default_missing_value = "1")]
    pub return_every: Option<u32>,
    /// A sender that is behind its rate by more than so many microseconds (because its CPU did something else) does not
    /// catch up: that would flood the wire. What it offered instead is in the outcome.
    #[arg(long, default_value_t = 100)]
    pub catch_up_us: u64,
    /// For how many milliseconds nothing must have arrived, after the last frame was sent, for the rest to be lost.
    #[arg(long, default_value_t = 300)]
    pub settle_ms: u64,
    /// The CPU that sends.
    #[arg(long)]
    pub sender_cpu: Option<u32>,
    /// The CPU of the receiver's thread, which only looks after the counters; frames are counted where the kernel
    /// receives them.
    #[arg(long)]
    pub receiver_cpu: Option<u32>,
    /// Frames of this capture (pcap), one after the other and again from the start, instead of made ones. Each is given a
    /// trailer of 16 bytes after its datagram, so the wire's MTU must leave room for them. Needs `--via trafgen`.
    #[arg(long)]
    pub capture: Option<PathBuf>,
    /// Address that frames come from.
    #[arg(long, default_value = "10.77.0.1")]
    pub source: std::net::Ipv4Addr,
    /// Address that frames go to.
    #[arg(long, default_value = "10.77.0.2")]
    pub target: std::net::Ipv4Addr,
}

impl Trial {
    /// A trial as it is without any option, from here to there.
    #[must_use]
    pub fn between(from: Place, to: Place) -> Self {
        Self {
            from,
            to,
            via: Via::default(),
            rate: Rate::default(),
            size: Size::default(),
            flows: 64,
            churn: 0.0,
            protocol: Protocol::default(),
            sources: 1,
            seed: 1,
            seconds: 10.0,
            count: None,
            burst: None,
            pause_us: 100_000,
            return_every: None,
            catch_up_us: 100,
            settle_ms: 300,
            sender_cpu: None,
            receiver_cpu: None,
            capture: None,
            source: [10, 77, 0, 1].into(),
            target: [10, 77, 0, 2].into(),
        }
    }

    /// The command line of this trial, from the word `trial` on.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut line = vec!["trial".to_owned()];
        let mut put = |name: &str, value: &dyn Display| line.extend([format!("--{name}"), value.to_string()]);
        put("from", &self.from);
        put("to", &self.to);
        put("via", &word(self.via));
        put("rate", &self.rate);
        put("size", &self.size);
        put("flows", &self.flows);
        put("churn", &self.churn);
        put("protocol", &word(self.protocol));
        put("sources", &self.sources);
        put("seed", &self.seed);
        put("seconds", &self.seconds);
        put("source", &self.source);
        put("target", &self.target);
        put("catch-up-us", &self.catch_up_us);
        put("settle-ms", &self.settle_ms);
        if let Some(burst) = self.burst {
            put("burst", &burst);
            put("pause-us", &self.pause_us);
        }
        for (name, value) in [
            ("count", self.count),
            ("return", self.return_every),
            ("sender-cpu", self.sender_cpu),
            ("receiver-cpu", self.receiver_cpu),
        ] {
            if let Some(value) = value {
                put(name, &value);
            }
        }
        if let Some(capture) = &self.capture {
            put("capture", &capture.display());
        }
        line
    }

    /// Answers to the frames of a flow: each so-and-so-many-th, 0 for none.
    #[must_use]
    pub fn answers(&self) -> u32 {
        self.return_every.unwrap_or(if self.protocol == Protocol::TcpEstablished { 2 } else { 0 })
    }
}

/// How a value is written on the command line.
fn word(value: impl clap::ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        trial: Trial,
    }

    fn check(trial: &Trial) {
        let line = Line::try_parse_from(trial.arguments()).unwrap();
        assert_eq!(line.trial, *trial);
        let json = serde_json::to_string(trial).unwrap();
        assert_eq!(serde_json::from_str::<Trial>(&json).unwrap(), *trial, "{json}");
    }

    #[test]
    fn a_trial_is_what_its_command_line_says() {
        let plain = Trial::between(Place::within("/proc/1/ns/net", "c0"), Place::within("server", "s0"));
        check(&plain);
        check(&Trial::between(Place::here("a"), Place::here("b")));
        check(&Trial {
            via: Via::Trafgen,
            rate: Rate::PerSecond(1_000),
            size: Size::Imix,
            churn: 0.25,
            protocol: Protocol::TcpEstablished,
            count: Some(7),
            burst: Some(64),
            pause_us: 5,
            catch_up_us: 3,
            settle_ms: 9,
            return_every: Some(0),
            sender_cpu: Some(0),
            receiver_cpu: Some(1),
            capture: Some("some capture.pcap".into()),
            seed: u64::MAX,
            seconds: 0.5,
            ..plain
        });
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        let line = Line::try_parse_from(["trial", "--from", "-:a", "--to", "-:b"]).unwrap();
        assert_eq!(line.trial, Trial::between(Place::here("a"), Place::here("b")));
    }

    #[test]
    fn return_alone_returns_every_frame() {
        let line = Line::try_parse_from(["trial", "--from", "-:a", "--to", "-:b", "--return"]).unwrap();
        assert_eq!(line.trial.answers(), 1);
    }

    #[test]
    fn nonsense_is_refused() {
        for (name, values) in [
            ("rate", &["0", "-1", "fast", "4294967296"][..]),
            ("size", &["59", "9001", "small"]),
            ("flows", &["0", "16777217"]),
            ("sources", &["0", "65537"]),
            ("burst", &["0"]),
            ("via", &["pigeon"]),
        ] {
            for value in values {
                let option = format!("--{name}={value}");
                let line = ["trial", "--from", "-:a", "--to", "-:b", &option];
                assert!(Line::try_parse_from(line).is_err(), "{option}");
            }
        }
        for place in ["", "a", ":a", "a:"] {
            assert!(place.parse::<Place>().is_err(), "{place}");
        }
    }
}
