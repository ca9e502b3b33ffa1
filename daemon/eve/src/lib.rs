//! EVE JSON: the only crate that writes records as JSON.
//!
//! - [`options`]: what is logged of each kind of record, with the defaults of the shipped
//!   `suricata.yaml`
//! - [`formatter`]: [`Formatter`], from a record to a line with Suricata's exact keys
//! - [`sink`]: where lines go: a trait, and the file
//! - [`logger`]: the thread that empties the workers' rings into a sink
//!
//! Invariants: a line is always one valid JSON object, whatever bytes a rule or a packet holds;
//! formatting a record allocates nothing but what the output buffer grows by; a sink that fails
//! is retried and counted, and never stops the reading of the rings.
#![forbid(unsafe_code)]

mod clock;
mod community_id;
pub mod formatter;
mod json;
pub mod logger;
pub mod options;
mod protocol;
pub mod sink;
mod value;
mod writer;

pub use clock::printed;
pub use formatter::Formatter;
pub use logger::{LogCounts, LoggerError, LoggerHandle, LoggerThread};
pub use options::{AlertOptions, DropFlows, DropOptions, EveOptions, EventTypes};
pub use sink::{FileSink, OpenError, Opener, Sink};
