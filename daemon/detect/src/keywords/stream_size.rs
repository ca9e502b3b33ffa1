//! `stream_size`: how much a TCP stream has carried so far.

use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::Input;

pub(super) const KEYWORD: Entry = Entry { names: &["stream_size"], takes: Takes::Value, setup };

/// Which streams are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Server,
    Client,
    Both,
    Either,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    const fn holds(self, size: u64, than: u64) -> bool {
        match self {
            Self::Equal => size == than,
            Self::NotEqual => size != than,
            Self::Less => size < than,
            Self::LessOrEqual => size <= than,
            Self::Greater => size > than,
            Self::GreaterOrEqual => size >= than,
        }
    }
}

#[derive(Debug)]
struct StreamSize {
    side: Side,
    comparison: Comparison,
    size: u64,
}

impl PacketTest for StreamSize {
    fn matches(&self, input: &Input<'_>) -> bool {
        let Some([client, server]) = input.flow.and_then(|flow| flow.stream_bytes) else { return false };
        let holds = |size| self.comparison.holds(size, self.size);
        match self.side {
            Side::Server => holds(server),
            Side::Client => holds(client),
            Side::Both => holds(client) && holds(server),
            Side::Either => holds(client) || holds(server),
        }
    }

    fn is_of_flow(&self) -> bool {
        true
    }
}

/// `server|client|both|either, OPERATOR, NUMBER`
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let mut parts = setting.value.list();
    let (Some(side), Some(comparison), Some(size), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Fault::new(setting.value.at, "expected a side, an operator and a number"));
    };
    let side = match side.text()? {
        "server" => Side::Server,
        "client" => Side::Client,
        "both" => Side::Both,
        "either" => Side::Either,
        other => {
            return Err(Fault::new(
                side.at,
                format!("expected server, client, both or either, found `{other}`"),
            ));
        }
    };
    let comparison = match comparison.text()? {
        "=" => Comparison::Equal,
        "!=" | "!" => Comparison::NotEqual,
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        other => return Err(Fault::new(comparison.at, format!("unknown operator `{other}`"))),
    };
    let size = size.number(0, u64::from(u32::MAX))?;
    draft.tests.push(Box::new(StreamSize { side, comparison, size }));
    Ok(())
}
