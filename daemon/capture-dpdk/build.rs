//! Compiles the shim over DPDK's inline functions and links what it needs; nothing without the feature.

use std::env;
use std::process::{Command, exit};

/// One file a subject; that of rings only where ports in memory are wanted.
const SHIM: [&str; 4] = ["shim/eal.c", "shim/packets.c", "shim/ports.c", "shim/rules.c"];
const RINGS_SHIM: &str = "shim/rings.c";

/// What the shim calls; drivers are loaded by DPDK itself.
const LIBRARIES: [&str; 5] = ["rte_eal", "rte_mbuf", "rte_mempool", "rte_ethdev", "rte_net"];

/// What the ports in memory need besides.
const RINGS: [&str; 2] = ["rte_ring", "rte_net_ring"];

fn main() {
    println!("cargo::rerun-if-changed=shim");
    println!("cargo::rerun-if-env-changed=PKG_CONFIG_PATH");
    if env::var_os("CARGO_FEATURE_DPDK").is_none() {
        return;
    }
    let rings = env::var_os("CARGO_FEATURE_RINGS").is_some();
    // Verbatim: `-include rte_config.h` and `-march` decide how the inline functions are laid out.
    let flags = pkg_config("--cflags");
    let mut build = cc::Build::new();
    // DPDK's headers are not ours to mend.
    build.files(SHIM).warnings(false).opt_level(3);
    // A declaration that is missing would cut pointers to 32 bits.
    build.flag("-Werror=implicit-function-declaration");
    for flag in flags.split_whitespace() {
        build.flag(flag);
    }
    if rings {
        build.file(RINGS_SHIM);
    }
    build.compile("portcullis_dpdk_shim");
    for path in pkg_config("--libs-only-L").split_whitespace() {
        println!("cargo::rustc-link-search=native={}", path.trim_start_matches("-L"));
    }
    for library in LIBRARIES.iter().chain(if rings { &RINGS[..] } else { &[] }) {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
}

fn pkg_config(what: &str) -> String {
    let output = Command::new("pkg-config").args([what, "libdpdk"]).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        _ => {
            println!(
                "cargo::error=the feature `dpdk` needs DPDK's libraries and headers, which pkg-config does not find: \
                 apt-get install libdpdk-dev pkg-config, or build without the feature"
            );
            exit(1)
        }
    }
}
