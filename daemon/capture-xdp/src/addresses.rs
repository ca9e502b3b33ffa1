//! The addresses of an interface, by rtnetlink: read, taken off, put back as they were.

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

/// One address as the kernel described it: the body of an `RTM_NEWADDR` message (`struct ifaddrmsg` and
/// attributes), which also takes it off and puts it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    body: Vec<u8>,
}

impl fmt::Display for Address {
    /// As `ip address` has it: `10.0.0.1/24`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((&[_, prefix, ..], attributes)) = self.body.split_first_chunk::<ADDRESS_BODY>() else {
            return out.write_str("?");
        };
        let value = attribute(attributes, IFA_LOCAL).or_else(|| attribute(attributes, IFA_ADDRESS));
        match value.unwrap_or_default() {
            &[a, b, c, d] => write!(out, "{}/{prefix}", Ipv4Addr::new(a, b, c, d)),
            bytes => match bytes.first_chunk::<16>() {
                Some(bytes) => write!(out, "{}/{prefix}", Ipv6Addr::from(*bytes)),
                None => out.write_str("?"),
            },
        }
    }
}

// linux/netlink.h, linux/rtnetlink.h
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_REPLACE: u16 = 0x100;
const RT_TABLE_MAIN: u8 = 254;
const RTA_OIF: u16 = 4;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// `IFA_F_PERMANENT` is not set on what a router advertisement or DHCP gave; IPv6 link-local ones come back by
/// themselves.
const RT_SCOPE_LINK: u8 = 253;

const HEADER: usize = 16;
const ADDRESS_BODY: usize = 8;
const ROUTE_BODY: usize = 12;

/// The addresses of interface `index`, both families, but the IPv6 link-local ones, which the kernel makes.
pub(crate) fn of(index: u32) -> io::Result<Vec<Address>> {
    let mut found = Vec::new();
    dump(RTM_GETADDR, RTM_NEWADDR, &[0; ADDRESS_BODY], |body| {
        let Some((head, _)) = body.split_first_chunk::<ADDRESS_BODY>() else { return };
        let [family, _, _, scope, a, b, c, d] = *head;
        let is_made = i32::from(family) == libc::AF_INET6 && scope == RT_SCOPE_LINK;
        if u32::from_ne_bytes([a, b, c, d]) == index && !is_made {
            found.push(Address { body: body.to_vec() });
        }
    })?;
    Ok(found)
}

/// Does a default route of the main table leave by interface `index`?
pub(crate) fn has_default_route(index: u32) -> io::Result<bool> {
    let mut found = false;
    dump(RTM_GETROUTE, RTM_NEWROUTE, &[0; ROUTE_BODY], |body| {
        let Some((head, attributes)) = body.split_first_chunk::<ROUTE_BODY>() else { return };
        let [_, destination_length, _, _, table, ..] = *head;
        if destination_length == 0 && table == RT_TABLE_MAIN {
            let oif = attribute(attributes, RTA_OIF).and_then(|value| value.first_chunk::<4>());
            found |= oif.is_some_and(|oif| u32::from_ne_bytes(*oif) == index);
        }
    })?;
    Ok(found)
}

/// Takes an address off. One that is gone already (its primary was taken off) is no error.
pub(crate) fn remove(address: &Address) -> io::Result<()> {
    match request(RTM_DELADDR, NLM_F_REQUEST | NLM_F_ACK, &address.body) {
        Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => Ok(()),
        other => other,
    }
}

/// Puts an address back.
pub(crate) fn add(address: &Address) -> io::Result<()> {
    request(RTM_NEWADDR, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &address.body)
}

/// The value of a netlink attribute.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    while let Some((&[a, b, c, d], _)) = attributes.split_first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = attributes.get(4..length)?;
        if u16::from_ne_bytes([c, d]) == wanted {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// Asks for everything of a kind; `each` gets the body of each message of type `answer`.
fn dump(kind: u16, answer: u16, body: &[u8], mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let socket = open()?;
    send(&socket, kind, NLM_F_REQUEST | NLM_F_DUMP, body)?;
    let mut ended = false;
    while !ended {
        receive(&socket, |kind, body| {
            if kind == NLMSG_DONE {
                ended = true;
            } else if kind == NLMSG_ERROR {
                return error_of(body);
            } else if kind == answer {
                each(body);
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// One request that is acknowledged.
fn request(kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let socket = open()?;
    send(&socket, kind, flags, body)?;
    receive(&socket, |kind, body| if kind == NLMSG_ERROR { error_of(body) } else { Ok(()) })
}

fn open() -> io::Result<OwnedFd> {
    // Protocol 0 is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    Ok(socket)
}

fn send(socket: &OwnedFd, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(HEADER + body.len()).map_err(io::Error::other)?;
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    // Sequence number and port id: one request a socket, so neither is needed.
    message.extend([0; 8]);
    message.extend(body);
    sendto(socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    Ok(())
}

/// Receives one datagram and gives each of its messages to `each`.
fn receive(socket: &OwnedFd, mut each: impl FnMut(u16, &[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let (_, length) = recv(socket, buffer.as_mut_slice(), RecvFlags::empty())?;
    let mut rest = buffer.get(..length).unwrap_or_default();
    while let Some((&[a, b, c, d, e, f, ..], _)) = rest.split_first_chunk::<HEADER>() {
        let length = u32::from_ne_bytes([a, b, c, d]) as usize;
        let broken = || io::Error::from(io::ErrorKind::InvalidData);
        each(u16::from_ne_bytes([e, f]), rest.get(HEADER..length).ok_or_else(broken)?)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(())
}

/// `struct nlmsgerr`: a negated errno first; 0 is an acknowledgement.
fn error_of(body: &[u8]) -> io::Result<()> {
    match body.first_chunk::<4>().map(|code| i32::from_ne_bytes(*code)) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attributes: &[(u16, &[u8])], expected: &str) {
        let mut body = vec![2, 24, 0, 0, 7, 0, 0, 0];
        for (kind, value) in attributes {
            body.extend(u16::try_from(value.len() + 4).unwrap().to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(*value);
        }
        assert_eq!(Address { body }.to_string(), expected);
    }

    #[test]
    fn addresses_are_shown_as_everybody_writes_them() {
        check(&[(IFA_ADDRESS, &[10, 0, 0, 2])], "10.0.0.2/24");
        check(&[(IFA_ADDRESS, &[10, 0, 0, 2]), (IFA_LOCAL, &[10, 0, 0, 1])], "10.0.0.1/24");
        check(&[(IFA_ADDRESS, &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7])], "fd00::7/24");
        check(&[(IFA_ADDRESS, &[1])], "?");
        check(&[], "?");
    }
}
