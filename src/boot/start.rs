//! What a process starts, in its order.

use super::house::House;
use super::reload::Requests;
use super::{BootError, Rooms};
use crate::cli::RUNNER_VERB;
use crate::notify::{self, Manager};
use crate::options;
use crate::watchdog;
use kirosu_config::Settings;
use kirosu_config::settings::StoreThread;
use kirosu_hub::{HubParts, HubThreads, Pools, Sockets};
use kirosu_protocol::client::Endpoint;
use kirosu_protocol::verbs::pools::{PoolsAnswer, PoolsParams};
use kirosu_providers::{Containment, Runner};
use kirosu_store::Store;
use kirosu_supervision::{
    ChildSpec, Clock, Intensity, Root, Strategy, SupervisorSpec, ThreadRegistry,
};
use kirosu_swarm::SwarmHandle;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::sync::{Mutex, mpsc};

/// Connections from within the process that may wait to be accepted.
const LOCAL_BACKLOG: usize = 256;

/// Starts the rooms on this thread, which must run an actix system.
pub async fn start(settings: &Settings, rooms: Rooms) -> Result<House, BootError> {
    crate::panics::to_log();
    let boot = boot_id();
    let threads = ThreadRegistry::new();
    threads.adopt();
    let manager = Manager::from_environment();
    let mut root = SupervisorSpec::new("root")
        .strategy(Strategy::OneForOne)
        .intensity(Intensity {
            restarts: 20,
            period: Duration::from_secs(60),
        })
        .child(watchdog::spec(&threads, manager.as_ref())?);
    let (connect, incoming) = mpsc::channel(LOCAL_BACKLOG);
    let (mut hub, mut address) = (None, None);
    if rooms.has_hub() {
        let (parts, bound) = hub_parts(settings, incoming, &threads, &boot)?;
        address = bound;
        root = root
            .child(parts.bus)
            .child(parts.sessions)
            .child(parts.leases)
            .child(parts.lease_registry)
            .child(parts.writer)
            .child(parts.readers)
            .child(parts.reaper)
            .child(parts.listener);
        hub = Some(parts.hub);
    }
    let mut swarm = None;
    // After the store is locked: the sweep must not meet another living house of this name.
    let containment = Containment::new(
        Runner::this_executable(RUNNER_VERB),
        options::instance(settings, rooms, &boot),
    );
    let endpoint = match rooms.has_hub() {
        true => Endpoint::InMemory(connect.clone()),
        false => remote(settings),
    };
    if rooms.has_pools() {
        let (spec, handle) = pools(settings, endpoint.clone(), &containment, &boot).await?;
        root = root.child(spec);
        swarm = Some(handle);
    }
    let mut gateway = None;
    if let Some(options) = options::gateway(settings, endpoint, rooms)? {
        let (spec, handle) = kirosu_gateway::specs(options);
        // Nothing of it runs where the hub does: whatever its clients do, the hub's thread is not the one that suffers.
        root = root.child(spec.on(&threads.start("gateway")?));
        gateway = Some(handle);
    }
    if let Some(manager) = &manager {
        let hub = match rooms.has_hub() {
            true => Endpoint::InMemory(connect.clone()),
            false => remote(settings),
        };
        let key = key_of(settings);
        root = root.child(notify::spec(manager, &hub, key, swarm.as_ref()));
    }
    let root = Root::start(root, Clock::system());
    if let Some(hub) = &hub {
        hub.set_tree(root.tree());
        if let Some(swarm) = &swarm {
            hub.set_pools(Arc::new(PoolsOf(swarm.clone())));
        }
    }
    let reloads = Requests::of(hub.as_ref());
    let local = hub.is_some().then_some(Endpoint::InMemory(connect));
    Ok(House {
        root,
        hub,
        address,
        local,
        swarm,
        gateway,
        containment,
        threads,
        manager,
        reloads,
    })
}

fn hub_parts(
    settings: &Settings,
    incoming: mpsc::Receiver<DuplexStream>,
    threads: &ThreadRegistry,
    boot: &str,
) -> Result<(HubParts, Option<SocketAddr>), BootError> {
    let hub_options = options::hub(settings);
    let has_key = hub_options.key.is_some();
    let sockets = Sockets {
        tcp: Some(Arc::new(kirosu_hub::bind::tcp(
            &settings.hub.host,
            settings.hub.port,
            has_key,
            "hub",
        )?)),
        unix: settings
            .hub
            .socket
            .as_deref()
            .map(kirosu_hub::bind::unix)
            .transpose()?
            .map(Arc::new),
        local: Some(Arc::new(Mutex::new(incoming))),
    };
    let address = sockets
        .tcp
        .as_ref()
        .and_then(|socket| socket.local_addr().ok());
    let store_options = options::store(settings);
    let store = Store::open(&store_options)?;
    let hub_threads = HubThreads {
        writer: match settings.threads.store {
            StoreThread::Shared => None,
            StoreThread::Own => Some(threads.start("store")?),
        },
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
        boot.to_owned(),
    );
    Ok((parts, address))
}

async fn pools(
    settings: &Settings,
    endpoint: Endpoint,
    containment: &Containment,
    boot: &str,
) -> Result<(ChildSpec, SwarmHandle), BootError> {
    // Before the first run of ours: end what a killed life of this house left behind.
    let instance = containment.instance.clone();
    let sweep = tokio::task::spawn_blocking(move || {
        kirosu_providers::containment::sweep_instance(&instance, options::KILL_GRACE)
    });
    match sweep.await {
        Ok(swept) if swept.ended > 0 => {
            let ended = swept.ended;
            tracing::warn!(ended, "ended processes that an earlier run had left behind");
        }
        _ => {}
    }
    let swarm = options::swarm(settings, endpoint, containment, boot)?;
    Ok(kirosu_swarm::specs(swarm))
}

fn remote(settings: &Settings) -> Endpoint {
    match &settings.hub.socket {
        Some(socket) => Endpoint::Unix(socket.clone()),
        None => Endpoint::Tcp(settings.hub.host.clone(), settings.hub.port),
    }
}

pub(super) fn key_of(settings: &Settings) -> Option<String> {
    let key = settings.hub.key.as_ref();
    key.map(|key| key.expose().to_owned())
}

/// The swarm, through the hub's keyhole.
struct PoolsOf(SwarmHandle);

impl Pools for PoolsOf {
    fn pools(
        &self,
        ask: PoolsParams,
    ) -> Pin<Box<dyn Future<Output = Result<PoolsAnswer, kirosu_protocol::Error>> + Send>> {
        let swarm = self.0.clone();
        Box::pin(async move { swarm.pools(ask).await })
    }
}

/// Another word with each start.
fn boot_id() -> String {
    format!("{:x}-{:x}", options::now_ms(), std::process::id())
}
