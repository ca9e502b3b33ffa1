//! What is run under callgrind: one piece of work, of which only the second time is counted.
//! `cargo xtask instructions` and `cargo xtask profile` start it.

use anyhow::Context;
use clap::Args;
use portcullis_bench_micro::works;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The piece of work; all names are listed where none is given.
    work: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Some(name) = &arguments.work else {
        for kind in works::ALL {
            println!("{} {}", kind.name, kind.unit);
        }
        return Ok(());
    };
    let mut work = works::by_name(name).with_context(|| format!("there is no `{name}`"))?;
    // What is done once only is not counted: memory that is touched first, tables that are filled.
    work.run();
    counted_part(&mut work);
    println!("units={}", work.units);
    Ok(())
}

/// Named in the call of valgrind.
#[inline(never)]
fn counted_part(work: &mut works::Work) {
    work.run();
}
