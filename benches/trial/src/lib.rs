#![forbid(unsafe_code)]
//! What is asked of the load generator, and what came of it: plain data, for it and for whoever starts it.
//!
//! - [`Trial`]: the arguments of `portcullis-loadgen trial`; [`Trial::arguments`] makes a command line of one
//! - [`Outcome`]: the one JSON object that it prints
//! - [`Forwarded`]: the one JSON object that `portcullis-loadgen forward` prints when it ends
//! - [`Histogram`]: of latencies, each bucket 3 % wide
//!
//! Nothing here sends, receives or needs a native library.

mod histogram;
mod outcome;
mod trial;
mod values;

pub use histogram::{BUCKETS, Bucket, Histogram};
pub use outcome::{Forwarded, Latency, Outcome, Returned};
pub use trial::Trial;
pub use values::{How, Place, Protocol, Rate, Size, Via};
