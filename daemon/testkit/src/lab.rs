//! The arrangement that most tests and the demo use: a client, a gate and a server in a row.

use crate::error::LabError;
use crate::netns::NetNs;
use crate::veth::VethPair;

/// Client, gate and server, each in a namespace of its own:
///
/// ```text
/// client                gate               server
/// client0 ────────── gate0  gate1 ────────── server0
/// 10.77.0.1/24                          10.77.0.2/24
/// ```
///
/// The gate's ports are up and not joined: nothing passes until something in the gate's namespace
/// forwards. The end hosts compute their checksums themselves (`tx off`), because a frame that
/// leaves through AF_XDP is not finished by anyone, and have GRO on, because a veth end accepts
/// redirected frames only with NAPI running.
#[derive(Debug)]
pub struct Lab {
    /// Where connections begin.
    pub client: NetNs,
    /// The two ports in the middle.
    pub gate: NetNs,
    /// Where connections end.
    pub server: NetNs,
}

/// The measures of a lab's two wires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabOptions {
    /// Receive and transmit queues of each interface.
    pub queues: u32,
    /// MTU of each interface in bytes.
    pub mtu: u32,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self { queues: 1, mtu: 1500 }
    }
}

impl Lab {
    /// The client's interface.
    pub const CLIENT_PORT: &str = "client0";
    /// The gate's interface towards the client.
    pub const GATE_CLIENT_PORT: &str = "gate0";
    /// The gate's interface towards the server.
    pub const GATE_SERVER_PORT: &str = "gate1";
    /// The server's interface.
    pub const SERVER_PORT: &str = "server0";
    /// The client's address, without the prefix length (24).
    pub const CLIENT_ADDRESS: &str = "10.77.0.1";
    /// The server's address, without the prefix length (24).
    pub const SERVER_ADDRESS: &str = "10.77.0.2";

    /// A lab with one queue and an MTU of 1500, that vanishes with the process.
    ///
    /// # Errors
    ///
    /// Without root, or without the programs `ip` and `ethtool`.
    pub fn inline() -> Result<Self, LabError> {
        Self::with(LabOptions::default())
    }

    /// A lab as `options` say, that vanishes with the process.
    ///
    /// # Errors
    ///
    /// As [`inline`](Self::inline), and when the kernel refuses the options.
    pub fn with(options: LabOptions) -> Result<Self, LabError> {
        let lab =
            Self { client: NetNs::new("client")?, gate: NetNs::new("gate")?, server: NetNs::new("server")? };
        lab.wire(options)?;
        Ok(lab)
    }

    /// A lab that stays: its namespaces are known to `ip netns` as `PREFIX-client`, `PREFIX-gate`
    /// and `PREFIX-server` until [`remove_named`](Self::remove_named). Nothing is left behind when
    /// it fails half way.
    ///
    /// # Errors
    ///
    /// As [`with`](Self::with), and when one of the names is taken.
    pub fn create_named(prefix: &str, options: LabOptions) -> Result<Self, LabError> {
        let mut made: Vec<NetNs> = Vec::new();
        let result = Self::NAMES.iter().try_for_each(|name| {
            made.push(NetNs::create_named(&format!("{prefix}-{name}"))?);
            Ok(())
        });
        let names: Vec<String> = made.iter().map(|namespace| namespace.label().to_owned()).collect();
        let lab = result.and_then(|()| {
            let [client, gate, server] = <[NetNs; 3]>::try_from(made).unwrap_or_else(|_| unreachable!());
            let lab = Self { client, gate, server };
            lab.wire(options).map(|()| lab)
        });
        if lab.is_err() {
            for name in names {
                // The first error is the one worth telling.
                let _ = NetNs::remove_named(&name);
            }
        }
        lab
    }

    /// Opens the lab that [`create_named`](Self::create_named) made.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn open_named(prefix: &str) -> Result<Self, LabError> {
        let [client, gate, server] = Self::NAMES.map(|name| NetNs::open_named(&format!("{prefix}-{name}")));
        Ok(Self { client: client?, gate: gate?, server: server? })
    }

    /// Removes the lab that [`create_named`](Self::create_named) made; true if there was anything.
    ///
    /// # Errors
    ///
    /// When a name exists and cannot be removed.
    pub fn remove_named(prefix: &str) -> Result<bool, LabError> {
        let mut found = false;
        for name in Self::NAMES {
            let name = format!("{prefix}-{name}");
            if NetNs::open_named(&name).is_ok() {
                NetNs::remove_named(&name)?;
                found = true;
            }
        }
        Ok(found)
    }

    const NAMES: [&str; 3] = ["client", "gate", "server"];

    fn wire(&self, options: LabOptions) -> Result<(), LabError> {
        let LabOptions { queues, mtu } = options;
        let ends = [
            (&self.client, Self::CLIENT_PORT, Self::CLIENT_ADDRESS, Self::GATE_CLIENT_PORT),
            (&self.server, Self::SERVER_PORT, Self::SERVER_ADDRESS, Self::GATE_SERVER_PORT),
        ];
        for (host, port, address, gate_port) in ends {
            VethPair::between(host, port, &self.gate, gate_port, queues, mtu)?;
            host.set_feature(port, "tx", false)?;
            host.set_feature(port, "gro", true)?;
            host.add_address(port, &format!("{address}/24"))?;
        }
        Ok(())
    }
}
