//! The wiring diagram: what is started, in this order, and stopped in reverse.
//!
//! ```text
//! root ── bus, sessions, leases, lease-book, writer, readers, reaper     the hub's core
//!      ├─ pools ── POOL ── sessions, invocations                        `up` only
//!      └─ listener ── connections, accept                               clients come in last
//! ```

use crate::options;
use crate::signals::{Signal, Signals};
use kirosu_config::settings::StoreThread;
use kirosu_config::{Loaded, Settings};
use kirosu_hub::{BindError, Connect, Hub, HubParts, HubThreads, Sockets};
use kirosu_store::{OpenError, Store};
use kirosu_supervision::{ChildSpec, Clock, ExitReason, Intensity, Root, Strategy, SupervisorSpec, Threads};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long threads get to end after everything on them has stopped.
const THREADS_END: Duration = Duration::from_secs(5);

/// Why the house could not be started, or ended in disorder.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A socket could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The machine refused a thread or a signal handler.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    /// The supervisor gave up.
    #[error("the supervisor gave up: {0}; the log above names the actor, `kirosu config check` and the disk are places to look")]
    GaveUp(ExitReason),
}

impl BootError {
    /// The process's exit code: 1, as for everything that failed.
    pub fn exit_code(&self) -> u8 {
        1
    }
}

/// A running hub.
pub struct House {
    /// The supervision tree.
    pub root: Root,
    /// The hub's handle.
    pub hub: Hub,
    /// Where it listens, if it does.
    pub address: Option<SocketAddr>,
    threads: Threads,
}

/// Starts a hub on this thread, which must run an actix system.
pub async fn start(settings: &Settings) -> Result<House, BootError> {
    let hub_options = options::hub(settings);
    let has_key = hub_options.key.is_some();
    let sockets = Sockets {
        tcp: Some(Arc::new(kirosu_hub::bind::tcp(&settings.hub.host, settings.hub.port, has_key)?)),
        unix: settings.hub.socket.as_deref().map(kirosu_hub::bind::unix).transpose()?.map(Arc::new),
    };
    let address = sockets.tcp.as_ref().and_then(|socket| socket.local_addr().ok());

    let store_options = options::store(settings);
    let store = Store::open(&store_options)?;

    let threads = Threads::new();
    let hub_threads = HubThreads {
        writer: match settings.threads.store {
            StoreThread::Shared => None,
            StoreThread::Own => Some(threads.start("store")?),
        },
        readers: Some(threads.start("readers")?),
    };
    let parts = HubParts::build(hub_options, store, store_options, sockets, &hub_threads, boot_id());
    let root = SupervisorSpec::new("root")
        .strategy(Strategy::OneForOne)
        .intensity(Intensity { restarts: 20, period: Duration::from_secs(60) })
        .children(parts.core)
        .child(parts.front);
    let root = Root::start(root, Clock::system());
    parts.hub.set_tree(root.tree());
    Ok(House { root, hub: parts.hub, address, threads })
}

impl House {
    /// Stops everything in order and joins the threads.
    pub async fn stop(self) -> ExitReason {
        let reason = self.root.shutdown().await;
        for thread in self.threads.stop(THREADS_END).await {
            tracing::error!(%thread, "a thread did not end in time and is left behind");
        }
        reason
    }

    /// Serves until a signal or a client asks for the end.
    async fn serve(self) -> Result<(), BootError> {
        let mut signals = Signals::listen()?;
        let asked = tokio::select! {
            signal = signals.next() => signal,
            () = self.hub.shutdown_asked() => Signal::Stop,
            reason = self.root.ended() => {
                self.stop().await;
                return Err(BootError::GaveUp(reason));
            }
        };
        let _ = asked;
        self.stop().await;
        Ok(())
    }
}

/// `kirosu hub`: serves clients, runs no agents.
pub fn hub(loaded: Loaded) -> Result<(), BootError> {
    actix_rt::System::new().block_on(async {
        let house = start(&loaded.settings).await?;
        announce(&house);
        house.serve().await
    })
}

/// The first line of output, which clients and scripts read.
fn announce(house: &House) {
    if let Some(address) = house.address {
        let mut out = std::io::stdout().lock();
        // A closed stdout is no reason not to serve.
        let _ = writeln!(out, "KIRO_SWARM_HUB tcp://{address}").and_then(|()| out.flush());
    }
}

/// Another word with each start.
fn boot_id() -> String {
    format!("{:x}-{:x}", options::now_ms(), std::process::id())
}
