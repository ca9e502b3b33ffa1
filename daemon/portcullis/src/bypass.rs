//! `portcullis ctl bypass`: the panic switch. It goes past the daemon, to the XDP program that is pinned, so that it
//! works where the daemon hangs.

use crate::cli::CtlArgs;
use crate::exit::Failure;
use crate::output;
use portcullis_bpf::{GateConfig, GateError, PanicSwitch};
use std::path::Path;
use std::time::Duration;

/// Turns the switch of one inline set, or tells how it is.
///
/// # Errors
/// There is no such set, several where none is named, or the words make no sense.
pub(crate) fn run(verb: &str, arguments: &CtlArgs) -> Result<(), Failure> {
    let name = set(arguments.set.as_deref())?;
    let fail = |error: GateError| Failure::Control(error.to_string());
    let switch = PanicSwitch::open(Path::new(GateConfig::PIN_DIR), &name).map_err(fail)?;
    match (verb, arguments.time) {
        ("on", time) => switch.on(time).map_err(fail)?,
        ("off", None) => switch.off().map_err(fail)?,
        ("status", None) => {}
        _ => return Err(Failure::Control("bypass: on [--for TIME], off or status".to_owned())),
    }
    output::line(&told(&name, switch.left().map_err(fail)?));
    Ok(())
}

/// The inline set that is meant.
pub(crate) fn set(named: Option<&str>) -> Result<String, Failure> {
    if let Some(name) = named {
        return Ok(name.to_owned());
    }
    let mut names = PanicSwitch::sets(Path::new(GateConfig::PIN_DIR));
    match (names.pop(), names.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            let names = names.join(", ");
            Err(Failure::Control(format!(
                "there are several inline sets ({names}, {last}): name one by --set"
            )))
        }
        (None, _) => Err(Failure::Control("no inline set stands here".to_owned())),
    }
}

fn told(name: &str, left: Duration) -> String {
    match left {
        Duration::ZERO => format!("{name}: packets are judged"),
        Duration::MAX => format!("{name}: packets pass uninspected until `bypass off`"),
        left => format!("{name}: packets pass uninspected for another {} s", left.as_millis().div_ceil(1000)),
    }
}

/// A time such as `90s`, `10m` or `2h`; a bare number is seconds.
pub(crate) fn time(text: &str) -> Result<Duration, &'static str> {
    const WANTED: &str = "a time such as 90s, 10m or 2h";
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, text.chars().last()),
        None => (text, None),
    };
    let number: u64 = number.parse().map_err(|_| WANTED)?;
    let seconds = match unit {
        Some('m') => number.checked_mul(60),
        Some('h') => number.checked_mul(3600),
        _ => Some(number),
    };
    seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or(WANTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expected) in [("90", 90), ("90s", 90), ("10m", 600), ("2h", 7200)] {
            assert_eq!(time(text), Ok(Duration::from_secs(expected)), "{text}");
        }
        for text in ["", "m", "0", "-1s", "1d", "99999999999999999999h", "18446744073709551615h"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
