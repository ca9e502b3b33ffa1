//! Makes a lab, joins it to the namespace at the path given as its argument by a wire called
//! `canary`, starts a program inside, says so on standard output with the program's process id,
//! and sleeps. It exists to be killed: the test of what vanishes with a process needs a process.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::{env, error, thread};

use portcullis_testkit::{Lab, NetNs, VethPair};

fn main() -> ExitCode {
    let Some(outside) = env::args().nth(1) else { return ExitCode::from(2) };
    match hold(Path::new(&outside)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The one who reads this is the test; a closed pipe means it is gone.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn hold(outside: &Path) -> Result<(), Box<dyn error::Error>> {
    let outside = NetNs::open(outside, "outside")?;
    let lab = Lab::inline()?;
    VethPair::between(&lab.gate, "held", &outside, "canary", 1, 1500)?;
    let inmate = lab.gate.command("sleep").arg("1000").spawn()?;
    writeln!(io::stdout(), "{}", inmate.id())?;
    loop {
        thread::park();
    }
}
