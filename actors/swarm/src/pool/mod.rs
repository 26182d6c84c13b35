//! One pool: its options, its sessions, its standing, and how it is seen from outside.

mod allowance;
pub(crate) mod foreman;
pub(crate) mod health;
pub(crate) mod leave;
pub(crate) mod probe;
mod spec;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::Addr;
use kirosu_protocol::verbs::pools::{LaneInfo, PoolInfo};
use kirosu_supervision::{DynamicHandle, ExitReason, State, SupervisorError, SupervisorHandle};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::conversations::Conversations;
use crate::invocation::activity::Excuses;
use crate::invocation::live::Lives;
use crate::lane::LaneId;
use crate::options::PoolOptions;
use crate::pool::allowance::Allowance;
use crate::pool::health::{Health, Symptom};
use crate::session::{Crash, Session};
use crate::swarm::Common;

pub(crate) use spec::pool_spec;

/// Name of the supervisor of a pool's sessions, among the pool's children.
pub(crate) const SESSIONS: &str = "sessions";

/// A pool as all its actors share it. Outlives each of them.
pub(crate) struct Pool {
    pub(crate) name: String,
    pub(crate) common: Arc<Common>,
    options: watch::Sender<Arc<PoolOptions>>,
    health: watch::Sender<Health>,
    /// How many of its sessions may work, where runs cannot be started or fail at once.
    allowance: Mutex<Allowance>,
    /// Told when sessions without leave may get it.
    room: watch::Sender<()>,
    /// Those of its provider, in the order in which they are tried.
    lanes: Mutex<Arc<[LaneId]>>,
    /// Sessions wanted.
    size: AtomicU32,
    /// It is being taken out of the swarm.
    leaving: AtomicBool,
    /// Addresses survive restarts, so they are wired once a session.
    sessions: Mutex<BTreeMap<u32, Addr<Session>>>,
    /// Serialises changes of the number of sessions.
    fitting: tokio::sync::Mutex<()>,
    /// Supervises `sessions` and what else the pool has.
    pub(crate) supervisor: SupervisorHandle,
    /// Supervises the sessions.
    pub(crate) session_supervisor: SupervisorHandle,
    /// One child a running task.
    pub(crate) invocations: DynamicHandle,
    /// With what tasks that come back can go on.
    pub(crate) conversations: Conversations,
    /// How often tasks were given back for what only their own program says.
    pub(crate) excuses: Excuses,
    /// What its sessions keep of the provider from task to task.
    pub(crate) lives: Lives,
}

impl Pool {
    /// The options in force now.
    pub(crate) fn options(&self) -> Arc<PoolOptions> {
        self.options.borrow().clone()
    }

    /// Tells of changes of the options.
    pub(crate) fn watch_options(&self) -> watch::Receiver<Arc<PoolOptions>> {
        self.options.subscribe()
    }

    /// Puts other options in force, from the next task on. The provider is looked at again.
    pub(crate) fn set_options(&self, options: PoolOptions) {
        self.common.lanes.configure(&options.accounts);
        let lanes = self.common.lanes.of(&options.provider.routes());
        *self.lanes.lock().unwrap_or_else(PoisonError::into_inner) = lanes;
        self.options.send_replace(Arc::new(options));
        self.retry();
    }

    /// The lanes of its provider, in the order in which they are tried.
    pub(crate) fn lanes(&self) -> Arc<[LaneId]> {
        let lanes = self.lanes.lock();
        lanes.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells of changes of the pool's standing.
    pub(crate) fn watch_health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Notes what a look at the provider found; tells people when it is news.
    pub(crate) fn set_health(&self, health: Health) {
        let pool = self.name.as_str();
        self.health.send_if_modified(|old| {
            if *old == health {
                return false;
            }
            match (&*old, &health) {
                (Health::Blocked { word: was, .. }, Health::Blocked { word, .. })
                    if was == word => {}
                (_, Health::Blocked { word, note, .. }) => {
                    tracing::warn!(pool, state = word.as_str(), "takes no tasks: {note}");
                }
                (Health::Blocked { .. }, Health::Ready) => {
                    tracing::info!(pool, "takes tasks again");
                }
                _ => {}
            }
            *old = health;
            true
        });
    }

    /// Notes what a run told about the provider.
    pub(crate) fn report(&self, symptom: Symptom) {
        match symptom {
            // A run that was fine says nothing about a block that came after it began.
            Symptom::Fine => {}
            Symptom::Short(why) => self.not_started(&why),
            symptom => self.set_health(Health::after(symptom, Instant::now())),
        }
    }

    /// Sessions wanted.
    pub(crate) fn size(&self) -> u32 {
        self.size.load(Ordering::Relaxed)
    }

    /// Wants another number of sessions; [`fit`](Self::fit) makes it so.
    pub(crate) fn set_size(&self, size: u32) {
        self.size.store(size, Ordering::Relaxed);
    }

    /// Marks that it is being taken out of the swarm.
    pub(crate) fn set_leaving(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether it is being taken out of the swarm.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<u32, Addr<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Crashes a session on purpose; false if there is none of this number.
    pub(crate) fn crash(&self, index: u32) -> bool {
        match self.sessions().get(&index) {
            Some(session) => {
                session.do_send(Crash);
                true
            }
            None => false,
        }
    }

    /// Starts the sessions that are wanted and missing, then stops those beyond the wanted number, highest first and
    /// side by side; a running task has its drain.
    pub(crate) async fn fit(self: &Arc<Self>) {
        let _alone = self.fitting.lock().await;
        for index in 1..=self.size() {
            if self.sessions().contains_key(&index) {
                continue;
            }
            let (spec, addr) = spec::session_spec(self, index);
            self.sessions().insert(index, addr);
            if let Err(error) = self.session_supervisor.start_child(spec).await {
                tracing::warn!(pool = %self.name, number = index, %error, "the session did not come up at once");
            }
        }
        let size = self.size();
        let beyond: Vec<u32> = self.sessions().range(size + 1..).map(|(i, _)| *i).collect();
        let ends = beyond.iter().rev().map(|index| async move {
            let id = index.to_string();
            match self.session_supervisor.remove_child(id).await {
                Ok(()) | Err(SupervisorError::Unknown) => {}
                Err(error) => {
                    tracing::warn!(pool = %self.name, number = index, %error, "the session was not removed");
                }
            }
            self.sessions().remove(index);
        });
        futures_util::future::join_all(ends).await;
    }

    /// Stops all sessions side by side and keeps their places; running tasks have their drain. Resolves when all have
    /// ended.
    pub(crate) async fn stop_sessions(&self) {
        if self.supervised_state() != Some(State::Running) {
            return;
        }
        let numbers: Vec<u32> = self.sessions().keys().copied().collect();
        let ends = numbers
            .iter()
            .map(|index| self.session_supervisor.stop_child(index.to_string()));
        futures_util::future::join_all(ends).await;
    }

    fn supervised_state(&self) -> Option<State> {
        let children = self.supervisor.children();
        let sessions = children
            .into_iter()
            .find(|node| node.id.to_string() == SESSIONS);
        sessions.map(|node| node.state)
    }

    /// The pool as people see it.
    pub(crate) fn info(&self) -> PoolInfo {
        let options = self.options();
        let (state, note) = self.standing();
        let lanes = self.common.lanes.view(&options.provider.routes());
        PoolInfo {
            lanes,
            name: self.name.clone(),
            provider: options.provider.name().to_owned(),
            model: options.model.clone(),
            queues: options.queues(),
            types: options.types.clone(),
            python: options.runs_python(),
            size: self.size(),
            busy: u32::try_from(self.invocations.len()).unwrap_or(u32::MAX),
            state,
            note,
            trusted: options.trust_all_tools,
        }
    }

    fn standing(&self) -> (String, Option<String>) {
        if self.is_leaving() || self.common.is_draining() {
            return ("draining".to_owned(), None);
        }
        if let Some(why) = self.gave_up() {
            return ("gave_up".to_owned(), Some(why));
        }
        match &*self.health.borrow() {
            Health::Blocked { word, note, .. } => (word.as_str().to_owned(), Some(note.clone())),
            Health::Ready | Health::Unknown => match self.trouble() {
                Some((trouble, note)) => (trouble.as_str().to_owned(), Some(note)),
                None => self.of_lanes(),
            },
        }
    }

    /// As the accounts of its provider stand: parked where all are.
    fn of_lanes(&self) -> (String, Option<String>) {
        let lanes = self.common.lanes.view(&self.options().provider.routes());
        let parked = |lane: &&LaneInfo| !matches!(lane.state.as_str(), "open" | "probing");
        let notes: Vec<String> = lanes
            .iter()
            .filter_map(|lane| {
                let waits = (lane.waiting > 0).then(|| format!("{} wait for it", lane.waiting));
                let told = lane.note.clone().or(waits)?;
                Some(format!("account {}: {told}", lane.account))
            })
            .collect();
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        let first = lanes
            .iter()
            .filter(parked)
            .min_by_key(|lane| lane.until.unwrap_or(u64::MAX));
        match first {
            Some(lane) if lanes.iter().all(|lane| parked(&lane)) => (lane.state.clone(), note),
            _ => ("running".to_owned(), note),
        }
    }

    /// Why all its sessions are stopped for a while, if they are.
    fn gave_up(&self) -> Option<String> {
        let children = self.supervisor.children();
        let sessions = children
            .into_iter()
            .find(|node| node.id.to_string() == SESSIONS)?;
        match (sessions.state, sessions.last_exit) {
            (State::BackingOff | State::GaveUp, Some(ExitReason::GaveUp(why))) => {
                let again = sessions.next_restart_in_ms.unwrap_or_default() / 1000;
                Some(format!(
                    "{why}; all sessions start again in {again} s, see the log for why they crash"
                ))
            }
            _ => None,
        }
    }
}
