//! Messages of the protocol. A client says which version it speaks, is told whether that is known,
//! and then sends commands; each gets an answer. Messages are JSON objects. Ours end in a newline;
//! those of a client are taken when they are whole, because `suricatasc` leaves the newline out of
//! its first.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The protocol versions that are answered: 0.1 had no newlines, the rest is the same.
const VERSIONS: [&str; 2] = ["0.1", "0.2"];

/// The version that our client speaks.
pub(crate) const OUR_VERSION: &str = "0.2";

/// Longest message of a client, in bytes. Commands are short.
pub(crate) const MAX_REQUEST: usize = 64 << 10;

/// The first message of a client.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) version: String,
}

impl Hello {
    pub(crate) fn is_known(&self) -> bool {
        VERSIONS.contains(&self.version.as_str())
    }
}

/// Every further message of a client.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) command: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(crate) arguments: Value,
}

/// Did it work?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Yes.
    #[serde(rename = "OK")]
    Ok,
    /// No; the message says why.
    #[serde(rename = "NOK")]
    Refused,
}

/// The answer to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Did it work?
    #[serde(rename = "return")]
    pub outcome: Outcome,
    /// What was asked for, or why it was refused.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub message: Value,
}

impl Reply {
    pub(crate) fn ok(message: impl Into<Value>) -> Self {
        Self { outcome: Outcome::Ok, message: message.into() }
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { outcome: Outcome::Refused, message: Value::String(message.into()) }
    }

    /// The message as bytes on the socket.
    pub(crate) fn line(&self) -> Vec<u8> {
        line(self)
    }
}

/// Any message as a line.
pub(crate) fn line(message: &impl Serialize) -> Vec<u8> {
    // None of the messages has a map with keys that are not strings, the only thing that fails.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

/// What the bytes received so far begin with.
pub(crate) enum Framed {
    /// A whole message, and how many bytes it took.
    Message(Value, usize),
    /// The beginning of one.
    Partial,
    /// No JSON.
    Garbage(String),
}

/// Finds the first message in `bytes`.
pub(crate) fn frame(bytes: &[u8]) -> Framed {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    match values.next() {
        None => Framed::Partial,
        Some(Ok(value)) => Framed::Message(value, values.byte_offset()),
        Some(Err(error)) if error.is_eof() => Framed::Partial,
        Some(Err(error)) => Framed::Garbage(error.to_string()),
    }
}

/// Counters with dotted names as the nested objects that stats records have.
pub(crate) fn nested(counters: &BTreeMap<String, u64>) -> Value {
    let mut root = serde_json::Map::new();
    for (name, value) in counters {
        let mut table = &mut root;
        let (parents, last) = name.rsplit_once('.').map_or((None, name.as_str()), |(p, l)| (Some(p), l));
        for part in parents.into_iter().flat_map(|parents| parents.split('.')) {
            let slot = table.entry(part).or_insert_with(|| Value::Object(serde_json::Map::new()));
            if !slot.is_object() {
                *slot = Value::Object(serde_json::Map::new());
            }
            let Value::Object(inner) = slot else { return Value::Null };
            table = inner;
        }
        table.insert(last.to_owned(), Value::from(*value));
    }
    Value::Object(root)
}
