//! From the text of rule files to rules, with everything that is wrong on the way.

use hashbrown::hash_map::{Entry, HashMap};

use portcullis_host::BitName;

use crate::draft::Draft;
use crate::error::{Fault, RuleError, extent, printable};
use crate::header::{self, AddressPool};
use crate::keywords;
use crate::lines::{LogicalLine, disabled, logical_lines};
use crate::rule::{FlowName, Rule};
use crate::ruleset::{LoadOptions, Source};
use crate::signature::Signature;
use crate::syntax::{self, RawRule};

/// What reading the files gave, rules in the order of the files.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) rules: Vec<(Signature, Rule)>,
    pub(crate) errors: Vec<RuleError>,
    /// Rules with at least one error.
    pub(crate) refused: usize,
    /// Rules that are commented out.
    pub(crate) disabled: usize,
}

/// Reads all files.
pub(crate) fn read(sources: &[Source<'_>], options: &LoadOptions) -> Found {
    let mut loader = Loader {
        options,
        pool: AddressPool::default(),
        seen: HashMap::new(),
        bits: HashMap::new(),
        host_bits: HashMap::new(),
    };
    let mut found = Found::default();
    for source in sources {
        found.disabled += disabled(source.text);
        for line in logical_lines(source.text) {
            match loader.rule(source.name, &line) {
                Ok(rule) => found.rules.push(rule),
                Err(errors) => {
                    found.errors.extend(errors);
                    found.refused += 1;
                }
            }
        }
    }
    found
}

struct Loader<'a> {
    options: &'a LoadOptions,
    pool: AddressPool,
    /// Where each `gid` and `sid` was first used.
    seen: HashMap<(u32, u32), (String, usize)>,
    /// Names of the flows' bits and numbers in use.
    bits: HashMap<FlowName, Vec<u8>>,
    /// The same of hosts' bits.
    host_bits: HashMap<BitName, Vec<u8>>,
}

/// A fault and the number of the option it is in, if it is in one.
type Placed = (Option<usize>, Fault);

impl Loader<'_> {
    /// Reads one rule; all that is wrong with it, if anything is.
    fn rule(&mut self, file: &str, line: &LogicalLine) -> Result<(Signature, Rule), Vec<RuleError>> {
        let cut = syntax::cut(&line.text);
        let raw = match &cut {
            Ok(raw) => raw,
            Err(fault) => return Err(vec![report(file, line, None, &(None, fault.clone()))]),
        };
        self.parse(file, line, raw)
            .map_err(|faults| faults.iter().map(|fault| report(file, line, Some(raw), fault)).collect())
    }

    fn parse(
        &mut self,
        file: &str,
        line: &LogicalLine,
        raw: &RawRule<'_>,
    ) -> Result<(Signature, Rule), Vec<Placed>> {
        let mut faults: Vec<Placed> = Vec::new();
        let header = header::parse(&raw.header, self.options, &mut self.pool)
            .map_err(|fault| faults.push((None, fault)))
            .ok();
        let mut draft = Draft::default();
        for (index, option) in raw.options.iter().enumerate() {
            if let Err(fault) = keywords::apply(&mut draft, option)
                && (faults.is_empty() || !fault.follows)
            {
                faults.push((Some(index), fault));
            }
        }
        let Some(header) = header.filter(|_| faults.is_empty()) else { return Err(faults) };
        self.know_bits(&draft).map_err(|fault| vec![(None, fault)])?;
        let end = line.text.trim_ascii_end().len().saturating_sub(1);
        let (signature, rule) =
            draft.finish(header, end, self.options).map_err(|fault| vec![(None, fault)])?;
        match self.seen.entry((signature.gid, signature.sid)) {
            Entry::Occupied(first) => {
                let (file, line) = first.get();
                let reason = format!("sid {} is already used at {file}:{line}", signature.sid);
                let sid = raw.options.iter().position(|option| option.name == "sid");
                let at = sid.and_then(|index| raw.options.get(index)).map_or(0, |option| option.at);
                Err(vec![(sid, Fault::new(at, reason))])
            }
            Entry::Vacant(entry) => {
                entry.insert((file.to_owned(), line.place(0).0));
                Ok((signature, rule))
            }
        }
    }

    /// Sees that no bit is taken for another.
    fn know_bits(&mut self, draft: &Draft) -> Result<(), Fault> {
        let twice =
            |at: usize| Fault::new(at, "this name cannot be told from that of another bit: choose another");
        for (at, bit, name) in &draft.flow_names {
            if *self.bits.entry(*bit).or_insert_with(|| name.clone()) != *name {
                return Err(twice(*at));
            }
        }
        for (at, bit, name) in &draft.host_names {
            if *self.host_bits.entry(*bit).or_insert_with(|| name.clone()) != *name {
                return Err(twice(*at));
            }
        }
        Ok(())
    }
}

fn report(file: &str, line: &LogicalLine, raw: Option<&RawRule<'_>>, (option, fault): &Placed) -> RuleError {
    let (number, column) = line.place(fault.at);
    let text = line.physical(fault.at);
    let options = raw.map_or(&[][..], |raw| &raw.options);
    let sid = options.iter().find(|option| option.name == "sid").and_then(|option| option.value);
    RuleError {
        file: file.to_owned(),
        line: number,
        column,
        length: extent(text, column - 1),
        reason: fault.reason.clone(),
        help: fault.help.clone(),
        keyword: option.and_then(|index| options.get(index)).map(|option| option.name.to_owned()),
        sid: sid.and_then(|value| value.number(1, u32::MAX).ok()),
        text: printable(text),
    }
}
