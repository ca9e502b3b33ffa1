//! Plugins: shared objects whose hooks run in a flow's life. A small, versioned C ABI over the hooks of
//! `portcullis-flow`, the loader of such objects, and a safe Rust twin of the C side.
//!
//! - [`abi`]: the C ABI, from which `include/portcullis_plugin.h` is made
#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

pub mod abi;
