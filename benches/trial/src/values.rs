//! The values that a trial is made of, in JSON as on the command line.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// An interface and the namespace that it is in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place {
    /// `None` is the present namespace; with a `/` in it a path, else a name that `ip netns` knows.
    pub namespace: Option<String>,
    /// The interface's name there.
    pub interface: String,
}

/// Who makes the frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// BPF live frames: no socket buffer is ever made, millions a second. Frames up to 3,400 bytes.
    #[default]
    Live,
    /// An AF_XDP socket's transmit ring. Frames up to 3,400 bytes.
    Xdp,
    /// trafgen, through a packet socket; number and time are put in as frames leave.
    Trafgen,
}

/// What frames carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Datagrams.
    #[default]
    Udp,
    /// Data of connections that were opened beforehand by three-way handshakes through whatever lies between. Without churn.
    TcpEstablished,
    /// Requests to open a connection.
    Syn,
}

/// How a forwarder forwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// An XDP program of one redirect.
    #[default]
    Devmap,
    /// The packet module of the gate without an engine: every packet is accepted.
    Xsk,
    /// Packet sockets, with faults that are asked for and counted.
    Faulty,
}

/// Frames a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Rate {
    /// As fast as they go.
    #[default]
    Max,
    /// This many, at least 1.
    PerSecond(u32),
}

/// How long frames are, without the check sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Size {
    /// All alike.
    Bytes(u16),
    /// 60, 590 and 1514 bytes as 7 to 4 to 1.
    Imix,
}

impl Size {
    /// The shortest frame: one of 64 bytes with its check sequence.
    pub const SHORTEST: u16 = 60;
    /// The longest.
    pub const LONGEST: u16 = 9000;
    /// The lengths of IMIX with how many of twelve frames have each.
    pub const IMIX: [(u16, u8); 3] = [(60, 7), (590, 4), (1514, 1)];
}

impl Place {
    /// An interface of the present namespace.
    #[must_use]
    pub fn here(interface: &str) -> Self {
        Self { namespace: None, interface: interface.to_owned() }
    }

    /// An interface of a namespace with this name or path.
    #[must_use]
    pub fn within(namespace: &str, interface: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), interface: interface.to_owned() }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.rsplit_once(':') {
            Some((namespace, interface)) if !namespace.is_empty() && !interface.is_empty() => {
                let namespace = (namespace != "-").then(|| namespace.to_owned());
                Ok(Self { namespace, interface: interface.to_owned() })
            }
            _ => Err(format!("`{text}` is no NAMESPACE:INTERFACE (`-` is the present namespace)")),
        }
    }
}

impl Display for Place {
    fn fmt(&self, output: &mut Formatter<'_>) -> fmt::Result {
        write!(output, "{}:{}", self.namespace.as_deref().unwrap_or("-"), self.interface)
    }
}

impl Rate {
    /// Frames a second, `None` for as fast as they go.
    #[must_use]
    pub const fn per_second(self) -> Option<u32> {
        match self {
            Self::Max => None,
            Self::PerSecond(rate) => Some(rate),
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            _ if text == "max" => Ok(Self::Max),
            Ok(rate @ 1..) => Ok(Self::PerSecond(rate)),
            _ => Err(format!("`{text}` is no rate: `max`, or frames a second from 1 to {}", u32::MAX)),
        }
    }
}

impl Display for Rate {
    fn fmt(&self, output: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => output.write_str("max"),
            Self::PerSecond(rate) => rate.fmt(output),
        }
    }
}

impl Default for Size {
    fn default() -> Self {
        Self::Bytes(Self::SHORTEST)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            _ if text == "imix" => Ok(Self::Imix),
            Ok(bytes @ Self::SHORTEST..=Self::LONGEST) => Ok(Self::Bytes(bytes)),
            _ => Err(format!(
                "`{text}` is no frame size: {} to {} bytes without the check sequence, or `imix`",
                Self::SHORTEST,
                Self::LONGEST
            )),
        }
    }
}

impl Display for Size {
    fn fmt(&self, output: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => bytes.fmt(output),
            Self::Imix => output.write_str("imix"),
        }
    }
}

/// In JSON they are what they are on the command line.
macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}

as_text!(Place, Rate, Size);
