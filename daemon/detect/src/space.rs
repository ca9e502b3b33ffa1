//! The group language of addresses and ports: `any`, single things and ranges, `[groups]`, `!negation`
//! and `$VARIABLES`, nested at will.
//!
//! A group is what its plain members name (everything, where it has none) without what its negated
//! members name.

use std::collections::BTreeMap;

use crate::error::Fault;

/// How deep groups and variables may nest.
const DEPTH_MAX: usize = 32;

/// The things that a group text can name: addresses or ports.
pub(crate) trait Space: Sized + Clone {
    /// `address` or `port`.
    const KIND: &'static str;
    fn none() -> Self;
    fn all() -> Self;
    fn is_none(&self) -> bool;
    fn union(self, other: &Self) -> Self;
    fn minus(&self, other: &Self) -> Self;
    /// A single thing or a range.
    fn single(text: &str) -> Result<Self, String>;
}

/// What a group text names, and whether a `!` took part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named<S> {
    pub(crate) set: S,
    pub(crate) negated: bool,
}

/// Reads `text`, which stands at offset `at` of the rule.
pub(crate) fn parse<S: Space>(
    text: &str,
    at: usize,
    variables: &BTreeMap<String, String>,
) -> Result<Named<S>, Fault> {
    let mut reader = Reader { text, at: 0, variables, depth: 0, negated: false };
    let set = reader.whole().map_err(|fault| Fault::new(at + fault.at, fault.reason))?;
    Ok(Named { set, negated: reader.negated })
}

/// The union of all, in pairs, so that long lists take no more than n log n.
fn union_all<S: Space>(mut sets: Vec<S>) -> S {
    while sets.len() > 1 {
        let mut pairs = sets.into_iter();
        let mut merged = Vec::new();
        while let Some(set) = pairs.next() {
            merged.push(match pairs.next() {
                Some(other) => set.union(&other),
                None => set,
            });
        }
        sets = merged;
    }
    sets.pop().unwrap_or_else(S::none)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    variables: &'a BTreeMap<String, String>,
    depth: usize,
    negated: bool,
}

impl Reader<'_> {
    /// The whole text as one expression that names something.
    fn whole<S: Space>(&mut self) -> Result<S, Fault> {
        let (negative, set) = self.item::<S>()?;
        self.skip_space();
        if self.at < self.text.len() {
            return Err(Fault::new(
                self.at,
                format!("`{}` after the end of the {} group", self.rest(), S::KIND),
            ));
        }
        let set = if negative { S::all().minus(&set) } else { set };
        if set.is_none() { Err(Fault::new(0, format!("no {} is left", S::KIND))) } else { Ok(set) }
    }

    /// One member: its set as written after any `!`, and whether it is negated.
    fn item<S: Space>(&mut self) -> Result<(bool, S), Fault> {
        self.skip_space();
        let mut negative = false;
        while self.take(b'!') {
            negative = !negative;
            self.negated = true;
            self.skip_space();
        }
        let set = match self.rest().as_bytes().first() {
            Some(b'[') => self.list()?,
            Some(b'$') => self.variable()?,
            _ => self.plain()?,
        };
        Ok((negative, set))
    }

    fn list<S: Space>(&mut self) -> Result<S, Fault> {
        let start = self.at;
        self.enter(start)?;
        self.at += 1;
        let (mut plain, mut without) = (Vec::new(), Vec::new());
        loop {
            let (negative, set) = self.item::<S>()?;
            if negative {
                without.push(set)
            } else {
                plain.push(set)
            }
            self.skip_space();
            if self.take(b',') {
                continue;
            }
            if self.take(b']') {
                break;
            }
            let reason = if self.at >= self.text.len() {
                "`[` is not closed".to_owned()
            } else {
                format!("expected `,` or `]` before `{}`", self.rest())
            };
            return Err(Fault::new(if self.at >= self.text.len() { start } else { self.at }, reason));
        }
        self.depth -= 1;
        let plain = if plain.is_empty() { S::all() } else { union_all(plain) };
        let set = plain.minus(&union_all(without));
        if set.is_none() {
            Err(Fault::new(start, format!("no {} is left in the group", S::KIND)))
        } else {
            Ok(set)
        }
    }

    fn variable<S: Space>(&mut self) -> Result<S, Fault> {
        let start = self.at;
        self.at += 1;
        let name = self.until(|byte| !(byte.is_ascii_alphanumeric() || byte == b'_'));
        let kind = S::KIND;
        let Some(value) = self.variables.get(name) else {
            return Err(Fault::new(start, format!("{kind} variable `${name}` is not defined")));
        };
        self.enter(start)?;
        let mut inner = Reader {
            text: value.trim(),
            at: 0,
            variables: self.variables,
            depth: self.depth,
            negated: false,
        };
        let set = inner.whole().map_err(|fault| {
            let reason = if fault.reason.starts_with("in `$") || fault.reason.contains("nested more than") {
                fault.reason
            } else {
                format!("in `${name}`, `{value}`: {}", fault.reason)
            };
            Fault::new(start, reason)
        })?;
        self.negated |= inner.negated;
        self.depth -= 1;
        Ok(set)
    }

    fn plain<S: Space>(&mut self) -> Result<S, Fault> {
        let start = self.at;
        let word = self.until(|byte| matches!(byte, b',' | b']' | b'[' | b'!' | b'$')).trim_end();
        match word {
            "" => {
                Err(Fault::new(start, format!("expected a {}", S::KIND).replace("a address", "an address")))
            }
            "any" => Ok(S::all()),
            word => S::single(word).map_err(|reason| Fault::new(start, reason)),
        }
    }

    fn enter(&mut self, at: usize) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Fault::new(at, format!("groups or variables nested more than {DEPTH_MAX} deep")));
        }
        Ok(())
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.rest().as_bytes().first() == Some(&byte);
        self.at += usize::from(found);
        found
    }
}

impl<'a> Reader<'a> {
    /// Text up to the first byte that `ends` it.
    fn until(&mut self, ends: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.bytes().position(ends).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }
}
