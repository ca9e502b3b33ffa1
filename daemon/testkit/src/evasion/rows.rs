//! The matrix.

use super::segment::{Segment, Step, Text, Wire};
use super::{fields, published, strategies, streams};

type Make = Box<dyn Fn(&Wire, &Text) -> Vec<Step>>;

/// One evasion.
pub struct Row {
    /// Its name, the family first.
    pub name: String,
    legal: bool,
    /// Is it not legal in a session with timestamps?
    unstamped: bool,
    /// Does it open the session itself?
    pub opens: bool,
    version: Option<u8>,
    make: Make,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Row {
    pub(super) fn new(name: impl Into<String>, make: impl Fn(&Wire, &Text) -> Vec<Step> + 'static) -> Self {
        Self {
            name: name.into(),
            legal: false,
            unstamped: false,
            opens: false,
            version: None,
            make: Box::new(make),
        }
    }

    pub(super) fn legal(self) -> Self {
        Self { legal: true, ..self }
    }

    pub(super) fn unstamped(self) -> Self {
        Self { unstamped: true, ..self }
    }

    pub(super) fn opens(self) -> Self {
        Self { opens: true, ..self }
    }

    pub(super) fn only(self, version: u8) -> Self {
        Self { version: Some(version), ..self }
    }

    /// Does every host take what it sends, each byte in its place? Then an inspector that finds nothing in
    /// it may not change anything either.
    #[must_use]
    pub const fn is_legal(&self, wire: &Wire) -> bool {
        self.legal && !(self.unstamped && wire.timestamps)
    }

    /// Is it one for this session?
    #[must_use]
    pub fn suits(&self, wire: &Wire) -> bool {
        self.version.is_none_or(|version| (version == 6) == wire.is_v6())
    }

    /// What the attacker does, the handshake not included where the row does not open.
    #[must_use]
    pub fn steps(&self, wire: &Wire, text: &Text) -> Vec<Step> {
        (self.make)(wire, text)
    }
}

/// Every row, the same and in the same order each time.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = streams::rows();
    rows.extend(strategies::rows());
    rows.extend(fields::rows());
    rows.extend(published::rows());
    rows
}

/// Sends these.
pub(super) fn send(wire: &Wire, segments: &[Segment]) -> Vec<Step> {
    segments.iter().map(|segment| Step::Send(segment.frame(wire))).collect()
}
