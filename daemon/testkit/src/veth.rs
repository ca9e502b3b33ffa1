//! A wire between two namespaces.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::error::LabError;
use crate::netns::NetNs;

/// Two veth interfaces joined back to back. The kernel removes both with either namespace; there is
/// nothing to drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VethPair {
    /// The end in the first namespace.
    pub left: String,
    /// The end in the second.
    pub right: String,
}

impl VethPair {
    /// Makes a pair with `left` in `left_ns` and `right` in `right_ns` and brings both ends up; what
    /// is sent after this returns is not lost. Each end gets `queues` receive and transmit queues,
    /// an MTU of `mtu` bytes, and a hardware address made from its name, the same in every run.
    ///
    /// # Errors
    ///
    /// When a name is taken or longer than 15 bytes, or the kernel refuses the numbers, or the wire
    /// does not come up.
    pub fn between(
        left_ns: &NetNs,
        left: &str,
        right_ns: &NetNs,
        right: &str,
        queues: u32,
        mtu: u32,
    ) -> Result<Self, LabError> {
        let (queues, mtu) = (queues.to_string(), mtu.to_string());
        let shape = ["mtu", &mtu, "numtxqueues", &queues, "numrxqueues", &queues];
        let (left_address, right_address) = (Self::hardware_address(left), Self::hardware_address(right));
        let target = right_ns.path();
        let mut arguments = vec!["link", "add", left, "address", &left_address];
        arguments.extend(shape);
        arguments.extend(["type", "veth", "peer", "name", right, "address", &right_address]);
        arguments.extend(shape);
        let target = target.to_string_lossy();
        arguments.extend(["netns", &target]);
        left_ns.output("ip", &arguments)?;
        left_ns.set_up(left)?;
        right_ns.set_up(right)?;
        left_ns.wait_until_up(left)?;
        right_ns.wait_until_up(right)?;
        Ok(Self { left: left.to_owned(), right: right.to_owned() })
    }

    /// The hardware address that [`between`](Self::between) gives an interface called `name`:
    /// locally administered, unicast.
    #[must_use]
    pub fn hardware_address(name: &str) -> String {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let [a, b, c, d, e, ..] = hasher.finish().to_be_bytes();
        format!("02:{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}")
    }
}
