//! Payloads as HTTP has them: requests, pages, scripts, data, and compressed bodies.

use crate::random::Random;

/// Bytes of a full segment's payload.
const SEGMENT: usize = 1448;

/// Words of pages, scripts, addresses and headers.
pub const WORDS: &[&str] = &[
    "account",
    "action",
    "admin",
    "agent",
    "article",
    "asset",
    "async",
    "auth",
    "banner",
    "bridge",
    "browser",
    "build",
    "button",
    "cache",
    "callback",
    "campaign",
    "catalog",
    "center",
    "chart",
    "client",
    "cloud",
    "color",
    "comment",
    "company",
    "config",
    "contact",
    "container",
    "content",
    "control",
    "country",
    "create",
    "daily",
    "data",
    "default",
    "delete",
    "detail",
    "device",
    "display",
    "document",
    "domain",
    "download",
    "editor",
    "element",
    "email",
    "error",
    "event",
    "export",
    "feature",
    "field",
    "file",
    "filter",
    "footer",
    "format",
    "forum",
    "gallery",
    "gateway",
    "global",
    "group",
    "handler",
    "header",
    "height",
    "history",
    "image",
    "import",
    "index",
    "input",
    "install",
    "javascript",
    "label",
    "language",
    "latest",
    "layout",
    "library",
    "link",
    "list",
    "loader",
    "local",
    "login",
    "manager",
    "margin",
    "market",
    "media",
    "member",
    "menu",
    "message",
    "metadata",
    "mobile",
    "model",
    "module",
    "monitor",
    "network",
    "news",
    "notice",
    "number",
    "object",
    "online",
    "option",
    "order",
    "package",
    "page",
    "param",
    "password",
    "payment",
    "photo",
    "player",
    "plugin",
    "policy",
    "popup",
    "portal",
    "post",
    "price",
    "privacy",
    "product",
    "profile",
    "project",
    "public",
    "query",
    "reader",
    "record",
    "region",
    "register",
    "remote",
    "report",
    "request",
    "resource",
    "response",
    "result",
    "review",
    "search",
    "secure",
    "select",
    "server",
    "service",
    "session",
    "setting",
    "share",
    "shop",
    "source",
    "static",
    "status",
    "store",
    "stream",
    "style",
    "submit",
    "support",
    "system",
    "table",
    "target",
    "template",
    "theme",
    "ticket",
    "time",
    "title",
    "token",
    "tracker",
    "traffic",
    "update",
    "upload",
    "user",
    "value",
    "vendor",
    "version",
    "video",
    "view",
    "visit",
    "weather",
    "widget",
    "width",
    "window",
    "world",
    "write",
];

const HOSTS: &[&str] =
    &["example.com", "news.example.org", "cdn.example.net", "api.example.io", "shop.example.co.uk"];

const AGENTS: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0",
    "curl/8.4.0",
];

/// So many payloads, of at most a segment each.
#[must_use]
pub fn http(count: usize) -> Vec<Vec<u8>> {
    let mut random = Random::new(7);
    let mut payloads = Vec::with_capacity(count);
    while payloads.len() < count {
        let payload = match random.below(100) {
            0..20 => request(&mut random),
            20..50 => page(&mut random),
            50..65 => script(&mut random),
            65..75 => data(&mut random),
            _ => (0..SEGMENT).map(|_| random.byte()).collect(),
        };
        payloads.push(payload);
    }
    payloads
}

fn path(random: &mut Random) -> String {
    let mut path = String::new();
    for _ in 0..1 + random.below(4) {
        path.push('/');
        path.push_str(random.pick::<&str>(WORDS));
    }
    if random.chance(50) {
        let (key, value, number) = (*random.pick(WORDS), *random.pick(WORDS), random.below(100_000));
        path.push_str(&format!(".php?{key}={value}&id={number}"));
    }
    path
}

fn request(random: &mut Random) -> Vec<u8> {
    let host = random.pick(HOSTS);
    let mut text =
        format!("GET {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {}\r\n", path(random), random.pick(AGENTS));
    text.push_str("Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n");
    text.push_str(
        "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n",
    );
    text.push_str(&format!("Referer: https://{host}{}\r\nCookie: ", path(random)));
    for _ in 0..random.below(12) {
        text.push_str(&format!("{}={:016x}; ", random.pick(WORDS), random.next()));
    }
    text.push_str("theme=dark\r\n\r\n");
    text.into_bytes()
}

/// Text made of `piece`s, from the middle of something longer.
fn filled(random: &mut Random, piece: fn(&mut Random) -> String) -> Vec<u8> {
    let mut text = String::new();
    while text.len() < SEGMENT {
        text.push_str(&piece(random));
    }
    text.into_bytes().into_iter().take(SEGMENT).collect()
}

fn page(random: &mut Random) -> Vec<u8> {
    filled(random, |random| {
        let (class, word) = (random.pick(WORDS), random.pick(WORDS));
        match random.below(4) {
            0 => format!("<div class=\"{class}-{word}\" id=\"{word}{}\">\n", random.below(1000)),
            1 => format!(
                "<a href=\"https://{}{}\">{word} {class}</a></li>\n",
                random.pick(HOSTS),
                path(random)
            ),
            2 => format!(
                "<p>The {class} of the {word} is the {} that {} need.</p>\n",
                random.pick(WORDS),
                random.pick(WORDS)
            ),
            _ => format!(
                "<img src=\"/{class}/{word}.png\" width=\"{}\" alt=\"{word}\"/></div>\n",
                random.below(900)
            ),
        }
    })
}

fn script(random: &mut Random) -> Vec<u8> {
    filled(random, |random| {
        let (a, b) = (random.pick(WORDS), random.pick(WORDS));
        match random.below(3) {
            0 => {
                format!("function {a}_{b}(e,t){{return t.{a}?e.{b}:void 0}}var {b}={};", random.below(65_536))
            }
            1 => format!("if(!window.{a}){{document.getElementById(\"{b}\").style.display=\"none\";}}"),
            _ => format!("{a}.prototype.{b}=function(){{for(var i=0;i<this.length;i++)this[i].{a}()}};"),
        }
    })
}

fn data(random: &mut Random) -> Vec<u8> {
    filled(random, |random| {
        format!(
            "{{\"{}\":\"{}\",\"id\":{},\"{}\":null}},",
            random.pick(WORDS),
            random.pick(WORDS),
            random.next(),
            random.pick(WORDS)
        )
    })
}
