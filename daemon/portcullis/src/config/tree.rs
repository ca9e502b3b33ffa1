//! The settings as written, before any meaning: a tree of values that know where they came from,
//! the file or a `--set`. Overrides replace what the file says at the same dotted name.

use super::diagnostic::{Diagnostic, Place};
use std::collections::BTreeMap;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// Most levels of a dotted override name; the deepest real setting has four.
const MAX_DEPTH: usize = 16;

/// A table's entries by name.
pub(crate) type Table = BTreeMap<String, Entry>;

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Where the key stands.
    pub(crate) key: Place,
    /// The value.
    pub(crate) node: Node,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// A value as TOML has it.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    String(String),
    Integer(i64),
    Boolean(bool),
    /// A float, a date or an integer beyond 64 bits, as written: no setting takes one as such.
    Other(&'static str, String),
    Array(Vec<Node>),
    Table(Table),
}

impl Value {
    /// What it is, for messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::String(text) => format!("the string {text:?}"),
            Self::Integer(number) => format!("the number {number}"),
            Self::Boolean(value) => format!("{value}"),
            Self::Other(kind, text) => format!("the {kind} {text}"),
            Self::Array(_) => "an array".to_owned(),
            Self::Table(_) => "a table".to_owned(),
        }
    }
}

/// Parses a whole file.
pub(crate) fn parse_file(text: &str) -> Result<Table, Box<Diagnostic>> {
    match DeTable::parse(text) {
        Ok(table) => Ok(convert_table(table.get_ref(), &Place::File)),
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            Err(Box::new(Diagnostic::error(error.message().replace('\n', ", "), Place::File(span))))
        }
    }
}

/// Applies override number `index`, `KEY=VALUE`, to the tree.
pub(crate) fn apply_override(root: &mut Table, index: usize, text: &str) -> Result<(), Box<Diagnostic>> {
    let fail = |message: &str, range: Range<usize>| {
        Err(Box::new(Diagnostic::error(message.to_owned(), Place::Override(index, range))))
    };
    let Some(split) = text.find('=') else {
        return fail("an override is KEY=VALUE, and this has no `=`", 0..text.len());
    };
    let key_range = 0..split;
    let segments: Vec<&str> = text[key_range.clone()].split('.').map(str::trim).collect();
    if segments.iter().any(|segment| segment.is_empty()) {
        return fail("the name before `=` is empty or has an empty part", key_range);
    }
    if segments.len() > MAX_DEPTH {
        return fail("the name before `=` has too many parts", key_range);
    }
    let key = Place::Override(index, key_range.clone());
    let mut table = root;
    let (last, parents) = segments.split_last().unwrap_or((&"", &[]));
    for segment in parents {
        let entry = table.entry((*segment).to_owned()).or_insert_with(|| Entry {
            key: key.clone(),
            node: Node { value: Value::Table(Table::new()), place: key.clone() },
        });
        match &mut entry.node.value {
            Value::Table(inner) => table = inner,
            other => {
                let message = format!("`{segment}` is {} in the file and has no parts", other.describe());
                return fail(&message, key_range);
            }
        }
    }
    let node = override_value(index, text, split + 1);
    table.insert((*last).to_owned(), Entry { key, node });
    Ok(())
}

/// Reads an override's value: TOML where it is TOML, else a plain string.
fn override_value(index: usize, text: &str, start: usize) -> Node {
    let tail = &text[start..];
    let raw = tail.trim();
    let start = start + (tail.len() - tail.trim_start().len());
    let whole = Place::Override(index, start..start + raw.len());
    let place = |range: Range<usize>| Place::Override(index, range.start + start..range.end + start);
    match DeValue::parse(raw) {
        Ok(value) => Node { value: convert(value.get_ref(), &place), place: whole },
        Err(_) => Node { value: Value::String(raw.to_owned()), place: whole },
    }
}

fn convert_table(table: &DeTable<'_>, place: &dyn Fn(Range<usize>) -> Place) -> Table {
    let entry = |key: Place, node| Entry { key, node };
    let pairs = table.iter().map(|(key, value)| {
        let node = Node { value: convert(value.get_ref(), place), place: place(value.span()) };
        (key.get_ref().to_string(), entry(place(key.span()), node))
    });
    pairs.collect()
}

fn convert(value: &DeValue<'_>, place: &dyn Fn(Range<usize>) -> Place) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Other("number", number.to_string()),
        },
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Float(number) => Value::Other("number", number.as_str().to_owned()),
        DeValue::Datetime(date) => Value::Other("date", date.to_string()),
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| Node { value: convert(item.get_ref(), place), place: place(item.span()) })
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(convert_table(table, place)),
    }
}
