//! Senders, forwarders and receivers against each other, in namespaces. Needs root.

mod ends;
mod faults;
mod rig;
mod trials;
