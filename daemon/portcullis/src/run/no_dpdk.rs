//! What stands for DPDK in a build without it.

use super::plan::Devices;
use super::wires::{Module, Wires};
use crate::exit::Failure;
use portcullis_capture::CopyMode;

/// Why this build cannot serve DPDK's ports.
const WITHOUT: &str =
    "this build has no DPDK: build with `cargo build --features dpdk`, or use capture.module = \"af-xdp\"";

/// Can this build serve DPDK's ports?
pub(crate) const fn supported() -> Result<(), &'static str> {
    Err(WITHOUT)
}

/// # Errors
/// Always.
pub(crate) fn open(_: &Devices, _: CopyMode, _: u8, _: &[usize]) -> Result<(Wires, Vec<Module>), Failure> {
    Err(Failure::Input(WITHOUT.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inline, Sources, parse};

    #[test]
    fn the_other_module_is_refused_in_one_sentence() {
        let text = r#"
            inline-set = [{ name = "a", pairs = [["p0", "p1"]] }]
            capture.module = "dpdk"
            capture.dpdk.ports = { p0 = "net_null0", p1 = "net_null1" }
        "#;
        let sources = Sources { text: text.to_owned(), ..Sources::default() };
        let config = parse(sources, Inline::ByCopyMode).unwrap().config;
        assert_eq!(crate::run::check(&config).unwrap_err().to_string(), WITHOUT);
    }
}
