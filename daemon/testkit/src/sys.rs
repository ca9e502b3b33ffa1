#![expect(unsafe_code, reason = "namespaces, pre-exec hooks and packet sockets have no safe wrapper")]
//! The only module with unsafe code: making a namespace, entering one between fork and exec, and
//! the packet socket calls that rustix does not wrap. No policy in here.

use std::fs::File;
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

/// Puts the calling thread into a network namespace of its own and gives a handle to it. Call it on
/// a thread made for the purpose: there is no way back.
pub(crate) fn fresh_network_namespace() -> io::Result<OwnedFd> {
    // SAFETY: NEWNET does not share or unshare file descriptors; it only changes what the calling
    // thread sees of the network.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
    Ok(File::open("/proc/thread-self/ns/net")?.into())
}

/// Makes `command` enter `namespace` before it becomes the program, and die with the thread that
/// starts it.
pub(crate) fn enter_before_exec(command: &mut Command, namespace: Arc<OwnedFd>) {
    let parent = getpid();
    let enter = move || become_inmate(namespace.as_fd(), parent);
    // SAFETY: the closure only makes system calls (prctl, getppid, setns), all of them
    // async-signal-safe, and neither allocates nor locks: it may run between fork and exec.
    unsafe { command.pre_exec(enter) };
}

fn become_inmate(namespace: BorrowedFd<'_>, parent: Pid) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != Some(parent) {
        // The parent died before the signal was armed; nobody wants this program any more.
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    Ok(move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))?)
}

/// An `AF_PACKET` socket that hears and sends whole frames of interface `index`, deaf to its own
/// sending, with VLAN tags delivered beside the frame.
pub(crate) fn packet_socket(index: u32) -> io::Result<OwnedFd> {
    // Protocol 0 keeps the socket deaf until it is bound to its one interface.
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: socket(2) takes no pointers.
    let raw = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    check(raw)?;
    // SAFETY: `raw` was just made, is valid, and belongs to nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    for option in [libc::PACKET_AUXDATA, libc::PACKET_IGNORE_OUTGOING] {
        set_option(&socket, libc::SOL_PACKET, option, 1)?;
    }
    set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 64 << 20)?;
    let address = link_address(index);
    // SAFETY: the pointer and the length describe one live sockaddr_ll.
    let bound = unsafe {
        libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length_of::<libc::sockaddr_ll>())
    };
    check(bound)?;
    Ok(socket)
}

/// One frame into `buffer`: its length, and the tag (TPID, TCI) that the kernel took out of it.
/// `WouldBlock` when nothing is there.
pub(crate) fn receive_frame(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<(usize, Option<(u16, u16)>)> {
    // u64s, so that the control message header is aligned.
    let mut control = [0_u64; 16];
    let mut parts = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all zero is a valid msghdr: null pointers with zero lengths.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &raw mut parts;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
    // SAFETY: the header points at a buffer and a control area that both live through the call,
    // with their true lengths.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let length = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    if length > buffer.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "frame longer than the buffer"));
    }
    Ok((length, stripped_tag(&message)))
}

fn stripped_tag(message: &libc::msghdr) -> Option<(u16, u16)> {
    // SAFETY: recvmsg filled the header, and its control area is still alive and aligned.
    let first = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: CMSG_FIRSTHDR gives null or a pointer to a whole, aligned header in that area.
    let header = unsafe { first.as_ref() }?;
    if header.cmsg_level != libc::SOL_PACKET || header.cmsg_type != libc::PACKET_AUXDATA {
        return None;
    }
    // SAFETY: `first` points at a control message with its data behind it.
    let data = unsafe { libc::CMSG_DATA(first) };
    // SAFETY: the kernel wrote a whole tpacket_auxdata there; the read copes with any alignment.
    let auxiliary = unsafe { data.cast::<libc::tpacket_auxdata>().read_unaligned() };
    let valid = auxiliary.tp_status & libc::TP_STATUS_VLAN_VALID != 0;
    valid.then_some((auxiliary.tp_vlan_tpid, auxiliary.tp_vlan_tci))
}

fn link_address(index: u32) -> libc::sockaddr_ll {
    // SAFETY: all zero is a valid sockaddr_ll: it has integers only.
    let mut address: libc::sockaddr_ll = unsafe { MaybeUninit::zeroed().assume_init() };
    address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or_default();
    address.sll_protocol = u16::try_from(libc::ETH_P_ALL).unwrap_or_default().to_be();
    address.sll_ifindex = i32::try_from(index).unwrap_or_default();
    address
}

fn set_option(socket: &OwnedFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    // SAFETY: the pointer and the length describe one live int.
    let set = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), length_of::<i32>())
    };
    check(set)
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or_default()
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
