//! Runs a program under callgrind and reads what it counted: instructions by the address of the program's code.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// What one thread executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Executed {
    /// By address within the program; what a library's function took is its caller's.
    pub(crate) by_address: HashMap<u64, u64>,
    /// All of them, also those of libraries that no code of the program called.
    pub(crate) total: u64,
}

/// Which of a program's instructions are counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counted<'a> {
    /// Those within a function (a pattern), and what it calls.
    Within(&'a str),
    /// All, apart by thread, in the order in which these were started.
    Threads,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Run {
    /// What the program wrote to standard output.
    pub(crate) output: String,
    /// What it executed, by thread.
    pub(crate) threads: Vec<Executed>,
}

/// Runs `program`, which says how it is started, to its end.
pub(crate) fn run(program: &Path, arguments: &[&str], counted: Counted<'_>) -> Result<Run> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let out = folder.path().join("counts");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--dump-instr=yes", "--compress-strings=no", "--compress-pos=no"]);
    valgrind.arg(format!("--callgrind-out-file={}", out.display()));
    match counted {
        Counted::Within(pattern) => {
            valgrind.arg("--collect-atstart=no").arg(format!("--toggle-collect={pattern}"));
        }
        Counted::Threads => {
            valgrind.arg("--separate-threads=yes");
        }
    }
    let finished = valgrind.arg(program).args(arguments).output();
    let finished =
        finished.context("cannot start valgrind (`cargo xtask setup` installs what is missing)")?;
    let said = String::from_utf8_lossy(&finished.stderr);
    ensure!(finished.status.success(), "{} failed under valgrind: {said}", program.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder.path())? {
        files.push(entry?.path());
    }
    files.sort();
    let object = program.to_str().context("the path of the program is no text")?;
    let mut threads = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).context("callgrind left nothing readable")?;
        if !text.is_empty() {
            threads.push(read(&text, object));
        }
    }
    ensure!(!threads.is_empty(), "callgrind counted nothing: {said}");
    Ok(Run { output: String::from_utf8_lossy(&finished.stdout).into_owned(), threads })
}

/// A function: the object that it is in, and its name.
type Function<'a> = (&'a str, &'a str);

/// What a line of costs is about.
struct Cost<'a> {
    of: Function<'a>,
    /// Whom it calls, where it is what a call took.
    calls: Option<Function<'a>>,
    address: u64,
    count: u64,
}

/// Sums up a file of callgrind's. A call's line has what the function that is called took, with all that it called: of
/// the program's own functions that is known line by line, and so it is where a library calls back.
fn read(text: &str, object: &str) -> Executed {
    let costs = costs(text);
    let back = calling_back(&costs, object);
    let mut executed = Executed::default();
    for Cost { of, calls, address, count } in costs {
        if calls.is_none() {
            executed.total += count;
        }
        let is_ours = calls.is_none_or(|called| called.0 != object && !back.contains(&called));
        if of.0 == object && is_ours {
            *executed.by_address.entry(address).or_default() += count;
        }
    }
    executed
}

/// The functions of libraries by which the program's are called, such as the one that calls `main`.
fn calling_back<'a>(costs: &[Cost<'a>], object: &str) -> HashSet<Function<'a>> {
    let mut back = HashSet::new();
    loop {
        let before = back.len();
        for Cost { of, calls, .. } in costs {
            if let Some(called) = calls.filter(|_| of.0 != object)
                && (called.0 == object || back.contains(&called))
            {
                back.insert(*of);
            }
        }
        if back.len() == before {
            return back;
        }
    }
}

/// The costs in a file of callgrind's, without compression and with addresses
/// (<https://valgrind.org/docs/manual/cl-format.html>).
fn costs(text: &str) -> Vec<Cost<'_>> {
    let mut costs = Vec::new();
    let (mut of, mut called_object, mut called, mut is_call) = (("", ""), None, "", false);
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("ob=") {
            of.0 = name;
        } else if let Some(name) = line.strip_prefix("fn=") {
            of.1 = name;
        } else if let Some(name) = line.strip_prefix("cob=") {
            called_object = Some(name);
        } else if let Some(name) = line.strip_prefix("cfn=") {
            called = name;
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if let Some((address, count)) = cost(line) {
            // Without an object of its own, the one that is called is in the caller's.
            let calls = is_call.then(|| (called_object.unwrap_or(of.0), called));
            costs.push(Cost { of, calls, address, count });
            if is_call {
                (is_call, called_object) = (false, None);
            }
        }
    }
    costs
}

/// `0x1234 17 5`: an address, a line of source, a number of instructions.
fn cost(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace();
    let address = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    Some((address, words.nth(1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_librarys_instructions_are_its_callers() {
        let text = "\
events: Ir
summary: 37

ob=/lib/libc.so.6
fl=x.c
fn=memcpy
0x50 3 20

ob=/bin/program
fl=a.rs
fn=work
0x1000 7 1
fi=b.rs
0x1004 9 2
cob=/lib/libc.so.6
cfi=x.c
cfn=memcpy
calls=2 0x50 3
0x1004 9 20
cfn=inner
calls=1 0x2000 1
0x1008 9 4
fe=a.rs
0x1008 8 10

fn=inner
0x2000 1 4

fn=_start
0x3000 1 1
cob=/lib/libc.so.6
cfn=start
calls=1 0x60 1
0x3004 1 38

ob=/lib/libc.so.6
fn=start
0x60 1 1
cob=/bin/program
cfn=work
calls=1 0x1000 7
0x64 1 37
";
        let executed = read(text, "/bin/program");
        assert_eq!(executed.total, 39);
        let expected = [(0x1000, 1), (0x1004, 22), (0x1008, 10), (0x2000, 4), (0x3000, 1)];
        assert_eq!(executed.by_address, HashMap::from(expected));
    }
}
