//! Packets as decoding leaves them, of any number of flows, and the order in which flows are met.

use portcullis_flow::{FlowKey, KeyScope, Keyed};
use portcullis_wire::Decoded;
use portcullis_wire::decoded::{Address, Transport, Udp};

/// 198.18.0.1 and 2001:db8:1::1, ::1 of the networks set apart for benchmarks and documentation.
const SERVER_V4: [u8; 4] = [198, 18, 0, 1];
const SERVER_V6: Address = [0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// A packet, decoded, with its key.
#[derive(Clone, Copy, Debug)]
pub struct Prepared {
    /// As decoding leaves it.
    pub decoded: Decoded,
    /// The key of it.
    pub keyed: Keyed,
}

/// A UDP packet of a flow, by its number, from the client.
///
/// # Panics
/// Never: UDP has a key.
#[must_use]
pub fn packet(flow: u64, ip_version: u8) -> Prepared {
    let [.., a, b, c, d] = flow.to_be_bytes();
    let (source, destination) = if ip_version == 6 {
        let mut client = SERVER_V6;
        client[5] = 2;
        client[8..].copy_from_slice(&mix(flow).to_be_bytes());
        (client, SERVER_V6)
    } else {
        (mapped([10, b, c, d]), mapped(SERVER_V4))
    };
    let decoded = Decoded {
        ip_version,
        protocol: 17,
        ttl: 64,
        source,
        destination,
        source_port: 1024 + u16::from(a) * 256 + u16::from(d),
        destination_port: 53,
        transport: Transport::Udp(Udp::default()),
        ..Decoded::default()
    };
    let Some(keyed) = FlowKey::of(&decoded, &KeyScope::default()) else { panic!("UDP has a key") };
    Prepared { decoded, keyed }
}

fn mapped([a, b, c, d]: [u8; 4]) -> Address {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

/// Random numbers: Sebastiano Vigna's `SplitMix64`.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next one.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// One below a bound, evenly.
    pub fn below(&mut self, bound: u64) -> u64 {
        u64::try_from((u128::from(self.draw()) * u128::from(bound)) >> 64).unwrap_or(0)
    }
}

const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// How often each flow is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Popularity {
    /// All the same.
    Uniform,
    /// As one over its rank (Zipf, exponent 1, by the continuous distribution).
    Zipf,
}

impl Popularity {
    /// A flow of so many.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank need not be exact, and is positive"
    )]
    pub fn choose(self, flows: u64, random: &mut Random) -> u64 {
        match self {
            Self::Uniform => random.below(flows),
            Self::Zipf => {
                let share = random.draw() as f64 / u64::MAX as f64;
                let rank = ((flows as f64 + 1.0).ln() * share).exp() as u64 - 1;
                // Neighbours in rank must not be neighbours in memory.
                rank.min(flows - 1) * 2_654_435_761 % flows
            }
        }
    }
}
