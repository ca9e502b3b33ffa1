//! Which function of ours instructions belong to, also where the compiler put it into others: the innermost one on
//! the way from the address out whose source is in this workspace.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::callgrind::Executed;

/// A function, by its source file (from the root of the workspace, or the crate that it is of) and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    /// `daemon/flow/src/track.rs`; `rtrb` for a crate that is not ours; `std`; `other` for what is unknown.
    pub(crate) source: String,
    /// Without its generic arguments.
    pub(crate) function: String,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.source, self.function)
    }
}

/// What was executed, by function. What no code of the program is answerable for is `other`.
pub(crate) fn by_place(executed: &Executed, program: &Path, root: &Path) -> Result<BTreeMap<Place, u64>> {
    let places = resolve(executed, program, root)?;
    let mut found = BTreeMap::new();
    let mut rest = executed.total;
    for (address, count) in &executed.by_address {
        let place = places.get(address).cloned().unwrap_or_else(unknown);
        *found.entry(place).or_default() += *count;
        rest = rest.saturating_sub(*count);
    }
    if rest > 0 {
        *found.entry(unknown()).or_default() += rest;
    }
    Ok(found)
}

fn unknown() -> Place {
    Place { source: "other".to_owned(), function: String::new() }
}

/// Asks addr2line, which comes with the linker, for every address.
fn resolve(executed: &Executed, program: &Path, root: &Path) -> Result<HashMap<u64, Place>> {
    let mut addresses = tempfile::NamedTempFile::new().context("cannot make a temporary file")?;
    for address in executed.by_address.keys() {
        writeln!(addresses, "{address:#x}")?;
    }
    let mut command = Command::new("addr2line");
    command.args(["--addresses", "--inlines", "--functions", "--demangle", "--exe"]).arg(program);
    let output = command.stdin(File::open(addresses.path())?).stderr(Stdio::inherit()).output();
    let output = output.context("cannot start addr2line (`cargo xtask setup` installs what is missing)")?;
    ensure!(output.status.success(), "addr2line failed");
    Ok(read(&String::from_utf8_lossy(&output.stdout), root))
}

/// For each address its line, then for each function around it, from the inside out, its name and its file.
fn read(text: &str, root: &Path) -> HashMap<u64, Place> {
    let mut places = HashMap::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(address) = line.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok()) else {
            continue;
        };
        let mut frames = Vec::new();
        while let Some(function) = lines.next_if(|line| !line.starts_with("0x")) {
            frames.push((function, lines.next().unwrap_or("")));
        }
        places.insert(address, innermost_of_ours(&frames, root));
    }
    places
}

fn innermost_of_ours(frames: &[(&str, &str)], root: &Path) -> Place {
    let sources: Vec<(&str, Source<'_>)> =
        frames.iter().map(|(function, file)| (*function, Source::of(file, root))).collect();
    let ours = sources.iter().find(|(_, source)| matches!(source, Source::Ours(_)));
    let theirs = || sources.iter().find(|(_, source)| matches!(source, Source::Crate(_)));
    match ours.or_else(theirs).or_else(|| sources.first()) {
        Some((function, Source::Ours(name) | Source::Crate(name))) => {
            Place { source: (*name).to_owned(), function: plain_name(function) }
        }
        Some((function, Source::Std)) => Place { source: "std".to_owned(), function: plain_name(function) },
        Some((_, Source::Unknown)) | None => unknown(),
    }
}

/// Where code is from.
enum Source<'a> {
    Ours(&'a str),
    Crate(&'a str),
    Std,
    Unknown,
}

impl<'a> Source<'a> {
    fn of(file: &'a str, root: &Path) -> Self {
        let (file, _line) = file.rsplit_once(':').unwrap_or((file, ""));
        let in_root = Path::new(file).strip_prefix(root).ok().and_then(Path::to_str);
        if let Some((_, rest)) = file.split_once("/registry/src/") {
            // The registry's folder, the crate's with its version, the file.
            let name = rest.split('/').nth(1).unwrap_or("");
            Self::Crate(name.rsplit_once('-').map_or(name, |(name, _version)| name))
        } else if let Some(file) = in_root {
            Self::Ours(file)
        } else if file.contains("/library/") {
            Self::Std
        } else {
            Self::Unknown
        }
    }
}

/// A function's name without arguments, generic ones and parts of impls: `track` of
/// `portcullis_flow::track::<impl portcullis_flow::table::FlowTable>::track`.
fn plain_name(name: &str) -> String {
    let mut plain = String::new();
    let mut depth = 0_u32;
    for letter in name.chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(letter),
            _ => {}
        }
    }
    let parts: Vec<&str> = plain.split("::").filter(|part| !part.is_empty()).collect();
    // A closure is known by what it is in.
    let kept = parts.iter().rposition(|part| !part.starts_with('{')).unwrap_or(0);
    parts.get(kept..).unwrap_or(&[]).join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(frames: &[(&str, &str)], expected: &str) {
        assert_eq!(innermost_of_ours(frames, Path::new("/home/x/portcullis")).to_string(), expected);
    }

    #[test]
    fn the_innermost_function_of_ours() {
        let (ours, outer) =
            ("/home/x/portcullis/daemon/flow/src/track.rs:7", "/home/x/portcullis/daemon/a/b.rs:1");
        let (theirs, std) =
            ("/y/registry/src/index-1/rtrb-0.4.1/src/lib.rs:3", "/rustc/1/library/core/src/x.rs:9");
        check(&[("add", std), ("track<T>", ours), ("work", outer)], "daemon/flow/src/track.rs track");
        check(&[("add", std), ("pop", theirs)], "rtrb pop");
        check(&[("core::str::check", std)], "std check");
        check(&[("??", "??:0")], "other ");
        check(&[("??", "??:?"), ("a::b::{closure#0}", ours)], "daemon/flow/src/track.rs b::{closure#0}");
    }

    #[test]
    fn names_are_plain() {
        assert_eq!(plain_name("a::track::<impl b::Table<c::D>>::track"), "track");
        assert_eq!(plain_name("<a::B as c::D>::e"), "e");
    }

    #[test]
    fn addresses_have_functions_around_them() {
        let text = "0x0000000000001000\nadd\n/rustc/1/library/core/x.rs:1\nb\n/r/daemon/x.rs:2\n0x1004\nc\n/r/y.rs:1\n";
        let places = read(text, Path::new("/r"));
        assert_eq!(places[&0x1000].to_string(), "daemon/x.rs b");
        assert_eq!(places[&0x1004].to_string(), "y.rs c");
    }
}
