//! Opens the listening sockets before any actor starts, so that a taken port is an error of the start with an exit code.

use std::fs::DirBuilder;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};

/// Connections that the kernel queues before they are accepted. tokio's own bind uses 128: with it, 900 clients that connect
/// at once stall for seconds.
const BACKLOG: i32 = 4096;

/// An error of opening a socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The host has no address.
    #[error(
        "cannot listen on {host}: {source}; name this machine by one of its addresses, {}",
        own_address(section)
    )]
    Resolve {
        /// The host as configured.
        host: String,
        /// The section of the settings that sets the host.
        section: &'static str,
        /// The resolver's error.
        source: io::Error,
    },
    /// The address is not a loopback address, and no key is set.
    #[error(
        "refusing to listen on {address}, beyond loopback, without a key: set KIRO_SWARM_KEY or `key_file` in [hub], or `host` in [{section}] to 127.0.0.1"
    )]
    NoKey {
        /// The address.
        address: SocketAddr,
        /// The section of the settings that sets the host.
        section: &'static str,
    },
    /// The address is not a loopback address, and connections would not be encrypted.
    #[error(
        "refusing to listen on {address}, beyond loopback, without TLS: set tls_certificate and tls_key in [{section}] (`kirosu tls new` makes both), or plain_beyond_loopback = true there if a tunnel or proxy protects the connections"
    )]
    Plain {
        /// The address.
        address: SocketAddr,
        /// The section of the settings that sets the host.
        section: &'static str,
    },
    /// The port is taken or not allowed, or the address is not of this machine.
    #[error("cannot listen on {address}: {source}; {}", advice(section, source))]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// The section of the settings that sets the port.
        section: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// Another process listens on the path.
    #[error("cannot listen on {0}: another process listens there")]
    SocketTaken(PathBuf),
    /// The path is not a socket. It is left alone.
    #[error(
        "cannot listen on {0}: it is there and is not a socket; move it away, or set another hub.socket"
    )]
    NotASocket(PathBuf),
    /// The path cannot be bound.
    #[error("cannot listen on {path}: {source}")]
    Unix {
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// The advice to use an address of this machine.
fn own_address(section: &str) -> String {
    let place = match section {
        "hub" => "with --host".to_owned(),
        _ => format!("as `host` in [{section}]"),
    };
    format!("{place}: 127.0.0.1 for programs of this machine, 0.0.0.0 for all (with a key and TLS)")
}

fn advice(section: &str, source: &io::Error) -> String {
    if source.kind() == io::ErrorKind::AddrNotAvailable {
        return format!(
            "this machine does not have that address; name one that it has, {}",
            own_address(section)
        );
    }
    let question = match source.kind() {
        io::ErrorKind::AddrInUse if section == "hub" => "is another hub running? ",
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege; ",
        _ => "",
    };
    match section {
        "hub" => format!("{question}choose another port with --port, or 0 for any free one"),
        _ => format!("{question}choose another `port` in [{section}], or 0 for any free one"),
    }
}

/// The protection of a TCP socket, without which it may not listen beyond loopback.
#[derive(Clone, Copy, Debug)]
pub struct Protection {
    /// Whether clients need a key that was set.
    pub has_key: bool,
    /// Whether connections are encrypted, or the settings allow plain ones.
    pub is_secure: bool,
}

/// Listens on `host:port`. `section` of the settings is named in errors.
///
/// # Errors
///
/// Fails if the host has no address, the address is not loopback and lacks protection, or the system refuses to bind it.
pub fn tcp(
    host: &str,
    port: u16,
    protection: Protection,
    section: &'static str,
) -> Result<std::net::TcpListener, BindError> {
    let resolve = |source| BindError::Resolve {
        host: host.to_owned(),
        section,
        source,
    };
    // An IPv6 address may be written in brackets, as in a URL.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = (bare, port)
        .to_socket_addrs()
        .map_err(resolve)?
        .next()
        .ok_or_else(|| {
            resolve(io::Error::new(
                io::ErrorKind::NotFound,
                "the name has no address",
            ))
        })?;
    if !address.ip().is_loopback() {
        match protection {
            Protection { has_key: false, .. } => {
                return Err(BindError::NoKey { address, section });
            }
            Protection {
                is_secure: false, ..
            } => return Err(BindError::Plain { address, section }),
            _ => {}
        }
    }
    listen_tcp(address).map_err(|source| BindError::Tcp {
        address,
        section,
        source,
    })
}

fn listen_tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
    // A restarted hub does not wait for the TIME_WAIT of old connections.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &address)?;
    net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Listens on a Unix socket that only its owner may use. Replaces a socket that a dead hub left behind.
///
/// # Errors
///
/// Fails if another process listens on the path, the path is not a socket, or it cannot be created.
pub fn unix(path: &Path) -> Result<StdUnixListener, BindError> {
    let wrap = |source| BindError::Unix {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(wrap)?;
    }
    if let Ok(found) = path.symlink_metadata() {
        if !found.file_type().is_socket() {
            return Err(BindError::NotASocket(path.to_owned()));
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(BindError::SocketTaken(path.to_owned()));
        }
        std::fs::remove_file(path).map_err(wrap)?;
    }
    listen_unix(path).map_err(wrap)
}

/// As [`unix`], in a folder of this user's own, which is made (mode 0700) if it is missing. For a default place, which the
/// user has not named: no folder of another user is used.
///
/// # Errors
///
/// As [`unix`], and if the folder, or the one in which it would be made, belongs to another user.
pub fn default_unix(path: &Path) -> Result<StdUnixListener, BindError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    own_folder(folder).map_err(|source| BindError::Unix {
        path: path.to_owned(),
        source,
    })?;
    unix(path)
}

fn own_folder(folder: &Path) -> io::Result<()> {
    let check = |folder: &Path| {
        let found = folder.symlink_metadata()?;
        let is_own = found.uid() == rustix::process::geteuid().as_raw();
        match found.is_dir() && is_own {
            true => Ok(()),
            false => Err(io::Error::other(format!(
                "{} is not a folder of this user",
                folder.display()
            ))),
        }
    };
    match check(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            check(folder.parent().unwrap_or(Path::new("/")))?;
            DirBuilder::new().mode(0o700).create(folder)
        }
        checked => checked,
    }
}

fn listen_unix(path: &Path) -> io::Result<StdUnixListener> {
    use rustix::fs::{Mode, fchmod};
    use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // Linux gives the file the mode of the socket, less the umask: it is its owner's alone from the beginning.
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    net::bind(&socket, &address)?;
    net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}
