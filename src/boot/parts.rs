//! The hub and the pools of a process: their sockets, store and threads, and their specs.

use super::BootError;
use crate::options::{self, TlsAcceptors};
use kirosu_config::{HubPort, Secret, Settings, StoreThread, own_key_or_new, run_secret_or_new};
use kirosu_hub::{BindError, HubParts, HubThreads, Pools, Protection, Sockets, bind};
use kirosu_protocol::access::new_secret;
use kirosu_protocol::client::Endpoint;
use kirosu_protocol::settings::Keyless;
use kirosu_protocol::{PoolsAnswer, PoolsParams};
use kirosu_providers::{Cgroups, Containment, containment, signals_missing};
use kirosu_store::Store;
use kirosu_supervision::{ChildSpec, ThreadRegistry};
use kirosu_swarm::{AgentAddress, SwarmHandle};
use std::future::Future;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::DuplexStream;
use tokio::sync::{Mutex, mpsc};

/// The addresses on which a hub listens.
#[derive(Debug, Default)]
pub struct Doors {
    /// The TCP address.
    pub address: Option<SocketAddr>,
    /// The path of the Unix socket.
    pub socket: Option<PathBuf>,
}

/// Opens the hub's sockets and its store, and starts its threads. Returns its specs and its addresses.
///
/// # Errors
/// A socket, the store or a thread cannot be opened.
pub(super) fn hub(
    settings: &Settings,
    incoming: mpsc::Receiver<DuplexStream>,
    threads: &ThreadRegistry,
    boot_id: &str,
    acceptors: &mut TlsAcceptors,
) -> Result<(HubParts, Doors), BootError> {
    let key = hub_key(settings)?;
    let hub_options = options::hub(settings, &key, run_secret(settings)?);
    let tls = acceptors.open("hub.tls_certificate", settings.hub.tls())?;
    let protection = Protection {
        has_key: settings.hub.key.is_some(),
        is_secure: tls.is_some() || settings.hub.plain_beyond_loopback,
    };
    if hub_options.keyless == Keyless::AnyLocalUser {
        tracing::warn!(
            "hub.keyless = \"any-local-user\": every user of this machine can read prompts, add tasks and stop the hub"
        );
    }
    let (unix, socket) = unix_socket(settings)?.unzip();
    let sockets = Sockets {
        tcp: match settings.hub.port {
            HubPort::Off => None,
            HubPort::Number(port) => {
                let socket = bind::tcp(&settings.hub.host, port, protection, "hub")?;
                Some(Arc::new(socket))
            }
        },
        tls,
        unix: unix.map(Arc::new),
        local: Some(Arc::new(Mutex::new(incoming))),
    };
    let tcp = sockets.tcp.as_ref();
    let doors = Doors {
        address: tcp.and_then(|socket| socket.local_addr().ok()),
        socket,
    };
    let store_options = options::store(settings);
    let store = Store::open(&store_options)?;
    let hub_threads = HubThreads {
        writer: match settings.threads.store {
            StoreThread::Shared => None,
            StoreThread::Own => Some(threads.start("store")?),
        },
        conductor: Some(threads.start("conductor")?),
        readers: (1..=settings.store.readers)
            .map(|number| threads.start(&format!("reader-{number}")))
            .collect::<Result<_, _>>()?,
    };
    let parts = HubParts::build(
        hub_options,
        store,
        store_options,
        sockets,
        &hub_threads,
        boot_id.to_owned(),
    );
    Ok((parts, doors))
}

/// Listens on the Unix socket of the settings, else on the default one. If that cannot be used, a hub with a TCP port runs
/// without it. `Ok(None)` means that the hub has no Unix socket.
fn unix_socket(settings: &Settings) -> Result<Option<(UnixListener, PathBuf)>, BindError> {
    if let Some(path) = &settings.hub.socket {
        return Ok(Some((bind::unix(path)?, path.clone())));
    }
    let Some(path) = &settings.default_socket else {
        return Ok(None);
    };
    match bind::default_unix(path) {
        Ok(socket) => Ok(Some((socket, path.clone()))),
        Err(error) if settings.hub.port == HubPort::Off => Err(error),
        Err(BindError::SocketTaken(path)) => {
            tracing::info!(
                socket = %path.display(),
                "another hub of this user has the default socket; this one listens on its TCP port only"
            );
            Ok(None)
        }
        Err(error) => {
            tracing::warn!(%error, "the hub listens on its TCP port only; `hub.socket` names another socket");
            Ok(None)
        }
    }
}

/// Ends the processes that a killed earlier run of this instance has left, and builds the pools.
///
/// # Errors
/// The settings of a pool or the approval rules are invalid, or the system cannot bound the runs of a pool.
pub(super) async fn pools(
    settings: &Settings,
    endpoint: Endpoint,
    agent_hub: Option<AgentAddress>,
    containment: &Containment,
    boot_id: &str,
) -> Result<(ChildSpec, SwarmHandle), BootError> {
    let instance = containment.instance.clone();
    let sweep = tokio::task::spawn_blocking(move || {
        let cgroups = Cgroups::of_this_process();
        if let Some(why) = cgroups.missing() {
            tracing::info!(
                "runs have no cgroup of their own, so their processes are found by group, session and a mark in their environment: {why}"
            );
        }
        containment::sweep_instance(&instance, options::KILL_GRACE)
    });
    if let Ok(swept) = sweep.await
        && swept.ended > 0
    {
        tracing::warn!(
            ended = swept.ended,
            "ended processes that an earlier run had left behind"
        );
    }
    let swarm = options::swarm(settings, endpoint, agent_hub, containment, boot_id)?;
    let is_sandboxed = swarm.pools.iter().any(|it| it.bounds.sandbox.is_some());
    if let (true, Some(why)) = (is_sandboxed, signals_missing()) {
        tracing::warn!(
            "a sandbox does not keep runs from signalling other processes of their user: {why}"
        );
    }
    Ok(kirosu_swarm::specs(swarm))
}

/// The way to this process's hub for agents on this machine. `None`: it has no socket.
pub(super) fn agent_hub(settings: &Settings, doors: &Doors) -> Option<AgentAddress> {
    let tcp = doors.address.map(|mut address| {
        // A hub listens on every address, but clients need one.
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        AgentAddress {
            address: address.to_string(),
            // Clients with this setting verify the certificate in that file, also after it was renewed.
            tls: path_variable("KIROSU_HUB__TLS_CERTIFICATE", &settings.hub.tls_certificate),
        }
    });
    let socket = || {
        Some(AgentAddress {
            address: doors.socket.as_ref()?.display().to_string(),
            tls: None,
        })
    };
    tcp.or_else(socket)
}

fn path_variable(name: &str, path: &Option<PathBuf>) -> Option<(String, String)> {
    let path = path.as_ref()?;
    Some((name.to_owned(), path.display().to_string()))
}

/// The way to a hub in another process for agents of this one.
pub(super) fn remote_agent_hub(settings: &Settings, endpoint: &Endpoint) -> AgentAddress {
    let hub = &settings.hub;
    let fingerprint = hub.tls_fingerprint.as_ref().map(|it| {
        let name = "KIROSU_HUB__TLS_FINGERPRINT";
        (name.to_owned(), it.clone())
    });
    let authority = path_variable("KIROSU_HUB__TLS_CA", &hub.tls_ca);
    AgentAddress {
        address: endpoint.to_string(),
        tls: fingerprint.or(authority),
    }
}

/// The hub's key: that of the settings, else the one that a hub makes for itself.
///
/// # Errors
/// The hub's own key cannot be read or made.
pub(super) fn hub_key(settings: &Settings) -> Result<Secret, BootError> {
    match &settings.hub.key {
        Some(key) => Ok(key.clone()),
        None => own_key_or_new(&settings.data_dir).map_err(BootError::OwnKey),
    }
}

/// The secret of the tokens of runs. Without a place for it, the tokens end with this process.
fn run_secret(settings: &Settings) -> Result<Secret, BootError> {
    run_secret_or_new(&settings.store.path).or_else(|error| {
        tracing::warn!(
            "{error}; agents that are running when the hub restarts lose their access to it"
        );
        let secret = new_secret().map_err(|error| BootError::OwnKey(error.to_string()))?;
        Ok(Secret::new(secret))
    })
}

/// The pools of this process for the hub's verb `pools`.
pub(super) fn pools_of(swarm: &SwarmHandle) -> Arc<dyn Pools> {
    Arc::new(SwarmPools(swarm.clone()))
}

struct SwarmPools(SwarmHandle);

impl Pools for SwarmPools {
    fn pools(
        &self,
        params: PoolsParams,
    ) -> Pin<Box<dyn Future<Output = Result<PoolsAnswer, kirosu_protocol::Error>> + Send>> {
        let swarm = self.0.clone();
        Box::pin(async move { swarm.pools(params).await })
    }
}
