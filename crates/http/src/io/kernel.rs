//! The system calls that have no safe wrapper: receiving with the kernel's own stamp, and `TCP_INFO`.
//!
//! This is the only file of the workspace with `unsafe`. Each block says why it is sound; everything that
//! leaves this file is safe to call with any argument.
#![expect(unsafe_code, reason = "recvmsg control messages and TCP_INFO have no safe wrapper")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::task::Poll;

use hyper::rt::ReadBufCursor;
use tokmeter_record::trace::TcpInfo;

/// What one `recvmsg` brought. Made by [`receive`] only, so its length is always one the kernel has written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    len: usize,
    realtime_ns: Option<u64>,
}

impl Received {
    /// Bytes received; 0 at the end of the stream.
    pub(super) fn len(self) -> usize {
        self.len
    }

    /// `CLOCK_REALTIME` at which the kernel received the last segment of this read, if it said so.
    pub(super) fn realtime_ns(self) -> Option<u64> {
        self.realtime_ns
    }
}

/// Asks the kernel to stamp received segments in software (`Documentation/networking/timestamping.rst`).
#[cfg(target_os = "linux")]
pub(crate) fn enable_stamps(fd: BorrowedFd<'_>) -> io::Result<()> {
    let flags: libc::c_uint = libc::SOF_TIMESTAMPING_RX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE;
    // SAFETY: the pointer and length describe `flags`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPING,
            (&raw const flags).cast(),
            size_of_val(&flags) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Elsewhere there are no kernel stamps.
#[cfg(not(target_os = "linux"))]
pub(crate) fn enable_stamps(_fd: BorrowedFd<'_>) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "kernel receive stamps exist on Linux only"))
}

/// Room for one `SCM_TIMESTAMPING` message (three `timespec`) with its header, and some to spare.
#[repr(C, align(16))]
struct Control(MaybeUninit<[u8; 128]>);

/// Receives into `into` without blocking; with `stamped`, also the kernel's receive stamp.
pub(super) fn receive(
    fd: BorrowedFd<'_>,
    into: &mut [MaybeUninit<u8>],
    stamped: bool,
) -> io::Result<Received> {
    if !stamped {
        // SAFETY: the kernel writes at most `into.len()` bytes at `into`.
        let result =
            unsafe { libc::recv(fd.as_raw_fd(), into.as_mut_ptr().cast(), into.len(), libc::MSG_DONTWAIT) };
        return if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(Received { len: result as usize, realtime_ns: None })
        };
    }
    let mut control = Control(MaybeUninit::uninit());
    let mut vector = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    // SAFETY: all-zero is a valid `msghdr` (null pointers with zero lengths).
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control.0).cast();
    message.msg_controllen = size_of::<Control>() as _;
    // SAFETY: every pointer in `message` is to a live local or to `into`, with its true length.
    let result = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Received { len: result as usize, realtime_ns: software_stamp(&message) })
}

#[cfg(target_os = "linux")]
fn software_stamp(message: &libc::msghdr) -> Option<u64> {
    // SAFETY: `message` was filled by a successful `recvmsg`, its control buffer is alive and aligned.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: `header` is not null, so it points to a complete header inside the control buffer.
        let (level, kind, length) =
            unsafe { ((*header).cmsg_level, (*header).cmsg_type, (*header).cmsg_len as usize) };
        // SAFETY: plain arithmetic.
        let wanted = unsafe { libc::CMSG_LEN(size_of::<libc::timespec>() as u32) } as usize;
        if level == libc::SOL_SOCKET && kind == libc::SCM_TIMESTAMPING && length >= wanted {
            // SAFETY: the message holds at least one `timespec` (checked), the first of three: the software one.
            let stamp = unsafe { libc::CMSG_DATA(header).cast::<libc::timespec>().read_unaligned() };
            let ns = stamp.tv_sec as u64 * 1_000_000_000 + stamp.tv_nsec as u64;
            return (ns != 0).then_some(ns);
        }
        // SAFETY: both belong to the same, still living message.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    None
}

#[cfg(not(target_os = "linux"))]
fn software_stamp(_message: &libc::msghdr) -> Option<u64> {
    None
}

/// Lets `read` receive straight into hyper's buffer.
pub(super) fn fill(
    cursor: &mut ReadBufCursor<'_>,
    read: impl FnOnce(&mut [MaybeUninit<u8>]) -> Poll<io::Result<Received>>,
) -> Poll<io::Result<()>> {
    // SAFETY: `read` can only give the slice to `receive`, which writes initialized bytes to its front.
    let room = unsafe { cursor.as_mut() };
    let size = room.len();
    match read(room) {
        Poll::Ready(Ok(received)) => {
            assert!(received.len <= size, "the kernel does not write past the buffer");
            // SAFETY: the kernel has written `len` bytes at the front of the slice.
            unsafe { cursor.advance(received.len) };
            Poll::Ready(Ok(()))
        }
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending => Poll::Pending,
    }
}

/// The same over bytes that are already initialized.
pub(super) fn as_uninit(bytes: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: same layout; `receive` never writes uninitialized bytes through it.
    unsafe { &mut *(std::ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) }
}

/// The kernel's view of the connection now.
#[cfg(target_os = "linux")]
pub(crate) fn tcp_info(fd: BorrowedFd<'_>) -> Option<TcpInfo> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: pointer and length describe `info`; the kernel writes at most `length` bytes.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return None;
    }
    // SAFETY: all fields are integers and the memory was zeroed, so any prefix written by the kernel is valid.
    let info = unsafe { info.assume_init() };
    Some(TcpInfo { rtt_us: info.tcpi_rtt, rttvar_us: info.tcpi_rttvar, retransmits: info.tcpi_total_retrans })
}

/// Elsewhere it is not asked.
#[cfg(not(target_os = "linux"))]
pub(crate) fn tcp_info(_fd: BorrowedFd<'_>) -> Option<TcpInfo> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Control messages `(level, kind, seconds, nanoseconds)`, laid out as the kernel does (cmsg(3)), and read.
    fn stamp_of(messages: &[(libc::c_int, libc::c_int, i64, i64)]) -> Option<u64> {
        const BYTES: u32 = size_of::<libc::timespec>() as u32 * 3;
        let mut control = Control(MaybeUninit::zeroed());
        // SAFETY: plain arithmetic.
        let (length, space) = unsafe { (libc::CMSG_LEN(BYTES) as usize, libc::CMSG_SPACE(BYTES) as usize) };
        assert!(messages.len() * space <= size_of::<Control>(), "the buffer holds them");
        // SAFETY: all-zero is a valid `msghdr`.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_control = (&raw mut control.0).cast();
        message.msg_controllen = (messages.len() * space) as _;
        for (number, (level, kind, seconds, nanoseconds)) in messages.iter().enumerate() {
            // SAFETY: inside the buffer (checked above), at a multiple of the alignment of a header.
            unsafe {
                let header = message.msg_control.byte_add(number * space).cast::<libc::cmsghdr>();
                (*header).cmsg_len = length as _;
                (*header).cmsg_level = *level;
                (*header).cmsg_type = *kind;
                let stamp = libc::timespec { tv_sec: *seconds, tv_nsec: *nanoseconds };
                libc::CMSG_DATA(header).cast::<libc::timespec>().write_unaligned(stamp);
            }
        }
        software_stamp(&message)
    }

    /// Runs under Miri, too: every read stays inside the control buffer.
    #[test]
    fn the_stamp_is_found_among_control_messages() {
        let stamp = (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING, 7, 9);
        assert_eq!(stamp_of(&[stamp]), Some(7_000_000_009));
        assert_eq!(stamp_of(&[]), None);
        assert_eq!(stamp_of(&[(libc::SOL_SOCKET, libc::SCM_TIMESTAMPING, 0, 0)]), None, "no software stamp");
        assert_eq!(stamp_of(&[(libc::SOL_IP, libc::SCM_TIMESTAMPING, 7, 9)]), None, "of another level");
        assert_eq!(stamp_of(&[(libc::SOL_SOCKET, libc::SCM_RIGHTS, 7, 9)]), None, "of another kind");
    }
}
