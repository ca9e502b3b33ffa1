//! Generations are read here as `lists.h` reads them, and compared with the tables that they were made of.

use super::*;
use portcullis_lists::net::Nets;
use portcullis_lists::{ListId, NetSet};
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

fn bits(lines: &[Line], first: usize, index: usize, width: usize) -> u64 {
    let word = lines[first + index * width / 512][index * width / 64 % 8];
    word >> (index * width % 64) & (u64::MAX >> (64 - width))
}

fn lengths(word: u64, longest: u8) -> impl Iterator<Item = u8> {
    (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| longest - bit)
}

fn find4(lines: &[Line], address: u32) -> u32 {
    let [buckets, _] = words_of(lines[0][0]);
    let around = bits(lines, LIST_AROUND4, (address >> 8) as usize, 8);
    let longer = around & u64::from(LONGER) != 0;
    let here = if longer { bits(lines, LIST_LENGTHS4, (address >> 16) as usize, 8) } else { 0 };
    for length in lengths(here, 32) {
        let net = Net::around(address, length).first();
        let want = u64::from(net) << 32 | u64::from(length) << 24;
        for place in both_places(mix(want ^ lines[0][1]), buckets as usize) {
            let slots = lines[LIST_BUCKETS + place];
            if let Some(slot) = slots.iter().find(|slot| (*slot ^ want) <= 0x00ff_ffff) {
                return u32::try_from(slot & 0x00ff_ffff).unwrap();
            }
            if slots[7] == 0 {
                break;
            }
        }
    }
    let kind = usize::try_from(around & !u64::from(LONGER)).unwrap();
    u32::try_from(bits(lines, LIST_KINDS4, kind, 32)).unwrap()
}

fn find6(lines: &[Line], address: u128) -> u32 {
    let [skipped, buckets] = words_of(lines[0][0]);
    let (high, _) = halves_of(address);
    let place = usize::try_from(mix(high >> 32 ^ lines[0][1]) & 0xffff).unwrap();
    let long = lengths(bits(lines, LIST_LONG6, 2 * place, 64), 128);
    let middle = lengths(bits(lines, LIST_LONG6, 2 * place + 1, 64), 64);
    let short = lengths(bits(lines, LIST_SHORT6, usize::try_from(high >> 48).unwrap(), 32), 32);
    for length in long.chain(middle).chain(short) {
        let (high, low) = halves_of(Net::around(address, length).first());
        let hash = mix(mix(high ^ lines[0][1]) ^ low ^ u64::from(length) << 56);
        for place in both_places(hash, buckets as usize) {
            let line = lines[LIST_BUCKETS + skipped as usize + place];
            let metas = [words_of(line[6]), words_of(line[7])].concat();
            for slot in 0..SLOTS6 {
                let same = line[2 * slot] == high && line[2 * slot + 1] == low;
                if same && metas[slot] >> 24 == u32::from(length) {
                    return metas[slot] & 0x00ff_ffff;
                }
            }
        }
    }
    0
}

fn table(sets: &[NetSet]) -> Table {
    Table::new(sets.iter().enumerate().map(|(number, set)| (ListId::new(number).unwrap(), set)))
}

fn image(table: &Table) -> Vec<Line> {
    build(table, &[], &ListPolicy::default(), usize::MAX, 7).unwrap()
}

fn set() -> impl Strategy<Value = NetSet> {
    let v4 =
        (any::<u32>(), 0_u8..=32).prop_map(|(address, length)| Net::around(address & 0xff03_0f83, length));
    let v6 = (any::<u128>(), 0_u8..=128).prop_map(|(address, length)| {
        Net::around(address & 0xff03 << 112 | address & 0x0f83 << 60 | address & 3, length)
    });
    let (v4, v6) = (proptest::collection::vec(v4, 0..40), proptest::collection::vec(v6, 0..40));
    (v4, v6).prop_map(|(v4, v6)| NetSet::new(Nets { v4, v6 }).0)
}

proptest! {
    // Each makes an image of some megabytes.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn an_image_says_what_its_table_says(
        sets in proptest::collection::vec(set(), 1..5),
        strangers in proptest::collection::vec(any::<u128>(), 50),
    ) {
        let table = table(&sets);
        let lines = image(&table);
        let near4 = table.v4().iter().flat_map(|entry| {
            let (first, last) = (entry.net.first(), entry.net.last());
            [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
        });
        let far4 = strangers.iter().map(|stranger| u32::try_from(stranger >> 96).unwrap());
        for address in near4.chain(far4) {
            let expected = table.find(Ipv4Addr::from(address).into()).bits();
            prop_assert_eq!(find4(&lines, address), expected, "{}", Ipv4Addr::from(address));
        }
        let near6 = table.v6().iter().flat_map(|entry| {
            let (first, last) = (entry.net.first(), entry.net.last());
            [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
        });
        for address in near6.chain(strangers.iter().copied()) {
            let expected = table.find(Ipv6Addr::from(address).into()).bits();
            prop_assert_eq!(find6(&lines, address), expected, "{}", Ipv6Addr::from(address));
        }
    }
}

#[test]
fn a_full_image_has_every_entry() {
    const COUNT: u32 = 150_000;
    let v4: Vec<Net<u32>> = (0..COUNT).map(|n| Net::single(0x0100_0000 + n * 7919)).collect();
    let v6: Vec<Net<u128>> =
        (0..u128::from(COUNT)).map(|n| Net::single((0x2a00 << 112) + n * 7919)).collect();
    let (set, _) = NetSet::new(Nets { v4: v4.clone(), v6: v6.clone() });
    let lines = image(&table(&[set]));
    let (buckets4, buckets6) = buckets(COUNT as usize, COUNT as usize);
    assert_eq!(lines.len(), LIST_BUCKETS + buckets4 + buckets6);
    assert!(v4.iter().all(|net| find4(&lines, net.first()) == 1));
    assert!(v6.iter().all(|net| find6(&lines, net.first()) == 1));
    assert_eq!(lines[0][1], mix(7), "one seed was enough");
}

#[test]
fn more_kinds_of_marks_than_a_byte_tells_apart_are_told() {
    // Every combination of nine lists is around some /24, and longer networks are in some of them.
    let nets = |bit: u32| {
        let here = (1..512).filter(move |kinds: &u32| kinds >> bit & 1 == 1);
        let mut v4: Vec<Net<u32>> = here.map(|kinds| Net::around(0x2000_0000 + (kinds << 9), 23)).collect();
        v4.push(Net::around(0x2003_fe80, 25));
        v4.push(Net::around(0x2003_ff00, 24));
        v4.push(Net::single(0x2000_0200 + bit));
        NetSet::new(Nets { v4, v6: Vec::new() }).0
    };
    let table = table(&(0..9).map(nets).collect::<Vec<_>>());
    let lines = image(&table);
    assert!(split(table.v4()).kinds.len() == KINDS && !split(table.v4()).hashed.is_empty());
    for address in (0x2000_0000..0x2004_0000).step_by(0x40).chain(0x2000_0200..0x2000_0210) {
        let expected = table.find(Ipv4Addr::from(address).into()).bits();
        assert_eq!(find4(&lines, address), expected, "{}", Ipv4Addr::from(address));
    }
}

#[test]
fn what_has_no_room_is_refused() {
    let (set, _) = NetSet::new(Nets { v4: (0..100).map(|n| Net::single(n << 8)).collect(), v6: Vec::new() });
    let build = |room| build(&table(std::slice::from_ref(&set)), &[], &ListPolicy::default(), room, 7);
    let (buckets4, buckets6) = buckets(100, 0);
    assert!(build(LIST_BUCKETS + buckets4 + buckets6).is_ok());
    let refused = build(LIST_BUCKETS + buckets4 + buckets6 - 1).unwrap_err().to_string();
    assert!(refused.contains("100 entries of IPv4 and 0 of IPv6"), "{refused}");
    let rule = Bypass { network: (Ipv4Addr::UNSPECIFIED.into(), 0), peer: None, protocol: None, ports: None };
    let rules = vec![rule; MAX_BYPASSES + 1];
    assert!(super::build(&Table::default(), &rules, &ListPolicy::default(), usize::MAX, 7).is_err());
}
