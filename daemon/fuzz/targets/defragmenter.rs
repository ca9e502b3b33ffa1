//! Fragments at random through a defragmenter: it must not panic, stay within its memory, and inline let
//! nothing out that receivers could put together otherwise than it was judged.
//!
//! The first byte chooses the settings; then six
//! bytes make a fragment, or eight bits of rubbish thrown in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_defrag::{DefragSettings, Defragmenter, MAX_DATAGRAM, Outcome, OverlapPolicy};
use portcullis_wire::{Decoder, LinkType, Network, NetworkMap, PacketBuilder, Timestamp};
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

/// What holds the largest datagram, and little more: memory that is cleared for each execution.
const MEMCAP: u64 = 1 << 18;

thread_local! {
    static WHOLE: RefCell<Vec<u8>> = RefCell::new(vec![0; MAX_DATAGRAM]);
}

/// What went out of a datagram: where and what, in order.
type Sent = Vec<(u16, bool, Vec<u8>)>;

fuzz_target!(|bytes: &[u8]| WHOLE.with_borrow_mut(|whole| execute(bytes, whole)));

fn execute(bytes: &[u8], buffer: &mut [u8]) {
    let [choice, rest @ ..] = bytes else { return };
    let inline = choice & 1 == 1;
    let policy = OverlapPolicy::ALL[usize::from(choice >> 1) % OverlapPolicy::ALL.len()];
    let everywhere = [4, 6].iter().filter_map(|version| Network::new(*version, [0; 16], 0));
    let settings = DefragSettings {
        memcap: MEMCAP,
        trackers: 8,
        max_frags: 64,
        prealloc: false,
        inline,
        policies: NetworkMap::new(everywhere.map(|network| (network, policy)).collect()),
        ..DefragSettings::default()
    };
    let mut defrag = Defragmenter::new(&settings, 1, 7).expect("enough memory");
    let mut now = Timestamp::from_secs(1_700_000_000);
    let mut sent: HashMap<(bool, u8), Sent> = HashMap::new();
    for record in rest.chunks(6) {
        let &[what, place, high, length, salt, wait] = record else { return };
        if wait > 250 {
            now = now.after(Duration::from_secs(70));
            sent.clear();
        }
        let is_v6 = what & 1 == 1;
        let id = what >> 1 & 3;
        let more = what & 8 != 0;
        let offset = u16::from(place) << 3 | u16::from(high & 0x1f) << 11;
        let data = vec![salt & 3; usize::from(length) * 8 + if more { 0 } else { usize::from(salt >> 5) }];
        let builder = PacketBuilder::raw();
        let builder = if is_v6 {
            builder.ipv6([0x20; 16], [0x30; 16])
        } else {
            builder.ipv4([10, 0, 0, 1], [10, 0, 0, 2])
        };
        let ttl = if what & 0x80 != 0 { 3 } else { 64 };
        let frame = builder.ip_id(u32::from(id)).ttl(ttl).protocol(253).fragment(offset, more).payload(&data);
        let mut frame = frame.to_vec();
        if what & 0x40 != 0 {
            let at = usize::from(place) % frame.len();
            frame[at] ^= salt;
        }
        let decoded = Decoder::default().decode(LinkType::Raw, None, false, &frame);
        if decoded.invalid.is_some() || decoded.fragment.is_none() {
            continue;
        }
        let damaged = what & 0x40 != 0;
        let key = (is_v6, id);
        match defrag.insert(&decoded, &frame, 0, now).outcome {
            Outcome::Taken(ticket) | Outcome::Duplicate(ticket) => {
                if !damaged {
                    sent.entry(key).or_default().push((offset, more, data));
                }
                defrag.conclude(ticket, true);
            }
            Outcome::Complete(ticket) => {
                let whole = defrag.assemble(&ticket, buffer).expect("it is complete");
                let described = Decoder::default().decode(LinkType::Raw, None, false, whole.frame);
                let judged = described.ip_payload.of(whole.frame);
                let mut parts = sent.remove(&key).unwrap_or_default();
                parts.push((offset, more, data));
                if inline && !parts.is_empty() && !rest.chunks(6).any(|record| record[0] & 0x40 != 0) {
                    for forwards in [true, false] {
                        assert_eq!(receive(&parts, forwards), judged);
                    }
                }
                defrag.conclude(ticket, salt & 16 == 0);
            }
            Outcome::Refused(_) => {}
        }
        if wait & 1 == 1 {
            defrag.sweep(now, 3);
        }
        assert!(defrag.stats().memuse <= MEMCAP);
    }
}

/// What a receiver makes of these that takes what comes first, in this or the other order.
fn receive(parts: &Sent, forwards: bool) -> Vec<u8> {
    let mut bytes: Vec<Option<u8>> = Vec::new();
    let mut order: Vec<_> = parts.iter().collect();
    if !forwards {
        order.reverse();
    }
    for (offset, _, data) in order {
        let start = usize::from(*offset);
        bytes.resize(bytes.len().max(start + data.len()), None);
        for (place, byte) in bytes[start..].iter_mut().zip(data) {
            place.get_or_insert(*byte);
        }
    }
    bytes.into_iter().map(|byte| byte.expect("no hole in what is complete")).collect()
}
