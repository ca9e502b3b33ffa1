//! Rules in the shapes and proportions of public rule sets' network layer: of ten rules three are lists of
//! addresses, the others look for one to five contents, half of them in hex, three in ten placed, one in ten with
//! a regular expression.

use crate::payloads::WORDS;
use crate::random::Random;

/// Lengths of the first content: as often as they occur in a public sample.
const LENGTHS: &[u64] = &[
    2, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 7, 8, 8, 9, 10, 11, 12, 13, 14, 16, 16, 16, 18, 20,
    24, 30, 36, 40,
];

const PORTS: &[&str] =
    &["any", "any", "any", "any", "any", "80", "[80,8080,8000]", "!80", "445", "1024:", "25", "1433", "21"];

const PATTERNS: &[&str] = &[
    r"/^[^\r\n]{N,}\r\n/R",
    r"/^.{N}/R",
    r"/^(\x75|\x2d|\x2f|\x73|\xa2|\x2e|\x24|\x74)/sR",
    r"/((\w+)[\r\n\s]*\x3a=[\r\n\s]*(\x27[^\x27]{N,}\x27|\x22[^\x22]{N,}\x22)[\r\n\s]*\x3b.*name[\r\n\s]*=>[\r\n\s]*\2)/si",
    r"/<OBJECT\s+[^>]*classid\s*=\s*[\x22\x27]?\s*clsid\s*\x3a\s*\x7B?\s*N/si",
    r"/WORD\s*=\s*[a-f0-9]{N}/Ri",
];

/// So many rules, with lists of addresses among them or not.
#[must_use]
pub fn rules(count: u32, with_lists: bool) -> String {
    let mut random = Random::new(11);
    let mut text = String::new();
    for sid in 1..=count {
        if with_lists && random.chance(31) {
            text.push_str(&list(&mut random, sid));
        } else {
            text.push_str(&contents(&mut random, sid));
        }
    }
    text
}

/// Rules that hold nothing but so many networks of an IP version, a thousand in each.
#[must_use]
pub fn lists(networks: u32, version: u8) -> String {
    let mut random = Random::new(13);
    let mut text = String::new();
    for sid in 1..=networks.div_ceil(1000) {
        let network = |_| if version == 6 { network_v6(&mut random) } else { network_v4(&mut random) };
        let networks: Vec<String> = (0..1000).map(network).collect();
        text.push_str(&format!(
            "alert ip [{}] any -> any any (msg:\"list {sid}\"; sid:{sid};)\n",
            networks.join(",")
        ));
    }
    text
}

fn network_v4(random: &mut Random) -> String {
    let [a, b, c, d] = [random.below(223) + 1, random.below(256), random.below(256), random.below(256)];
    if random.chance(50) { format!("{a}.{b}.{c}.0/24") } else { format!("{a}.{b}.{c}.{d}") }
}

/// A provider's, a customer's, a link's or one host's, of what is given away (2000::/3).
fn network_v6(random: &mut Random) -> String {
    let [a, b, c, d] =
        [0x2000 + random.below(0x2000), random.below(1 << 16), random.below(1 << 16), random.below(1 << 16)];
    match random.below(10) {
        0 => format!("{a:x}:{b:x}::/32"),
        1..4 => format!("{a:x}:{b:x}:{c:x}::/48"),
        4..8 => format!("{a:x}:{b:x}:{c:x}:{d:x}::/64"),
        _ => format!("{a:x}:{b:x}:{c:x}:{d:x}::{:x}", 1 + random.below(1 << 16)),
    }
}

/// What the rules' text looks for.
#[must_use]
pub fn sought(rules: &str) -> Vec<Vec<u8>> {
    let mut contents: Vec<Vec<u8>> = rules.split("content:\"").skip(1).filter_map(bytes).collect();
    contents.sort_unstable();
    contents.dedup();
    contents
}

/// Payloads made of nothing but `contents`, so that nearly every window is one of a pattern.
#[must_use]
pub fn dense(count: usize, contents: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut random = Random::new(17);
    let payload = |_| {
        let mut payload = Vec::new();
        while payload.len() < 1400 {
            payload.extend_from_slice(random.pick::<Vec<u8>>(contents));
        }
        payload
    };
    (0..count).map(payload).collect()
}

/// The bytes of the content that the text begins with.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let (content, _) = text.split_once('"')?;
    let hex = |part: &str| {
        part.split(' ').map(|pair| u8::from_str_radix(pair, 16).ok()).collect::<Option<Vec<u8>>>()
    };
    match content.strip_prefix('|').and_then(|rest| rest.strip_suffix('|')) {
        Some(pairs) => hex(pairs),
        None => Some(content.as_bytes().to_vec()),
    }
}

fn list(random: &mut Random, sid: u32) -> String {
    let addresses: Vec<String> = (0..10 + random.below(30))
        .map(|_| {
            let [a, b, c, d] =
                [random.below(223) + 1, random.below(256), random.below(256), random.below(256)];
            format!("{a}.{b}.{c}.{d}")
        })
        .collect();
    format!(
        "alert tcp [{}] any -> 10.0.0.0/8 any (msg:\"BENCH listed {sid}\"; reference:url,example.org/{sid}; \
         threshold:type limit, track by_src, seconds 60, count 1; flowbits:set,listed; classtype:misc-attack; \
         sid:{sid}; rev:1; metadata:created_at 2024_01_01;)\n",
        addresses.join(",")
    )
}

fn contents(random: &mut Random, sid: u32) -> String {
    let (source, destination) =
        if random.chance(50) { ("any", *random.pick(PORTS)) } else { (*random.pick(PORTS), "any") };
    let protocol = if random.chance(90) { "tcp" } else { "udp" };
    let mut rule = format!("alert {protocol} any {source} -> any {destination} (msg:\"BENCH rule {sid}\"; ");
    match random.below(10) {
        0..4 => rule.push_str("flow:established,to_server; "),
        4..7 => rule.push_str("flow:established,to_client; "),
        _ => {}
    }
    let length = *random.pick(LENGTHS);
    let first = content(random, length);
    rule.push_str(&format!("content:\"{first}\"; "));
    if random.chance(27) {
        rule.push_str("nocase; ");
    }
    if length <= 4 {
        let offset = random.below(13);
        rule.push_str(&format!("offset:{offset}; depth:{length}; "));
    } else if random.chance(20) {
        rule.push_str("depth:200; ");
    }
    for _ in 0..random.below(4) {
        let length = 1 + random.below(12);
        let more = content(random, length);
        let place =
            *random.pick(&["distance:0; ", "nocase; ", "distance:4; within:40; ", "nocase; distance:0; "]);
        rule.push_str(&format!("content:\"{more}\"; {place}"));
    }
    if random.chance(12) {
        let number = (10 + random.below(90)).to_string();
        let pattern = random.pick(PATTERNS).replace('N', &number).replace("WORD", random.pick::<&str>(WORDS));
        rule.push_str(&format!("pcre:\"{pattern}\"; "));
    }
    if random.chance(6) {
        rule.push_str("byte_test:2,>,1024,2,relative; ");
    }
    rule.push_str(&format!(
        "reference:url,example.org/{sid}; classtype:trojan-activity; sid:{sid}; rev:2; \
         metadata:affected_product Any, created_at 2024_01_01, deployment Perimeter;)\n"
    ));
    rule
}

/// A content of about so many bytes: names as malware and exploits have them, or bytes in hex.
fn content(random: &mut Random, length: u64) -> String {
    if random.chance(50) {
        let bytes: Vec<String> = (0..length).map(|_| format!("{:02x}", random.byte())).collect();
        return format!("|{}|", bytes.join(" "));
    }
    // Ordinary words, but joined as ordinary traffic does not join them.
    let mut text = format!("{:x}", random.below(1 << 20));
    while (text.len() as u64) < length {
        match random.below(3) {
            0 => text.push_str(&random.pick::<&str>(WORDS).to_uppercase()),
            1 => text.push_str(&format!(
                "{}{:x}",
                random.pick::<&str>(&["_", "=", ".", "X", "Q", "/", "-"]),
                random.below(256)
            )),
            _ => text.push_str(random.pick::<&str>(WORDS)),
        }
    }
    text.chars().take(usize::try_from(length).unwrap_or(1)).collect()
}
