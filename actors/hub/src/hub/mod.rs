//! The handle to the hub: the addresses of its actors, which survive restarts, its limits and its counters.

mod counters;

use crate::access_log::AccessLog;
use crate::bus::{Bus, FollowTree, Publish, SharedRing, SharedTree};
use crate::compile_turns::CompileTurns;
use crate::connection_registry::ConnectionRegistry;
use crate::credentials::Keys;
use crate::leases::Leases;
use crate::options::HubOptions;
use crate::readers::Readers;
use crate::refusal_log::RefusalLog;
use crate::runs::{LiveRuns, RunTokens};
use crate::sessions::{Sessions, SetGrace};
use crate::tuning::{Rules, Tuning};
use crate::unknown_clients::UnknownClients;
use crate::waiting::WaitContext;
use crate::web::{BrowserSessions, Tickets};
use crate::writer::Writer;
use crate::writer::messages::{Drain, Tune};
use actix::prelude::*;
use futures_util::future::BoxFuture;
use kirosu_protocol::{Error, EventKind, Limits, PoolsAnswer, PoolsParams, ReloadAnswer};
use kirosu_supervision::Tree;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use tokio::sync::{Semaphore, watch};

/// The pools of this process. The hub sees the swarm's supervisor only through this trait.
pub trait Pools: Send + Sync {
    /// Lists all pools, after resizing or probing one if the parameters say so. Resolves to an error if there is no such pool.
    fn pools(&self, params: PoolsParams) -> BoxFuture<'static, Result<PoolsAnswer, Error>>;
}

/// The settings of this process, which can be read again.
pub trait ReloadSettings: Send + Sync {
    /// Reads the settings again. Resolves when the changes are in force, or to an error if they cannot be read: then nothing
    /// changes.
    fn reload(&self) -> BoxFuture<'static, Result<ReloadAnswer, Error>>;
}

/// The handle to the hub. Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<HubInner>);

pub(crate) struct Addresses {
    pub writer: Addr<Writer>,
    pub bus: Addr<Bus>,
    pub leases: Addr<Leases>,
    pub sessions: Addr<Sessions>,
    pub readers: Readers,
    pub events: SharedRing,
}

/// State that the writer and the registry of leases share with the connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct HubShared {
    /// The keys of clients.
    pub keys: Keys,
    /// The sessions of browsers.
    pub web_sessions: BrowserSessions,
    /// Refusals and uses of keys until the next commit.
    pub access_log: AccessLog,
    /// The open connections.
    pub connections: ConnectionRegistry,
    /// The live leases.
    pub live_runs: LiveRuns,
    /// The number of the newest event for targets of notifications.
    pub notices: Arc<watch::Sender<i64>>,
}

struct HubInner {
    addresses: Addresses,
    options: HubOptions,
    limits: RwLock<Arc<Limits>>,
    boot_id: String,
    draining: Arc<AtomicBool>,
    next_connection: AtomicU64,
    next_park: AtomicU64,
    connections: AtomicUsize,
    in_flight: AtomicUsize,
    unread: AtomicU64,
    stop: watch::Sender<bool>,
    tree: SharedTree,
    pools: OnceLock<Arc<dyn Pools>>,
    reload: OnceLock<Arc<dyn ReloadSettings>>,
    registry: ConnectionRegistry,
    backing_up: AtomicBool,
    /// Memory for long texts in answers, in units of [`MEMORY_UNIT`].
    answer_memory: Arc<Semaphore>,
    waiting_bytes: AtomicUsize,
    /// Bytes of incomplete lines of clients that have not sent a valid key.
    unknown_bytes: AtomicUsize,
    compile_turns: CompileTurns,
    /// Held while a long line is read on another thread.
    reading: Arc<Semaphore>,
    /// Turns of new clients to be examined for whether they belong to runs.
    examinations: Arc<Semaphore>,
    tuning: Tuning,
    keys: Keys,
    web_sessions: BrowserSessions,
    tickets: Tickets,
    page: OnceLock<String>,
    access_log: AccessLog,
    wrong_keys: RefusalLog,
    gone_clients: RefusalLog,
    crowds: RefusalLog,
    unknown_clients: UnknownClients,
    run_tokens: RunTokens,
    live_runs: LiveRuns,
    notices: Arc<watch::Sender<i64>>,
}

/// Long lines that are read at the same time, however many clients send some: the hub's own thread needs a processor too.
const READING_THREADS: usize = 2;
/// Clients that are examined at the same time. Each takes a processor for a millisecond or more.
const EXAMINATIONS: usize = 16;
/// The part of all connections that clients which are examined may take, if that is less.
const EXAMINED_PART: usize = 8;
/// Bytes per permit of the memory for long answers.
const MEMORY_UNIT: u64 = 1 << 10;

impl Hub {
    pub(crate) fn new(
        addresses: Addresses,
        options: HubOptions,
        tree: SharedTree,
        boot_id: String,
        draining: Arc<AtomicBool>,
        tuning: Tuning,
        shared: HubShared,
    ) -> Hub {
        let units =
            (options.limits.answer_bytes as u64 / MEMORY_UNIT).clamp(1, u64::from(u32::MAX >> 3));
        let examinations = EXAMINATIONS.min(options.limits.connections / EXAMINED_PART);
        Hub(Arc::new(HubInner {
            waiting_bytes: AtomicUsize::new(0),
            unknown_bytes: AtomicUsize::new(0),
            answer_memory: Arc::new(Semaphore::new(units as usize)),
            addresses,
            limits: RwLock::new(Arc::new(options.limits.clone())),
            run_tokens: RunTokens::new(&options.run_secret),
            live_runs: shared.live_runs,
            notices: shared.notices,
            options,
            boot_id,
            draining,
            next_connection: AtomicU64::new(1),
            next_park: AtomicU64::new(1),
            connections: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            unread: AtomicU64::new(0),
            stop: watch::Sender::new(false),
            tree,
            pools: OnceLock::new(),
            reload: OnceLock::new(),
            registry: shared.connections,
            backing_up: AtomicBool::new(false),
            compile_turns: CompileTurns::default(),
            reading: Arc::new(Semaphore::new(READING_THREADS)),
            examinations: Arc::new(Semaphore::new(examinations.max(1))),
            tuning,
            keys: shared.keys,
            web_sessions: shared.web_sessions,
            tickets: Tickets::default(),
            page: OnceLock::new(),
            access_log: shared.access_log,
            wrong_keys: RefusalLog::new(
                "a client sent a wrong key",
                "clients sent further wrong keys in the last minute",
            ),
            gone_clients: RefusalLog::new(
                "a client without a key closed its connection before its user could be found out, so its request was refused: it must read the answer before it closes, or send the key",
                "further clients without a key closed their connections too early in the last minute; their requests were refused",
            ),
            crowds: RefusalLog::new(
                "there are too many connections from one place whose clients have not sent a valid key, or of programs of runs; a further one was refused",
                "further connections from such places were refused in the last minute",
            ),
            unknown_clients: UnknownClients::default(),
        }))
    }

    /// The keys of clients.
    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// The sessions of browsers.
    pub(crate) fn web_sessions(&self) -> &BrowserSessions {
        &self.0.web_sessions
    }

    /// The tickets with which browsers log in.
    pub(crate) fn tickets(&self) -> &Tickets {
        &self.0.tickets
    }

    /// Makes and reads the tokens of runs.
    pub(crate) fn run_tokens(&self) -> &RunTokens {
        &self.0.run_tokens
    }

    /// The live leases of sessions.
    pub(crate) fn live_runs(&self) -> &LiveRuns {
        &self.0.live_runs
    }

    /// The number of the newest event for targets of notifications; 0 until this process has stored one.
    pub(crate) fn notices(&self) -> &watch::Sender<i64> {
        &self.0.notices
    }

    /// The turns of requests whose clauses must be compiled.
    pub(crate) fn compile_turns(&self) -> &CompileTurns {
        &self.0.compile_turns
    }

    /// The semaphore that a connection holds while its long line is read on another thread.
    pub(crate) fn reading(&self) -> Arc<Semaphore> {
        self.0.reading.clone()
    }

    /// The limits in force.
    pub fn limits(&self) -> Arc<Limits> {
        self.0
            .limits
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Replaces the limits, for requests from now on.
    pub fn set_limits(&self, limits: Limits) {
        *self
            .0
            .limits
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(limits);
    }

    /// The rules in force.
    pub(crate) fn rules(&self) -> Rules {
        self.0.tuning.get()
    }

    /// Replaces the rules, for everything that happens from now on.
    pub fn tune(&self, rules: Rules) {
        self.0.tuning.set(rules.clone());
        self.sessions().do_send(SetGrace(rules.session_grace));
        self.writer().do_send(Tune);
    }

    /// Sets the supervision tree, for the verb `tree` and for events. Later calls have no effect.
    pub fn set_tree(&self, tree: Tree) {
        if self.0.tree.set(tree).is_ok() {
            self.bus().do_send(FollowTree);
        }
    }

    /// Sets the pools of this process, for the verb `pools`. Later calls have no effect.
    pub fn set_pools(&self, pools: Arc<dyn Pools>) {
        let _ = self.0.pools.set(pools);
    }

    /// Sets the address of the web page that this process serves, for the verb `web_ticket`. Later calls have no effect.
    pub fn set_page(&self, url: String) {
        let _ = self.0.page.set(url);
    }

    /// Sets the settings of this process, for the verb `reload`. Later calls have no effect.
    pub fn set_reload(&self, reload: Arc<dyn ReloadSettings>) {
        let _ = self.0.reload.set(reload);
    }

    /// Publishes the event that the hub stops. When it returns, the event has been sent to all watchers that keep up.
    pub async fn announce_stop(&self) {
        let stopping = EventKind::Hub {
            state: "stopping".into(),
        };
        // After the writer's event that the hub drains. If an actor is gone, there is nothing to publish.
        let _ = self.writer().send(Drain { is_asked: false }).await;
        let _ = self.bus().send(Publish(vec![stopping])).await;
    }

    /// Stops leasing tasks until the process ends. `is_asked`: an operator asked for it, and the process goes on.
    pub fn drain(&self, is_asked: bool) {
        self.writer().do_send(Drain { is_asked });
    }

    /// Resolves when a client has sent `shutdown`.
    pub async fn shutdown_asked(&self) {
        let mut stop = self.0.stop.subscribe();
        // It cannot fail: this handle has the sender.
        let _ = stop.wait_for(|requested| *requested).await;
    }

    /// Unique per start of the process. Event numbers begin anew with each start.
    pub fn boot_id(&self) -> &str {
        &self.0.boot_id
    }

    /// The writer's address.
    pub fn writer(&self) -> &Addr<Writer> {
        &self.0.addresses.writer
    }

    /// The event bus's address.
    pub fn bus(&self) -> &Addr<Bus> {
        &self.0.addresses.bus
    }

    pub(crate) fn leases(&self) -> &Addr<Leases> {
        &self.0.addresses.leases
    }

    pub(crate) fn sessions(&self) -> &Addr<Sessions> {
        &self.0.addresses.sessions
    }

    pub(crate) fn readers(&self) -> &Readers {
        &self.0.addresses.readers
    }

    pub(crate) fn options(&self) -> &HubOptions {
        &self.0.options
    }

    pub(crate) fn tree(&self) -> Option<&Tree> {
        self.0.tree.get()
    }

    pub(crate) fn pools(&self) -> Option<&Arc<dyn Pools>> {
        self.0.pools.get()
    }

    /// Facts outside the store that explain why tasks wait.
    pub(crate) async fn wait_context(&self) -> WaitContext {
        let pools = match self.pools().cloned() {
            // An error means that the pools are being stopped: `draining` explains the wait then.
            Some(pools) => pools
                .pools(PoolsParams::default())
                .await
                .unwrap_or_default(),
            None => PoolsAnswer::default(),
        };
        WaitContext {
            pools: pools.pools,
            draining: self.is_draining(),
            python: self.options().trust_all_tools,
        }
    }

    /// The address of the web page of this process.
    pub(crate) fn page(&self) -> Option<&str> {
        self.0.page.get().map(String::as_str)
    }

    pub(crate) fn reload(&self) -> Option<&Arc<dyn ReloadSettings>> {
        self.0.reload.get()
    }

    pub(crate) fn request_shutdown(&self) {
        self.0.stop.send_replace(true);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn next_connection(&self) -> u64 {
        self.0.next_connection.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn next_park(&self) -> u64 {
        self.0.next_park.fetch_add(1, Ordering::Relaxed)
    }

    /// The open connections.
    pub(crate) fn connections(&self) -> &ConnectionRegistry {
        &self.0.registry
    }

    /// Whether a backup is being made.
    pub(crate) fn backing_up(&self) -> &AtomicBool {
        &self.0.backing_up
    }

    /// Records refusals and uses of keys until the next commit.
    pub(crate) fn access_log(&self) -> &AccessLog {
        &self.0.access_log
    }
}
