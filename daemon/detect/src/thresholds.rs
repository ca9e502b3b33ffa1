//! `threshold.config`: what is said about rules outside of them.

use std::sync::Arc;

use portcullis_host::{Limit, LimitKind};

use crate::error::{Fault, RuleError, extent, printable};
use crate::fields::Fields;
use crate::host::{Filter, HostNeeds, Suppress};
use crate::keywords::threshold;
use crate::lines::{LogicalLine, logical_lines};
use crate::ruleset::{LoadOptions, Source};
use crate::signature::{Action, Signature};
use crate::space;
use crate::syntax::Value;

/// Most rate filters for one rule: each has a count of its own.
const RATES_MAX: usize = 16;

/// What `threshold`, `event_filter`, `rate_filter` and `suppress` lines say about rules, for
/// [`LoadOptions::thresholds`].
#[derive(Clone, Debug, Default)]
pub struct Thresholds {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    /// Where it stands: file, line, column.
    place: (Arc<str>, usize, usize),
    /// 0 for any.
    gid: u32,
    /// 0 for any.
    sid: u32,
    says: Says,
}

#[derive(Clone, Debug)]
enum Says {
    Threshold(Filter),
    Rate(Filter, Action),
    Suppress(Suppress),
}

impl Thresholds {
    /// Reads the lines of a threshold file; a line may go on in the next after a backslash, `#` begins a
    /// comment line. Address variables are those of `options`. What cannot be read is reported; the rest is
    /// kept.
    #[must_use]
    pub fn parse(source: &Source<'_>, options: &LoadOptions) -> (Self, Vec<RuleError>) {
        let file: Arc<str> = Arc::from(source.name);
        let (mut entries, mut errors) = (Vec::new(), Vec::new());
        for line in logical_lines(source.text) {
            match read(&line, options) {
                Ok((gid, sid, says)) => {
                    let (number, column) = line.place(0);
                    entries.push(Entry { place: (Arc::clone(&file), number, column), gid, sid, says });
                }
                Err(fault) => {
                    let (number, column) = line.place(fault.at);
                    let file = source.name.to_owned();
                    let text = line.physical(fault.at);
                    errors.push(RuleError {
                        file,
                        line: number,
                        column,
                        length: extent(text, column - 1),
                        reason: fault.reason,
                        text: printable(text),
                        ..RuleError::default()
                    });
                }
            }
        }
        (Self { entries }, errors)
    }

    /// How many lines say something.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Do none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Has a rule's needs changed by what is said about it. A threshold for one rule takes the place of the
    /// rule's own; one for many leaves those that rules have.
    pub(crate) fn apply<'r>(
        &self,
        rules: impl Iterator<Item = (&'r Signature, &'r mut HostNeeds)>,
    ) -> Vec<RuleError> {
        let mut used = vec![false; self.entries.len()];
        let mut too_many = None;
        for (signature, needs) in rules {
            let mut own = needs.filter.is_some();
            for (entry, used) in self.entries.iter().zip(&mut used) {
                if !entry.is_about(signature) {
                    continue;
                }
                *used = true;
                match &entry.says {
                    Says::Threshold(filter) if entry.sid != 0 || !own => {
                        needs.filter = Some(*filter);
                        own |= entry.sid != 0;
                    }
                    Says::Threshold(_) => {}
                    Says::Rate(filter, action) if needs.rates.len() < RATES_MAX => {
                        needs.rates.push((*filter, *action));
                    }
                    Says::Rate(..) => too_many = Some(entry),
                    Says::Suppress(suppress) => needs.suppress.push(suppress.clone()),
                }
            }
        }
        let unused = self.entries.iter().zip(used).filter(|(_, used)| !used).map(|(entry, _)| {
            let rules = match (entry.gid, entry.sid) {
                (_, 0) => format!("no rule has gid {}", entry.gid),
                (gid, sid) => format!("no rule has gid {gid} and sid {sid}"),
            };
            entry.remark(format!("{rules}: the line has no effect"))
        });
        let more = format!("a rule has more than {RATES_MAX} rate filters: this one has no effect there");
        unused.chain(too_many.map(|entry| entry.remark(more))).collect()
    }
}

impl Entry {
    fn is_about(&self, signature: &Signature) -> bool {
        (self.gid == 0 || self.gid == signature.gid) && (self.sid == 0 || self.sid == signature.sid)
    }

    fn remark(&self, reason: String) -> RuleError {
        let (file, line, column) = &self.place;
        RuleError { file: file.to_string(), line: *line, column: *column, reason, ..RuleError::default() }
    }
}

/// One line: `COMMAND gen_id N, sig_id N, …`.
fn read(line: &LogicalLine, options: &LoadOptions) -> Result<(u32, u32, Says), Fault> {
    let blanks = line.text.len() - line.text.trim_ascii_start().len();
    let whole = Value { at: blanks, bytes: line.text.trim_ascii() };
    let end = whole.bytes.iter().position(u8::is_ascii_whitespace).unwrap_or(whole.bytes.len());
    let (command, rest) = whole.bytes.split_at(end);
    let command = Value { at: whole.at, bytes: command }.text()?;
    let gap = rest.len() - rest.trim_ascii_start().len();
    let rest = Value { at: whole.at + end + gap, bytes: rest.trim_ascii() };
    let fields = |known: &[&str]| {
        let known = [&["gen_id", "sig_id"], known].concat();
        Fields::read(whole.at, rest, &known)
    };
    let (fields, says) = match command {
        "threshold" | "event_filter" => {
            let fields = fields(&threshold::FIELDS)?;
            let filter = threshold::filter(&fields)?;
            (fields, Says::Threshold(filter))
        }
        "rate_filter" => {
            let fields = fields(&["track", "count", "seconds", "new_action", "timeout"])?;
            let (filter, action) = rate(&fields)?;
            (fields, Says::Rate(filter, action))
        }
        "suppress" => {
            let fields = fields(&["track", "ip"])?;
            let suppress = suppress(&fields, options)?;
            (fields, Says::Suppress(suppress))
        }
        other => {
            let reason =
                format!("expected threshold, event_filter, rate_filter or suppress, found `{other}`");
            return Err(Fault::new(whole.at, reason));
        }
    };
    let (gid, sid) = (fields.required("gen_id")?, fields.required("sig_id")?);
    let (gid_at, gid) = (gid.at, gid.number(0, u32::MAX)?);
    let sid = sid.number(0, u32::MAX)?;
    if gid == 0 && sid != 0 {
        return Err(Fault::new(gid_at, "`gen_id 0` means all rules and goes with `sig_id 0` only"));
    }
    Ok((gid, sid, says))
}

fn rate(fields: &Fields<'_>) -> Result<(Filter, Action), Fault> {
    let value = fields.required("new_action")?;
    let action = match value.text()? {
        "alert" => Action::Alert,
        "drop" => Action::Drop,
        "pass" => Action::Pass,
        "reject" => Action::Reject,
        other => {
            let reason = format!("expected alert, drop, pass or reject, found `{other}`");
            return Err(Fault::new(value.at, reason));
        }
    };
    let kind = LimitKind::Rate { timeout: fields.seconds("timeout")? };
    let limit = Limit { kind, count: fields.count()?, seconds: fields.seconds("seconds")? };
    Ok((Filter { track: fields.track()?, limit, distinct: None }, action))
}

fn suppress(fields: &Fields<'_>, options: &LoadOptions) -> Result<Suppress, Fault> {
    let (track, ip) = match (fields.optional("track"), fields.optional("ip")) {
        (None, None) => return Ok(Suppress::All),
        (Some(track), Some(ip)) => (track, ip),
        (Some(track), None) => return Err(Fault::new(track.at, "`track` needs an `ip`")),
        (None, Some(ip)) => return Err(Fault::new(ip.at, "`ip` needs a `track`")),
    };
    let (source, destination) = match track.text()? {
        "by_src" => (true, false),
        "by_dst" => (false, true),
        "by_either" => (true, true),
        other => {
            return Err(Fault::new(
                track.at,
                format!("expected by_src, by_dst or by_either, found `{other}`"),
            ));
        }
    };
    let named = space::parse(ip.text()?, ip.at, &options.address_groups)?;
    Ok(Suppress::Hosts { source, destination, addresses: Arc::new(named.set) })
}

#[cfg(test)]
mod tests;
