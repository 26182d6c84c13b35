//! The address at which clients find the hub, and the default place of its Unix socket.

use std::path::{Path, PathBuf};

use crate::load::Loaded;
use crate::origin::{Origin, Origins};
use crate::settings::{HubPort, Settings};

/// The hub's address for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubAddress {
    /// Host and port; 0 is the port of a hub that takes any free one.
    Tcp(String, u16),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Loaded {
    /// The hub's address. A socket wins if it was named by a stronger source than host and port, or by an equally strong one
    /// and exists. Without a TCP port it is the socket that is set, else the default one.
    ///
    /// # Errors
    /// The settings name a host whose port is `off`, or no address at all.
    pub fn hub_address(&self) -> Result<HubAddress, String> {
        hub_address(&self.settings, &self.origins)
    }
}

pub(crate) fn hub_address(settings: &Settings, origins: &Origins) -> Result<HubAddress, String> {
    let hub = &settings.hub;
    let rank = |key| origins.get(key).map_or(0, Origin::rank);
    let (host, port) = (rank("hub.host"), rank("hub.port"));
    if let Some(socket) = &hub.socket {
        let close = rank("hub.socket");
        if close > host.max(port) || (close == host.max(port) && socket.exists()) {
            return Ok(HubAddress::Unix(socket.clone()));
        }
    }
    match (hub.port, hub.socket.as_ref().or(settings.default_socket.as_ref())) {
        (HubPort::Number(number), _) => Ok(HubAddress::Tcp(hub.host.clone(), number)),
        (HubPort::Off, _) if host > port => Err(format!(
            "the settings have hub.port = \"off\": name the port of the hub on {} with --port",
            hub.host
        )),
        (HubPort::Off, Some(socket)) => Ok(HubAddress::Unix(socket.clone())),
        (HubPort::Off, None) => Err(
            "the settings have hub.port = \"off\" and no hub.socket: name the hub's socket with --socket, or its port with --port"
                .to_owned(),
        ),
    }
}

/// The default place of the hub's Unix socket: the folder that systemd makes for a service (`RuntimeDirectory=`), else the one
/// of the user's login session (XDG). `None`: neither is there.
pub(crate) fn default_socket(var: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let folder = |name: &str| {
        // systemd separates several folders with colons.
        let folders = var(name)?;
        let first = folders.split(':').next().map(Path::new);
        first.filter(|it| it.is_absolute()).map(Path::to_owned)
    };
    let of_service = || Some(folder("RUNTIME_DIRECTORY")?.join("kirosu.sock"));
    let of_user = || Some(folder("XDG_RUNTIME_DIR")?.join("kirosu/hub.sock"));
    of_service().or_else(of_user)
}
