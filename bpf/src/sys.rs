//! The system calls that neither libbpf-rs nor rustix offers, each as a safe function.
#![expect(unsafe_code, reason = "BPF links with flags, interface ioctls")]

use libbpf_sys as raw;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Attaches an XDP program to an interface by a link. `flags` are `XDP_FLAGS_*`.
pub(crate) fn link_create(program: BorrowedFd<'_>, ifindex: u32, flags: u32) -> io::Result<OwnedFd> {
    let target = i32::try_from(ifindex).map_err(io::Error::other)?;
    let options = raw::bpf_link_create_opts {
        sz: size_of::<raw::bpf_link_create_opts>() as raw::size_t,
        flags,
        ..Default::default()
    };
    // SAFETY: `options` is a valid struct of the size it states, and lives over the call.
    let fd = unsafe { raw::bpf_link_create(program.as_raw_fd(), target, raw::BPF_XDP, &raw const options) };
    owned(fd)
}

/// Puts another program behind a link, without a gap.
pub(crate) fn link_update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no options; both descriptors are open by their type.
    check(unsafe { raw::bpf_link_update(link.as_raw_fd(), program.as_raw_fd(), std::ptr::null()) })
}

/// Takes a link's program off its interface at once, whoever else still holds the link.
pub(crate) fn link_detach(link: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes nothing but a descriptor, which is open by its type.
    check(unsafe { raw::bpf_link_detach(link.as_raw_fd()) })
}

/// The interface that an XDP link is attached to; 0 when that interface is gone.
pub(crate) fn link_ifindex(link: BorrowedFd<'_>) -> io::Result<u32> {
    let mut info = raw::bpf_link_info::default();
    let mut size = u32::try_from(size_of::<raw::bpf_link_info>()).map_err(io::Error::other)?;
    // SAFETY: the kernel writes at most `size` bytes into `info`.
    check(unsafe { raw::bpf_link_get_info_by_fd(link.as_raw_fd(), &raw mut info, &raw mut size) })?;
    if info.type_ != raw::BPF_LINK_TYPE_XDP {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a link of an XDP program"));
    }
    // SAFETY: the type says that this is the union's live member.
    let xdp = unsafe { info.__bindgen_anon_1.xdp };
    Ok(xdp.ifindex)
}

/// Returns when every program that ran when this was called has ended, so that nobody reads any more what was taken
/// out of force before, or adds to a ring that was taken from it. Takes some milliseconds.
pub fn wait_for_readers() {
    /// `MEMBARRIER_CMD_GLOBAL` (linux/membarrier.h): waits for an RCU grace period.
    const GLOBAL: libc::c_int = 1;
    // SAFETY: the call takes three numbers and touches no memory.
    let answer = unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0, 0) };
    if answer != 0 {
        // Not to be had here (a kernel with nohz_full refuses): a program runs for microseconds.
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// Pins a map, program or link.
pub(crate) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = c_string(path.as_os_str().as_bytes())?;
    // SAFETY: `path` is a C string that lives over the call.
    check(unsafe { raw::bpf_obj_pin(object.as_raw_fd(), path.as_ptr()) })
}

/// Opens what is pinned at `path`.
pub(crate) fn pinned(path: &Path) -> io::Result<OwnedFd> {
    let path = c_string(path.as_os_str().as_bytes())?;
    // SAFETY: `path` is a C string that lives over the call.
    owned(unsafe { raw::bpf_obj_get(path.as_ptr()) })
}

/// What is attached to an interface: the id of its program (0: none) and the `XDP_ATTACHED_*` mode.
pub(crate) fn attached(ifindex: u32) -> io::Result<(u32, u8)> {
    let ifindex = i32::try_from(ifindex).map_err(io::Error::other)?;
    let mut options = raw::bpf_xdp_query_opts {
        sz: size_of::<raw::bpf_xdp_query_opts>() as raw::size_t,
        ..Default::default()
    };
    // SAFETY: `options` is a valid struct of the size it states, and lives over the call.
    check(unsafe { raw::bpf_xdp_query(ifindex, 0, &raw mut options) })?;
    let ids = [options.prog_id, options.drv_prog_id, options.skb_prog_id, options.hw_prog_id];
    Ok((ids.into_iter().find(|id| *id != 0).unwrap_or(0), options.attach_mode))
}

/// What an interface can do with XDP (`NETDEV_XDP_ACT_*`); 0 where the kernel does not tell.
pub(crate) fn xdp_features(ifindex: u32) -> io::Result<u64> {
    let ifindex = i32::try_from(ifindex).map_err(io::Error::other)?;
    let mut options = raw::bpf_xdp_query_opts {
        sz: size_of::<raw::bpf_xdp_query_opts>() as raw::size_t,
        ..Default::default()
    };
    // SAFETY: `options` is a valid struct of the size it states, and lives over the call.
    check(unsafe { raw::bpf_xdp_query(ifindex, 0, &raw mut options) })?;
    Ok(options.feature_flags)
}

/// The name of a loaded program.
pub(crate) fn program_name(id: u32) -> io::Result<String> {
    let fd = libbpf_rs::Program::fd_from_id(id).map_err(io::Error::other)?;
    let mut info = raw::bpf_prog_info::default();
    let mut size = u32::try_from(size_of::<raw::bpf_prog_info>()).map_err(io::Error::other)?;
    // SAFETY: the kernel writes at most `size` bytes into `info`.
    check(unsafe { raw::bpf_prog_get_info_by_fd(fd.as_fd().as_raw_fd(), &raw mut info, &raw mut size) })?;
    let name = info.name.iter().take_while(|byte| **byte != 0).map(|byte| byte.cast_unsigned());
    Ok(String::from_utf8_lossy(&name.collect::<Vec<u8>>()).into_owned())
}

/// `struct ifreq`: a name and a union of 24 bytes.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; libc::IFNAMSIZ],
    value: InterfaceValue,
}

#[repr(C)]
union InterfaceValue {
    number: i32,
    flags: i16,
    data: *mut libc::c_void,
    bytes: [u8; 24],
}

/// `SIOCGIFMTU` and its like: an ioctl that answers a number.
pub(crate) fn interface_number(name: &str, request: libc::Ioctl) -> io::Result<i32> {
    let mut asked = interface_request(name)?;
    interface_ioctl(request, &mut asked)?;
    // SAFETY: every bit pattern is an i32, and the bytes were initialised.
    Ok(unsafe { asked.value.number })
}

/// `SIOCGIFFLAGS`.
pub(crate) fn interface_flags(name: &str) -> io::Result<i16> {
    let mut asked = interface_request(name)?;
    interface_ioctl(libc::SIOCGIFFLAGS as libc::Ioctl, &mut asked)?;
    // SAFETY: every bit pattern is an i16, and the bytes were initialised.
    Ok(unsafe { asked.value.flags })
}

/// `SIOCSIFFLAGS`.
pub(crate) fn set_interface_flags(name: &str, flags: i16) -> io::Result<()> {
    let mut asked = interface_request(name)?;
    asked.value.flags = flags;
    interface_ioctl(libc::SIOCSIFFLAGS as libc::Ioctl, &mut asked)
}

/// `SIOCETHTOOL` with a command struct that is nothing but 32-bit words, the command first.
pub(crate) fn ethtool(name: &str, words: &mut [u32]) -> io::Result<()> {
    /// linux/sockios.h
    const SIOCETHTOOL: libc::Ioctl = 0x8946;
    let mut asked = interface_request(name)?;
    asked.value.data = words.as_mut_ptr().cast();
    interface_ioctl(SIOCETHTOOL, &mut asked)
}

fn interface_request(name: &str) -> io::Result<InterfaceRequest> {
    let mut request =
        InterfaceRequest { name: [0; libc::IFNAMSIZ], value: InterfaceValue { bytes: [0; 24] } };
    // The last byte stays 0.
    let longest = request.name.len() - 1;
    match request.name.get_mut(..name.len().min(longest)) {
        Some(slot) if name.len() <= longest => slot.copy_from_slice(name.as_bytes()),
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    }
    Ok(request)
}

fn interface_ioctl(request: libc::Ioctl, argument: &mut InterfaceRequest) -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: the request takes a struct ifreq, which `argument` is laid out as; a data pointer in it came from
    // a slice that the caller borrows over the call and that is as long as its command says.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), request, std::ptr::from_mut(argument)) })
}

fn c_string(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    check(fd)?;
    // SAFETY: a fresh descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// libbpf returns the negated errno, libc −1 with errno set; both set errno.
fn check(result: libc::c_int) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        negative if negative < 0 => Err(io::Error::from_raw_os_error(-negative)),
        _ => Ok(()),
    }
}

/// Runs a loaded program on one frame, as if received on a queue of an interface; the program's action.
#[cfg(test)]
pub(crate) fn test_run(program: BorrowedFd<'_>, frame: &[u8], ifindex: u32, queue: u32) -> io::Result<u32> {
    // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
    let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
    let context = [0, length, 0, ifindex, queue, 0];
    let mut options = raw::bpf_test_run_opts {
        sz: size_of::<raw::bpf_test_run_opts>() as raw::size_t,
        data_in: frame.as_ptr().cast(),
        data_size_in: length,
        ctx_in: context.as_ptr().cast(),
        ctx_size_in: u32::try_from(size_of_val(&context)).map_err(io::Error::other)?,
        repeat: 1,
        ..Default::default()
    };
    // SAFETY: `options` is a valid struct of the size it states, and what it points to lives over the call.
    check(unsafe { raw::bpf_prog_test_run_opts(program.as_raw_fd(), &raw mut options) })?;
    Ok(options.retval)
}
