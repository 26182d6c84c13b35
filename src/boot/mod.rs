//! The wiring diagram: what is started, in this order, and stopped in reverse.
//!
//! ```text
//! root ─┬─ watchdog                                                     every thread lives, or systemd hears of it
//!       ├─ bus, sessions, leases, lease-registry, writer, readers, reaper     the hub's core
//!       ├─ listener ── connections, accept                               clients come in
//!       ├─ pools ── POOL ── sessions, invocations                        `up` and `agent`
//!       ├─ gateway ── http, metrics                                      where enabled, and `api`
//!       └─ herald                                                        where systemd listens: how things stand
//! ```

mod house;
mod reload;
mod start;

use crate::blocking;
use crate::doctor;
use crate::notify;
use crate::signals::Signals;
use kirosu_config::Loaded;
use kirosu_hub::BindError;
use kirosu_providers::BuildError;
use kirosu_store::OpenError;
use kirosu_supervision::ExitReason;

pub use house::House;
pub use start::start;

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
        crate::watchdog::fault::hang_on_signal(&house.threads)?;
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
