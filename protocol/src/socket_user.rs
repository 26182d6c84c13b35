//! The user of a TCP socket of this machine, by its two addresses.
//!
//! The kernel shows it over netlink (`sock_diag(7)`), in a constant time, or where that is not there, in `/proc/net/tcp` and
//! `tcp6`, which list all sockets. A socket that its process has closed has no owner any more, and is shown with user 0.

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `SOCK_DIAG_BY_FAMILY` of `linux/sock_diag.h`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST` of `linux/netlink.h`.
const REQUEST: u16 = 1;
/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Bytes of `struct inet_diag_req_v2`, without the header.
const QUERY: usize = 56;
/// The places of `idiag_uid` and `idiag_inode` in an answer, after the header and the start of `struct inet_diag_msg`.
const UID: usize = HEADER + 64;
const INODE: usize = HEADER + 68;

/// The user and the inode of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SocketUser {
    uid: u32,
    /// 0 means that no process has the socket open.
    inode: u32,
}

/// The user of a socket, as seen by this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketOwner {
    /// The user of this process.
    Own,
    /// Another user of this machine.
    Other,
    /// Not known: the socket is on another machine, or no process has it open.
    Unknown,
}

/// The owner of the socket with the address `own` that is connected to the address `remote`.
///
/// # Errors
/// The system shows no owners of sockets.
pub fn owner_of(own: SocketAddr, remote: SocketAddr) -> io::Result<SocketOwner> {
    match own.ip().to_canonical().is_loopback() {
        true => Ok(judge(find(own, remote)?)),
        false => Ok(SocketOwner::Unknown),
    }
}

/// The owner of the server at the other end of a connection: `server` is its address, `client` that of this end. Of a
/// connection that is not accepted yet it is the owner of the socket that listens.
///
/// # Errors
/// The system shows no owners of sockets.
pub fn owner_of_server(server: SocketAddr, client: SocketAddr) -> io::Result<SocketOwner> {
    let accepted = owner_of(server, client)?;
    if accepted != SocketOwner::Unknown || !server.ip().to_canonical().is_loopback() {
        return Ok(accepted);
    }
    let any = SocketAddr::new(canonical_any(server), 0);
    let listening = judge(find(server, any)?);
    // Meanwhile the connection may have been accepted by a process that listens no more.
    match owner_of(server, client)? {
        SocketOwner::Unknown => Ok(listening),
        accepted => Ok(accepted),
    }
}

/// The inode of the socket with the address `own` that is connected to the address `remote`. `None`: there is none, or no
/// process has it open.
///
/// # Errors
/// The system shows no sockets.
pub fn inode_of(own: SocketAddr, remote: SocketAddr) -> io::Result<Option<u32>> {
    let found = find(own, remote)?;
    Ok(found.map(|user| user.inode).filter(|inode| *inode != 0))
}

fn find(own: SocketAddr, remote: SocketAddr) -> io::Result<Option<SocketUser>> {
    by_netlink(own, remote).or_else(|_| in_proc(own, remote))
}

fn judge(found: Option<SocketUser>) -> SocketOwner {
    match found {
        Some(user) if user.inode == 0 => SocketOwner::Unknown,
        Some(user) if user.uid == rustix::process::geteuid().as_raw() => SocketOwner::Own,
        Some(_) => SocketOwner::Other,
        None => SocketOwner::Unknown,
    }
}

fn by_netlink(own: SocketAddr, remote: SocketAddr) -> io::Result<Option<SocketUser>> {
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        flags,
        Some(SOCK_DIAG),
    )?;
    let kernel = SocketAddrNetlink::new(0, 0);
    rustix::net::sendto(&socket, &query(own, remote), SendFlags::empty(), &kernel)?;
    let mut answer = [0; 512];
    // The kernel has answered before `sendto` returns.
    let (read, _) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::DONTWAIT)?;
    read_answer(&answer[..read])
}

/// The query for the socket with these addresses.
fn query(own: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    const TCP: u8 = 6;
    let (own, remote) = (canonical(own), canonical(remote));
    let family = match own {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let mut query = Vec::with_capacity(HEADER + QUERY);
    query.extend(((HEADER + QUERY) as u32).to_ne_bytes());
    query.extend(BY_FAMILY.to_ne_bytes());
    query.extend(REQUEST.to_ne_bytes());
    // Sequence number and sender.
    query.extend([0; 8]);
    query.extend([family.as_raw() as u8, TCP, 0, 0]);
    // All states.
    query.extend(u32::MAX.to_ne_bytes());
    query.extend(own.port().to_be_bytes());
    query.extend(remote.port().to_be_bytes());
    for address in [own, remote] {
        let mut bytes = [0; 16];
        match address.ip() {
            IpAddr::V4(ip) => bytes[..4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => bytes.copy_from_slice(&ip.octets()),
        }
        query.extend(bytes);
    }
    // Any interface; no cookie.
    query.extend([0; 4]);
    query.extend([0xff; 8]);
    query
}

/// "Any address" of the family of an address.
fn canonical_any(address: SocketAddr) -> IpAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn read_answer(answer: &[u8]) -> io::Result<Option<SocketUser>> {
    /// `NLMSG_ERROR` of `linux/netlink.h`; the negative error number follows the header.
    const ERROR: u16 = 2;
    let number = |at: usize| -> io::Result<u32> {
        let bytes = answer.get(at..at + 4).and_then(|it| it.try_into().ok());
        bytes
            .map(u32::from_ne_bytes)
            .ok_or(io::ErrorKind::UnexpectedEof.into())
    };
    let kind = number(4)? as u16;
    match kind {
        BY_FAMILY => Ok(Some(SocketUser {
            uid: number(UID)?,
            inode: number(INODE)?,
        })),
        ERROR => {
            let code = number(HEADER)? as i32;
            let error = io::Error::from_raw_os_error(code.saturating_neg());
            match error.kind() {
                io::ErrorKind::NotFound => Ok(None),
                _ => Err(error),
            }
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The same from the list of all sockets.
fn in_proc(own: SocketAddr, remote: SocketAddr) -> io::Result<Option<SocketUser>> {
    let (own, remote) = (canonical(own), canonical(remote));
    // A socket that listens may do so on all addresses.
    let is_own = |found: SocketAddr| {
        let on_all = remote.port() == 0 && found.ip().is_unspecified();
        found == own || on_all && found.port() == own.port()
    };
    // A client may connect with an IPv6 socket to an IPv4 address, and a server listen with one.
    let is_remote = |found: SocketAddr| {
        found == remote || remote.port() == 0 && found.port() == 0 && found.ip().is_unspecified()
    };
    let mut lists = 0;
    for name in ["tcp", "tcp6"] {
        let Ok(list) = fs::read_to_string(format!("/proc/net/{name}")) else {
            continue;
        };
        lists += 1;
        let user = list.lines().skip(1).find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let is_it =
                is_own(read_address(fields.get(1)?)?) && is_remote(read_address(fields.get(2)?)?);
            let number = |at: usize| fields.get(at)?.parse().ok();
            is_it.then_some(SocketUser {
                uid: number(7)?,
                inode: number(9)?,
            })
        });
        if user.is_some() {
            return Ok(user);
        }
    }
    match lists {
        0 => Err(io::ErrorKind::Unsupported.into()),
        _ => Ok(None),
    }
}

/// `0100007F:2233` as an address: words of four bytes in the machine's order, then the port.
fn read_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words = ip.as_bytes().chunks(8).map(|word| {
        let word = std::str::from_utf8(word).ok()?;
        Some(u32::from_str_radix(word, 16).ok()?.to_ne_bytes())
    });
    let bytes: Vec<u8> = words.collect::<Option<Vec<_>>>()?.concat();
    let ip = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn both_ways_find_the_user_of_a_socket() {
        let own = rustix::process::geteuid().as_raw();
        for host in ["127.0.0.1", "::1"] {
            let listener = TcpListener::bind((host, 0)).unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, peer) = listener.accept().unwrap();
            let local = stream.local_addr().unwrap();
            let listed = in_proc(peer, local).unwrap().unwrap();
            assert_eq!(by_netlink(peer, local).unwrap(), Some(listed), "{host}");
            assert_eq!(listed.uid, own);
            assert_eq!(owner_of(peer, local).unwrap(), SocketOwner::Own);
            drop(client);
            // The closed socket has no owner, or is gone.
            let closed = owner_of(peer, local).unwrap();
            assert_eq!(closed, SocketOwner::Unknown, "{host}");
        }
    }

    #[test]
    fn the_server_of_a_connection_is_known_before_and_after_it_accepts() {
        for (bound, host) in [
            ("127.0.0.1", "127.0.0.1"),
            ("0.0.0.0", "127.0.0.1"),
            ("::1", "::1"),
            ("::", "::1"),
            ("::", "127.0.0.1"),
        ] {
            let listener = TcpListener::bind((bound, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let client = TcpStream::connect((host, port)).unwrap();
            let (server, own) = (client.peer_addr().unwrap(), client.local_addr().unwrap());
            let any = SocketAddr::new(canonical_any(server), 0);
            let listed = in_proc(server, any).unwrap();
            assert!(listed.is_some_and(|it| it.inode != 0), "{bound} {host}");
            assert_eq!(by_netlink(server, any).unwrap(), listed, "{bound} {host}");
            let waiting = owner_of_server(server, own).unwrap();
            assert_eq!(waiting, SocketOwner::Own, "{bound} {host}");
            let _accepted = listener.accept().unwrap();
            drop(listener);
            let accepted = owner_of_server(server, own).unwrap();
            assert_eq!(accepted, SocketOwner::Own, "{bound} {host}");
        }
    }

    #[test]
    fn a_client_elsewhere_has_no_known_owner() {
        let address = |text: &str| text.parse().unwrap();
        let owner = owner_of(address("192.0.2.7:99"), address("192.0.2.1:8765"));
        assert_eq!(owner.unwrap(), SocketOwner::Unknown);
        assert_eq!(
            read_address("0100007F:2233"),
            Some(address("127.0.0.1:8755"))
        );
        assert_eq!(read_address("xyz"), None);
    }
}
