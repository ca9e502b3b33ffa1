//! The gate end to end: the program itself, between real interfaces in namespaces, with real traffic.
//! Needs root; what it makes vanishes with it.
#![expect(clippy::unwrap_used, reason = "what fails here is the test")]

mod caching;
mod commands;
mod doctor;
mod evading;
mod failing;
mod forwarding;
mod gate;
mod jumbo;
mod links;
mod listing;
mod passing;
mod plugins;
mod queues;
mod refusals;
mod rejecting;
mod restarting;
mod sets;
mod updating;
