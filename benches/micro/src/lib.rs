//! Criterion suites, see `benches/`.
