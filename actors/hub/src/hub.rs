//! What every actor of the hub knows of the others: addresses that survive restarts, limits, counts.

use crate::bus::{Bus, FollowTree, Publish, SharedRing, SharedTree};
use crate::leases::Leases;
use crate::measure::Memory;
use crate::options::HubOptions;
use crate::readers::Readers;
use crate::registry::ConnectionRegistry;
use crate::sessions::{Sessions, SetGrace};
use crate::tuning::{Rules, Tuning};
use crate::waiting::Surroundings;
use crate::writer::Writer;
use crate::writer::messages::{Drain, Tune};
use actix::prelude::*;
use futures_util::future::BoxFuture;
use kirosu_protocol::verbs::pools::{PoolsAnswer, PoolsParams};
use kirosu_protocol::verbs::reload::ReloadAnswer;
use kirosu_protocol::{Error, EventKind, Limits};
use kirosu_supervision::Tree;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The pools beside the hub, where there are any: the swarm's supervisor, seen through this keyhole.
pub trait Pools: Send + Sync {
    /// Resizes a pool where asked for, and tells of all.
    fn pools(&self, ask: PoolsParams) -> BoxFuture<'static, Result<PoolsAnswer, Error>>;
}

/// The settings of this process, which are read again on request.
pub trait Reload: Send + Sync {
    /// Reads them again; resolves when what has changed is in force, or with the reason why nothing has.
    fn reload(&self) -> BoxFuture<'static, Result<ReloadAnswer, Error>>;
}

/// Cheap to clone; one a hub.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

pub(crate) struct Addresses {
    pub writer: Addr<Writer>,
    pub bus: Addr<Bus>,
    pub leases: Addr<Leases>,
    pub sessions: Addr<Sessions>,
    pub readers: Readers,
    pub events: SharedRing,
}

struct Inner {
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
    reload: OnceLock<Arc<dyn Reload>>,
    roll: ConnectionRegistry,
    backing_up: AtomicBool,
    answer_room: Arc<Semaphore>,
    waiting_bytes: AtomicUsize,
    /// Held while the clauses of a request are compiled: one thread does it at a time.
    compiling: Arc<Semaphore>,
    tuning: Tuning,
}

/// Bytes that one permit of the room for long answers stands for.
const ROOM_UNIT: u64 = 1 << 10;

impl Hub {
    pub(crate) fn new(
        addresses: Addresses,
        options: HubOptions,
        tree: SharedTree,
        boot_id: String,
        draining: Arc<AtomicBool>,
        tuning: Tuning,
    ) -> Hub {
        let units =
            (options.limits.answer_bytes as u64 / ROOM_UNIT).clamp(1, u64::from(u32::MAX >> 3));
        Hub(Arc::new(Inner {
            waiting_bytes: AtomicUsize::new(0),
            answer_room: Arc::new(Semaphore::new(units as usize)),
            addresses,
            limits: RwLock::new(Arc::new(options.limits.clone())),
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
            roll: ConnectionRegistry::default(),
            backing_up: AtomicBool::new(false),
            compiling: Arc::new(Semaphore::new(1)),
            tuning,
        }))
    }

    /// The turn of those who have clauses of a request compiled.
    pub(crate) fn compiling(&self) -> Arc<Semaphore> {
        self.0.compiling.clone()
    }

    /// The limits in force.
    pub fn limits(&self) -> Arc<Limits> {
        self.0
            .limits
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts other limits in force, for requests from now on.
    pub fn set_limits(&self, limits: Limits) {
        *self
            .0
            .limits
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(limits);
    }

    /// Puts other rules in force, for what happens from now on.
    pub fn tune(&self, rules: Rules) {
        self.0.tuning.set(rules.clone());
        self.sessions().do_send(SetGrace(rules.session_grace));
        self.writer().do_send(Tune);
    }

    /// Tells the hub of the tree it is part of, for the verb `tree` and the events. The first one counts.
    pub fn set_tree(&self, tree: Tree) {
        if self.0.tree.set(tree).is_ok() {
            self.bus().do_send(FollowTree);
        }
    }

    /// Tells the hub of the pools beside it, for the verb `pools`. The first one counts.
    pub fn set_pools(&self, pools: Arc<dyn Pools>) {
        let _ = self.0.pools.set(pools);
    }

    /// Names the reader of the settings, for the verb `reload`. The first one counts.
    pub fn set_reload(&self, reload: Arc<dyn Reload>) {
        let _ = self.0.reload.set(reload);
    }

    /// Tells watchers that the hub stops. Once this has returned, those who are reached by then have been told.
    pub async fn announce_stop(&self) {
        let stopping = EventKind::Hub {
            state: "stopping".into(),
        };
        // After what the writer has to tell: that the hub drains. An actor that is gone has nobody to tell.
        let _ = self.writer().send(Drain).await;
        let _ = self.bus().send(Publish(vec![stopping])).await;
    }

    /// No more leases are handed out until the process ends.
    pub fn drain(&self) {
        self.writer().do_send(Drain);
    }

    /// Resolves when a client has asked for `shutdown`.
    pub async fn shutdown_asked(&self) {
        let mut stop = self.0.stop.subscribe();
        // The sender lives as long as this handle.
        let _ = stop.wait_for(|asked| *asked).await;
    }

    /// Another word with each start: event numbers begin anew.
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

    /// Waits for room for so many bytes among the long texts that are read for answers. It is given back when the returned
    /// value is dropped.
    pub(crate) async fn answer_room(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes / ROOM_UNIT + 1).unwrap_or(u32::MAX);
        let units = units.min(self.answer_room_units());
        let room = self.0.answer_room.clone();
        // Nobody closes it.
        room.acquire_many_owned(units).await.ok()
    }

    fn answer_room_units(&self) -> u32 {
        let units = self.0.options.limits.answer_bytes as u64 / ROOM_UNIT;
        u32::try_from(units).unwrap_or(u32::MAX).max(1)
    }

    /// Counts a connection's requests that wait for those before them: these bytes more, and these less.
    pub(crate) fn count_waiting(&self, more: usize, less: usize) {
        let change = |bytes: usize| Some((bytes + more).saturating_sub(less));
        let bytes = &self.0.waiting_bytes;
        let _ = bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }

    /// What clients make the hub keep.
    pub(crate) fn memory(&self) -> Memory {
        let free = self.0.answer_room.available_permits() as u64;
        let units = u64::from(self.answer_room_units()).saturating_sub(free);
        let events = self.0.addresses.events.lock();
        Memory {
            events: events.unwrap_or_else(PoisonError::into_inner).size().1,
            answers: units * ROOM_UNIT,
            requests: self.0.waiting_bytes.load(Ordering::Relaxed),
            questions: self.readers().waiting(),
        }
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

    /// What is known beside the store of why tasks wait.
    pub(crate) async fn surroundings(&self) -> Surroundings {
        let pools = match self.pools().cloned() {
            // A hub whose pools are being stopped says so by other words.
            Some(pools) => pools
                .pools(PoolsParams::default())
                .await
                .unwrap_or_default(),
            None => PoolsAnswer::default(),
        };
        Surroundings {
            pools: pools.pools,
            draining: self.is_draining(),
        }
    }

    pub(crate) fn reload(&self) -> Option<&Arc<dyn Reload>> {
        self.0.reload.get()
    }

    pub(crate) fn ask_shutdown(&self) {
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

    /// Counts a connection in, unless there are too many.
    pub(crate) fn enter(&self) -> bool {
        let most = self.limits().connections;
        let enter = |open: usize| (open < most).then_some(open + 1);
        self.0
            .connections
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter)
            .is_ok()
    }

    /// Counts a connection out.
    pub(crate) fn leave(&self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Connections that stand now.
    pub(crate) fn connections(&self) -> usize {
        self.0.connections.load(Ordering::Relaxed)
    }

    /// The connections that stand now, one by one.
    pub(crate) fn roll(&self) -> &ConnectionRegistry {
        &self.0.roll
    }

    /// Whether a backup is being made.
    pub(crate) fn backing_up(&self) -> &AtomicBool {
        &self.0.backing_up
    }

    /// Counts a connection that is ended as its client does not read.
    pub(crate) fn count_unread(&self) {
        self.0.unread.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were.
    pub(crate) fn unread(&self) -> u64 {
        self.0.unread.load(Ordering::Relaxed)
    }

    /// Requests under way, over all connections.
    pub(crate) fn in_flight(&self) -> &AtomicUsize {
        &self.0.in_flight
    }
}
