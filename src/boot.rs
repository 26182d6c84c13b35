//! The wiring diagram: what is started, in this order, and stopped in reverse.
//!
//! ```text
//! root ─┬─ watchdog                                                     every thread lives, or systemd hears of it
//!       ├─ bus, sessions, leases, lease-book, writer, readers, reaper     the hub's core
//!       ├─ listener ── connections, accept                               clients come in
//!       ├─ pools ── POOL ── sessions, invocations                        `up` and `agent`
//!       ├─ gateway ── http, metrics                                      where enabled, and `api`
//!       └─ herald                                                        where systemd listens: how things stand
//! ```

use crate::blocking;
use crate::cli::RUNNER_VERB;
use crate::doctor;
use crate::notify::{self, Manager};
use crate::options;
use crate::signals::{Signal, Signals};
use crate::watchdog;
use kirosu_config::settings::StoreThread;
use kirosu_config::{Loaded, Settings};
use kirosu_gateway::GatewayHandle;
use kirosu_hub::{BindError, Hub, HubParts, HubThreads, Pools, Sockets};
use kirosu_protocol::client::Endpoint;
use kirosu_protocol::verbs::pools::{PoolsAnswer, PoolsAsk};
use kirosu_providers::{BuildError, Containment, Runner};
use kirosu_store::{OpenError, Store};
use kirosu_supervision::{
    ChildSpec, Clock, ExitReason, Intensity, Root, Strategy, SupervisorSpec, Threads,
};
use kirosu_swarm::SwarmHandle;
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::sync::{Mutex, mpsc};

/// How long threads get to end after everything on them has stopped.
const THREADS_END: Duration = Duration::from_secs(5);
/// How long watchers may take to be told that the hub stops.
const STOP_TOLD: Duration = Duration::from_secs(1);
/// Connections from within the process that may wait to be accepted.
const LOCAL_BACKLOG: usize = 256;

/// Why the house could not be started, or ended in disorder.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A socket could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// A pool's provider is wrong.
    #[error("cannot start pool {pool}: {source}")]
    Provider {
        /// The pool.
        pool: String,
        /// What is wrong.
        source: BuildError,
    },
    /// The rules for tool calls are wrong.
    #[error("cannot start pools: approval.{0}")]
    Approval(String),
    /// The machine refused a thread or a signal handler.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    /// The hub listens but does not answer.
    #[error(transparent)]
    NoAnswer(#[from] notify::NoAnswer),
    /// The supervisor gave up.
    #[error("the supervisor gave up: {0}; the log above names the actor that kept failing")]
    GaveUp(ExitReason),
}

impl BootError {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        1
    }
}

/// A running house: a hub, pools, a gateway, or several of them.
pub struct House {
    root: Root,
    hub: Option<Hub>,
    /// Where the hub listens.
    pub address: Option<SocketAddr>,
    /// Connects to the hub from within the process.
    pub local: Option<Endpoint>,
    /// The pools.
    pub swarm: Option<SwarmHandle>,
    /// REST and the like.
    pub gateway: Option<GatewayHandle>,
    containment: Containment,
    threads: Threads,
    /// systemd, where it started this process.
    manager: Option<Manager>,
}

/// `kirosu up`: a hub and the configured pools.
pub fn up(loaded: Loaded) -> Result<(), BootError> {
    run(loaded, Rooms::HubAndPools)
}

/// `kirosu hub`: a hub without pools.
pub fn hub(loaded: Loaded) -> Result<(), BootError> {
    run(loaded, Rooms::Hub)
}

/// `kirosu agent`: pools for a hub elsewhere.
pub fn agent(loaded: Loaded) -> Result<(), BootError> {
    run(loaded, Rooms::Pools)
}

/// `kirosu api`: a gateway for a hub elsewhere.
pub fn api(loaded: Loaded) -> Result<(), BootError> {
    run(loaded, Rooms::Gateway)
}

/// What a process consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rooms {
    /// A hub only.
    Hub,
    /// A hub and pools beside it.
    HubAndPools,
    /// Pools only.
    Pools,
    /// A gateway only.
    Gateway,
}

impl Rooms {
    fn has_hub(self) -> bool {
        matches!(self, Rooms::Hub | Rooms::HubAndPools)
    }

    fn has_pools(self) -> bool {
        matches!(self, Rooms::Pools | Rooms::HubAndPools)
    }
}

fn run(loaded: Loaded, rooms: Rooms) -> Result<(), BootError> {
    let serve = async move {
        let mut signals = Signals::listen()?;
        kirosu_providers::containment::raise_limit();
        if rooms.has_pools()
            && let Some(why) = doctor::too_few_files(&loaded.settings)
        {
            tracing::warn!("{why}");
        }
        let house = start(&loaded.settings, rooms).await?;
        #[cfg(feature = "fault-injection")]
        watchdog::fault::hang_on_signal(&house.threads)?;
        house.announce(&loaded.settings);
        let house = house.tell_ready(&loaded.settings).await?;
        house.serve(&mut signals, loaded, rooms).await
    };
    let runtime = blocking::runtime()?;
    let system = actix_rt::System::with_tokio_rt(move || runtime);
    let served = system.block_on(async {
        tokio::task::spawn_local(blocking::keep_a_helper());
        // A task of its own: what `block_on` holds is polled whenever anything happens on this thread.
        tokio::task::spawn_local(serve).await
    });
    served.unwrap_or_else(|error| Err(BootError::System(std::io::Error::other(error))))
}

/// Starts the rooms on this thread, which must run an actix system.
pub async fn start(settings: &Settings, rooms: Rooms) -> Result<House, BootError> {
    crate::panics::to_log();
    let boot = boot_id();
    let threads = Threads::new();
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
        root = root.children(parts.core).child(parts.front);
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
    })
}

fn hub_parts(
    settings: &Settings,
    incoming: mpsc::Receiver<DuplexStream>,
    threads: &Threads,
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

fn key_of(settings: &Settings) -> Option<String> {
    let key = settings.hub.key.as_ref();
    key.map(|key| key.expose().to_owned())
}

fn remote_name(settings: &Settings) -> String {
    match &settings.hub.socket {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", settings.hub.host, settings.hub.port),
    }
}

/// The swarm, through the hub's keyhole.
struct PoolsOf(SwarmHandle);

impl Pools for PoolsOf {
    fn pools(
        &self,
        ask: PoolsAsk,
    ) -> Pin<Box<dyn Future<Output = Result<PoolsAnswer, kirosu_protocol::Error>> + Send>> {
        let swarm = self.0.clone();
        Box::pin(async move { swarm.pools(ask).await })
    }
}

impl House {
    /// The first lines of output, which clients and scripts read; and what stands, for the log.
    fn announce(&self, settings: &Settings) {
        let pools: Vec<&str> = settings
            .pools
            .iter()
            .map(|pool| pool.name.as_str())
            .collect();
        let pools = if self.swarm.is_some() {
            pools.join(", ")
        } else {
            String::new()
        };
        let mut lines = String::new();
        if let Some(address) = self.address {
            tracing::info!(%address, store = %settings.store.path.display(), pools, "ready");
            lines.push_str(&format!("KIRO_SWARM_HUB tcp://{address}\n"));
        } else {
            tracing::info!(pools, hub = %remote_name(settings), "ready");
        }
        let gateway = self.gateway.as_ref();
        if let Some(address) = gateway.and_then(|gateway| gateway.http) {
            tracing::info!(%address, "REST is served");
            lines.push_str(&format!("KIRO_SWARM_API http://{address}\n"));
        }
        if let Some(address) = gateway.and_then(|gateway| gateway.metrics) {
            tracing::info!(%address, "metrics are served");
            lines.push_str(&format!("KIRO_SWARM_METRICS http://{address}/metrics\n"));
        }
        let mut out = std::io::stdout().lock();
        // A closed stdout is no reason not to serve.
        let _ = out.write_all(lines.as_bytes()).and_then(|()| out.flush());
    }

    /// Tells systemd, where it listens, that the house is ready: a hub, once it has answered a client.
    async fn tell_ready(self, settings: &Settings) -> Result<House, BootError> {
        let Some(manager) = self.manager.clone() else {
            return Ok(self);
        };
        if let Some(address) = self.address
            && let Err(error) = notify::answers(address, key_of(settings).as_deref()).await
        {
            self.stop().await;
            return Err(error.into());
        }
        manager.ready();
        Ok(self)
    }

    /// Serves until a signal or a client asks for the end.
    async fn serve(
        self,
        signals: &mut Signals,
        mut loaded: Loaded,
        rooms: Rooms,
    ) -> Result<(), BootError> {
        loop {
            let signal = tokio::select! {
                signal = signals.next() => signal,
                () = shutdown_asked(self.hub.as_ref()) => Signal::Stop,
                reason = self.root.ended() => {
                    self.stop().await;
                    return Err(BootError::GaveUp(reason));
                }
            };
            match signal {
                Signal::Stop => break,
                Signal::Reload => self.reload(&mut loaded, rooms).await,
            }
        }
        self.stop_or_hurry(signals, loaded.settings.shutdown.drain)
            .await;
        Ok(())
    }

    async fn reload(&self, loaded: &mut Loaded, rooms: Rooms) {
        let manager = self.manager.as_ref();
        manager.inspect(|manager| manager.reloading());
        crate::reload::reload(self, loaded, rooms).await;
        manager.inspect(|manager| manager.ready());
    }

    /// Stops in order; a second signal skips what may take long.
    async fn stop_or_hurry(self, signals: &mut Signals, drain: Duration) {
        if let Some(manager) = &self.manager {
            manager.stopping(drain);
        }
        if self.swarm.is_some() {
            let drain = humantime_seconds(drain);
            tracing::info!(
                "stopping; running tasks have {drain} to end, a second signal gives them back at once"
            );
        }
        let (swarm, root) = (self.swarm.clone(), self.root.clone());
        let stopping = self.stop();
        tokio::pin!(stopping);
        let mut hurried = false;
        loop {
            tokio::select! {
                _ = &mut stopping => return,
                Signal::Stop = signals.next() => match (&swarm, hurried) {
                    (Some(swarm), false) => {
                        tracing::warn!("stopping at once");
                        swarm.stop_now();
                        hurried = true;
                    }
                    _ => root.kill(),
                },
                else => {}
            }
        }
    }

    /// Stops everything in reverse order and joins the threads.
    pub async fn stop(self) -> ExitReason {
        if let Some(hub) = &self.hub {
            hub.drain();
            // A hub whose actors hang must stop all the same.
            let _ = tokio::time::timeout(STOP_TOLD, hub.announce_stop()).await;
        }
        let reason = self.root.shutdown().await;
        for thread in self.threads.stop(THREADS_END).await {
            tracing::error!(%thread, "a thread did not end in time and is left behind");
        }
        reason
    }

    /// Makes the swarm consist of these pools.
    pub async fn reload_pools(&self, settings: &Settings) -> Result<(), BootError> {
        if let Some(swarm) = &self.swarm {
            swarm
                .reload(options::pools(settings, &self.containment)?)
                .await;
        }
        Ok(())
    }

    /// The hub's handle, where there is one.
    pub fn hub(&self) -> Option<&Hub> {
        self.hub.as_ref()
    }
}

/// Resolves when a client asks for shutdown; never without a hub.
async fn shutdown_asked(hub: Option<&Hub>) {
    match hub {
        Some(hub) => hub.shutdown_asked().await,
        None => std::future::pending().await,
    }
}

fn humantime_seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64().round())
}

/// Another word with each start.
fn boot_id() -> String {
    format!("{:x}-{:x}", options::now_ms(), std::process::id())
}
