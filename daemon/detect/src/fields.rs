//! Options whose value is a list of named fields: `type limit, track by_src, count 1, seconds 60`.

use crate::error::Fault;
use crate::syntax::Value;
use portcullis_host::COUNT_MAX;

use crate::host::Track;

/// Named fields, each with its place. A comma within brackets does not end a field.
pub(crate) struct Fields<'a> {
    /// Where the option stands, for what is missing.
    at: usize,
    fields: Vec<(Value<'a>, Value<'a>)>,
}

impl<'a> Fields<'a> {
    /// Reads the fields of `value`, of which `known` lists all that there may be.
    pub(crate) fn read(at: usize, value: Value<'a>, known: &[&str]) -> Result<Self, Fault> {
        let mut fields: Vec<(Value<'a>, Value<'a>)> = Vec::new();
        for field in split(value) {
            let end = field.bytes.iter().position(u8::is_ascii_whitespace).unwrap_or(field.bytes.len());
            let (name, rest) = field.bytes.split_at(end);
            let name = Value { at: field.at, bytes: name };
            let blanks = rest.len() - rest.trim_ascii_start().len();
            let rest = Value { at: field.at + end + blanks, bytes: rest.trim_ascii() };
            let text = name.text()?;
            if !known.contains(&text) {
                let expected = known.join(", ");
                if text.is_empty() {
                    return Err(Fault::new(name.at, format!("expected one of: {expected}")));
                }
                return Err(Fault::new(
                    name.at,
                    format!("unknown field `{text}`, expected one of: {expected}"),
                ));
            }
            if rest.bytes.is_empty() {
                return Err(Fault::new(name.at, format!("`{text}` needs a value")));
            }
            if fields.iter().any(|(other, _)| other.bytes == name.bytes) {
                return Err(Fault::new(name.at, format!("`{text}` is given twice")));
            }
            fields.push((name, rest));
        }
        Ok(Self { at, fields })
    }

    /// The value of a field, if it is given.
    pub(crate) fn optional(&self, name: &str) -> Option<Value<'a>> {
        let mut fields = self.fields.iter();
        fields.find(|(other, _)| other.bytes == name.as_bytes()).map(|(_, value)| *value)
    }

    /// The value of a field that must be given.
    pub(crate) fn required(&self, name: &str) -> Result<Value<'a>, Fault> {
        self.optional(name).ok_or_else(|| Fault::new(self.at, format!("`{name}` is missing")))
    }

    /// `count N`
    pub(crate) fn count(&self) -> Result<u32, Fault> {
        self.required("count")?.number(1, COUNT_MAX)
    }

    /// A number of seconds.
    pub(crate) fn seconds(&self, name: &str) -> Result<u32, Fault> {
        self.required(name)?.number(1, u32::MAX)
    }

    /// `track by_…`
    pub(crate) fn track(&self) -> Result<Track, Fault> {
        let value = self.required("track")?;
        match value.text()? {
            "by_src" => Ok(Track::Source),
            "by_dst" => Ok(Track::Destination),
            "by_both" => Ok(Track::Both),
            "by_rule" => Ok(Track::Rule),
            "by_flow" => Ok(Track::Flow),
            other => {
                let expected = "by_src, by_dst, by_both, by_rule or by_flow";
                Err(Fault::new(value.at, format!("expected {expected}, found `{other}`")))
            }
        }
    }
}

/// The parts of `value` between commas that are not within brackets, trimmed; empty ones, too.
fn split(value: Value<'_>) -> impl Iterator<Item = Value<'_>> {
    let mut depth = 0_u32;
    let mut start = 0;
    value
        .bytes
        .split(move |byte| {
            match byte {
                b'[' => depth += 1,
                b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            *byte == b',' && depth == 0
        })
        .map(move |part| {
            let blanks = part.len() - part.trim_ascii_start().len();
            let field = Value { at: value.at + start + blanks, bytes: part.trim_ascii() };
            start += part.len() + 1;
            field
        })
}
