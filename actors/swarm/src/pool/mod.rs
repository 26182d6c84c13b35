//! One pool: its options, sessions and health, and its state as people see it.

mod allowance;
pub(crate) mod drain;
pub(crate) mod excuses;
pub(crate) mod health;
pub(crate) mod live_sessions;
pub(crate) mod probe;
pub(crate) mod slot;
mod swarm_context;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use actix::{Message, Recipient};
use kirosu_protocol::{LaneInfo, PoolInfo};
use kirosu_supervision::{
    ChildSpec, ChildStatus, DynamicHandle, ExitReason, SupervisorError, SupervisorHandle,
};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::account::AccountId;
use crate::conversations::Conversations;
use crate::options::PoolOptions;
use crate::pool::allowance::Allowance;
use crate::pool::excuses::Excuses;
use crate::pool::health::{PoolHealth, RunSymptom};
use crate::pool::live_sessions::LiveSessions;

pub(crate) use swarm_context::{KILL_TIME, SwarmContext};

/// Name of the supervisor of a pool's sessions.
pub(crate) const SESSIONS: &str = "sessions";

/// Crashes the session that gets it on purpose: its actor panics.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CrashSession;

/// Builds the spec of the session with a number, and the address at which it takes [`CrashSession`]. Passed in, so that
/// pools do not depend on sessions.
pub(crate) type SessionFactory = fn(&Arc<Pool>, u32) -> (ChildSpec, Recipient<CrashSession>);

/// The handles of a pool's three supervisors.
pub(crate) struct PoolSupervisors {
    /// Supervises the probe, the invocations, the sessions' supervisor and the drain coordinator.
    pub(crate) pool: SupervisorHandle,
    /// Supervises the sessions.
    pub(crate) sessions: SupervisorHandle,
    /// Supervises one child per running task.
    pub(crate) invocations: DynamicHandle,
}

/// State shared by all actors of a pool. Outlives each of them.
pub(crate) struct Pool {
    pub(crate) name: String,
    pub(crate) swarm: Arc<SwarmContext>,
    options: watch::Sender<Arc<PoolOptions>>,
    health: watch::Sender<PoolHealth>,
    /// Limits the sessions that may work while runs cannot be started or fail at once.
    allowance: Mutex<Allowance>,
    /// Signals that sessions without a slot may get one.
    room: watch::Sender<()>,
    /// The accounts of the provider, in the order in which they are tried.
    accounts: Mutex<Arc<[AccountId]>>,
    /// Wanted number of sessions.
    size: AtomicU32,
    /// Sessions whose agents wait for tasks below their own. For each there is another session meanwhile.
    waiting: AtomicU32,
    /// Whether a change of the number of sessions waits for its turn.
    fit_is_due: AtomicBool,
    /// The numbers of the sessions that have a run.
    busy: Mutex<BTreeSet<u32>>,
    /// Whether the pool is being removed from the swarm.
    leaving: AtomicBool,
    /// Addresses of the sessions. They survive restarts.
    sessions: Mutex<BTreeMap<u32, Recipient<CrashSession>>>,
    session_factory: SessionFactory,
    /// Serialises changes of the number of sessions.
    fitting: tokio::sync::Mutex<()>,
    pub(crate) supervisors: PoolSupervisors,
    /// Conversations that returning tasks can resume.
    pub(crate) conversations: Conversations,
    /// Counts tasks given back for a reason that only their own program named.
    pub(crate) excuses: Excuses,
    /// Live provider sessions, kept from task to task.
    pub(crate) live_sessions: LiveSessions,
}

impl Pool {
    /// Creates a pool whose sessions are not started yet.
    pub(crate) fn new(
        options: PoolOptions,
        swarm: &Arc<SwarmContext>,
        supervisors: PoolSupervisors,
        session_factory: SessionFactory,
    ) -> Arc<Self> {
        swarm.accounts.configure(&options.accounts);
        Arc::new(Self {
            accounts: Mutex::new(swarm.accounts.of(&options.provider.routes())),
            name: options.name.clone(),
            swarm: swarm.clone(),
            size: AtomicU32::new(options.size),
            waiting: AtomicU32::new(0),
            fit_is_due: AtomicBool::new(false),
            busy: Mutex::default(),
            options: watch::Sender::new(Arc::new(options)),
            health: watch::Sender::new(PoolHealth::Unknown),
            allowance: Mutex::default(),
            room: watch::Sender::new(()),
            leaving: AtomicBool::new(false),
            sessions: Mutex::default(),
            session_factory,
            fitting: tokio::sync::Mutex::new(()),
            supervisors,
            conversations: Conversations::default(),
            excuses: Excuses::default(),
            live_sessions: LiveSessions::default(),
        })
    }

    /// Returns the spec of the session with this number, and keeps its address.
    pub(crate) fn new_session(self: &Arc<Self>, index: u32) -> ChildSpec {
        let (spec, address) = (self.session_factory)(self, index);
        self.sessions().insert(index, address);
        spec
    }

    /// The options in force.
    pub(crate) fn options(&self) -> Arc<PoolOptions> {
        self.options.borrow().clone()
    }

    /// Notifies of changes of the options.
    pub(crate) fn watch_options(&self) -> watch::Receiver<Arc<PoolOptions>> {
        self.options.subscribe()
    }

    /// Applies options to the next tasks, and probes the provider again.
    pub(crate) fn set_options(&self, options: PoolOptions) {
        self.swarm.accounts.configure(&options.accounts);
        let accounts = self.swarm.accounts.of(&options.provider.routes());
        *self.accounts.lock() = accounts;
        self.options.send_replace(Arc::new(options));
        self.retry();
    }

    /// The accounts of the provider, in the order in which they are tried.
    pub(crate) fn accounts(&self) -> Arc<[AccountId]> {
        self.accounts.lock().clone()
    }

    /// Notifies of changes of the pool's health.
    pub(crate) fn watch_health(&self) -> watch::Receiver<PoolHealth> {
        self.health.subscribe()
    }

    /// Sets the health, and logs it if it changed.
    pub(crate) fn set_health(&self, health: PoolHealth) {
        let pool = self.name.as_str();
        self.health.send_if_modified(|old| {
            if *old == health {
                return false;
            }
            match (&*old, &health) {
                (PoolHealth::Blocked { reason: was, .. }, PoolHealth::Blocked { reason, .. })
                    if was == reason => {}
                (_, PoolHealth::Blocked { reason, note, .. }) => {
                    tracing::warn!(pool, state = reason.as_str(), "takes no tasks: {note}");
                }
                (PoolHealth::Blocked { .. }, PoolHealth::Ready) => {
                    tracing::info!(pool, "takes tasks again");
                }
                _ => {}
            }
            *old = health;
            true
        });
    }

    /// Applies a run's symptom to the pool.
    pub(crate) fn report(&self, symptom: RunSymptom) {
        match symptom {
            // A run without a symptom says nothing about a block that began after it did.
            RunSymptom::Fine => {}
            RunSymptom::Short(why) => self.not_started(&why),
            symptom => self.set_health(PoolHealth::after(symptom, Instant::now())),
        }
    }

    /// The wanted number of sessions.
    pub(crate) fn size(&self) -> u32 {
        self.size.load(Ordering::Relaxed)
    }

    /// Sets the wanted number of sessions; call [`fit`](Self::fit) to apply it.
    pub(crate) fn set_size(&self, size: u32) {
        self.size.store(size, Ordering::Relaxed);
    }

    /// Marks the pool as being removed from the swarm.
    pub(crate) fn set_leaving(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether the pool is being removed from the swarm.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<u32, Recipient<CrashSession>>> {
        self.sessions.lock()
    }

    /// Crashes a session on purpose. Returns false if there is no session of this number.
    pub(crate) fn crash(&self, index: u32) -> bool {
        match self.sessions().get(&index) {
            Some(session) => {
                session.do_send(CrashSession);
                true
            }
            None => false,
        }
    }

    /// Starts missing sessions, then stops those beyond the wanted number, highest first and at the same time; their
    /// running tasks are drained.
    pub(crate) async fn fit(self: &Arc<Self>) {
        self.fit_with(|_| true).await;
    }

    /// As [`fit`](Self::fit), but stops only those sessions for which `may_stop` holds.
    async fn fit_with(self: &Arc<Self>, may_stop: impl Fn(u32) -> bool) {
        let _alone = self.fitting.lock().await;
        self.fit_is_due.store(false, Ordering::Relaxed);
        let size = self.size() + self.waiting.load(Ordering::Relaxed);
        for index in 1..=size {
            if self.sessions().contains_key(&index) {
                continue;
            }
            let spec = self.new_session(index);
            if let Err(error) = self.supervisors.sessions.start_child(spec).await {
                tracing::warn!(pool = %self.name, number = index, %error, "the session did not come up at once");
            }
        }
        // Of these, ones that run tasks for agents that wait no more may go on to the ends of their runs.
        let size = self.size() + self.waiting.load(Ordering::Relaxed);
        let mut beyond: Vec<u32> = self.sessions().range(size + 1..).map(|(i, _)| *i).collect();
        beyond.retain(|index| may_stop(*index));
        let ends = beyond.iter().rev().map(|index| async move {
            let id = index.to_string();
            match self.supervisors.sessions.remove_child(id).await {
                Ok(()) | Err(SupervisorError::Unknown) => {}
                Err(error) => {
                    tracing::warn!(pool = %self.name, number = index, %error, "the session was not removed");
                }
            }
            self.sessions().remove(index);
        });
        futures_util::future::join_all(ends).await;
    }

    /// Records whether a session has a run.
    pub(crate) fn set_busy(&self, session: u32, is_busy: bool) {
        match is_busy {
            true => self.busy.lock().insert(session),
            false => self.busy.lock().remove(&session),
        };
    }

    /// A session's agent has begun to wait for tasks below its own, or waits no more: adds or removes a session. One that has a
    /// run stays until its end.
    pub(crate) fn replace_waiting(self: &Arc<Self>, waiting: bool) {
        match waiting {
            true => self.waiting.fetch_add(1, Ordering::Relaxed),
            false => self.waiting.fetch_sub(1, Ordering::Relaxed),
        };
        self.fit_idle();
    }

    /// Records that a session has crashed over its run.
    pub(crate) fn forget_run(&self, session: u32, was_waiting: bool) {
        self.set_busy(session, false);
        if was_waiting {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Ends a session whose run is over if it was added for an agent that waits no more.
    pub(crate) fn end_idle_replacements(self: &Arc<Self>, session: u32) {
        if session > self.size() {
            self.fit_idle();
        }
    }

    fn fit_idle(self: &Arc<Self>) {
        // One that has not begun sees the newest numbers, however many waits begin and end meanwhile.
        let is_due = self.fit_is_due.swap(true, Ordering::Relaxed);
        if is_due || self.is_leaving() || self.swarm.is_draining() {
            return;
        }
        let pool = self.clone();
        actix::spawn(async move {
            let is_idle = |index| !pool.busy.lock().contains(&index);
            pool.fit_with(is_idle).await;
        });
    }

    /// Stops all sessions at the same time and keeps their specs; running tasks are drained. Resolves when all have
    /// ended.
    pub(crate) async fn stop_sessions(&self) {
        if self.supervised_state() != Some(ChildStatus::Running) {
            return;
        }
        let numbers: Vec<u32> = self.sessions().keys().copied().collect();
        let ends = numbers
            .iter()
            .map(|index| self.supervisors.sessions.stop_child(index.to_string()));
        futures_util::future::join_all(ends).await;
    }

    fn supervised_state(&self) -> Option<ChildStatus> {
        let children = self.supervisors.pool.children();
        let sessions = children
            .into_iter()
            .find(|node| node.id.to_string() == SESSIONS);
        sessions.map(|node| node.state)
    }

    /// The pool as people see it.
    pub(crate) fn info(&self) -> PoolInfo {
        let options = self.options();
        let (state, note) = self.state_and_note();
        PoolInfo {
            lanes: self.swarm.accounts.view(&options.provider.routes()),
            name: self.name.clone(),
            provider: options.provider.name().to_owned(),
            model: options.model.clone(),
            queues: options.queues(),
            types: options.types.clone(),
            python: options.runs_python(),
            size: self.size(),
            busy: u32::try_from(self.supervisors.invocations.len()).unwrap_or(u32::MAX),
            state,
            note,
            trusted: options.trust_all_tools,
        }
    }

    fn state_and_note(&self) -> (String, Option<String>) {
        if self.is_leaving() || self.swarm.is_draining() {
            return ("draining".to_owned(), None);
        }
        if let Some(why) = self.gave_up() {
            return ("gave_up".to_owned(), Some(why));
        }
        match &*self.health.borrow() {
            PoolHealth::Blocked { reason, note, .. } => {
                (reason.as_str().to_owned(), Some(note.clone()))
            }
            PoolHealth::Ready | PoolHealth::Unknown => match self.problem() {
                Some((problem, note)) => (problem.as_str().to_owned(), Some(note)),
                None => self.account_state(),
            },
        }
    }

    /// The state of the provider's accounts: parked if all of them are.
    fn account_state(&self) -> (String, Option<String>) {
        let accounts = self.swarm.accounts.view(&self.options().provider.routes());
        let parked = |account: &&LaneInfo| !matches!(account.state.as_str(), "open" | "probing");
        let notes: Vec<String> = accounts
            .iter()
            .filter_map(|account| {
                let waits =
                    (account.waiting > 0).then(|| format!("{} wait for it", account.waiting));
                let text = account.note.clone().or(waits)?;
                Some(format!("account {}: {text}", account.account))
            })
            .collect();
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        let first = accounts
            .iter()
            .filter(parked)
            .min_by_key(|account| account.until.unwrap_or(u64::MAX));
        match first {
            Some(account) if accounts.iter().all(|account| parked(&account)) => {
                (account.state.clone(), note)
            }
            _ => ("running".to_owned(), note),
        }
    }

    /// Why all sessions are stopped for a while; `None` if they are not.
    fn gave_up(&self) -> Option<String> {
        let children = self.supervisors.pool.children();
        let sessions = children
            .into_iter()
            .find(|node| node.id.to_string() == SESSIONS)?;
        match (sessions.state, sessions.last_exit) {
            (ChildStatus::BackingOff | ChildStatus::GaveUp, Some(ExitReason::GaveUp(why))) => {
                let again = sessions.next_restart_in_ms.unwrap_or_default() / 1000;
                Some(format!(
                    "{why}; all sessions start again in {again} s, see the log for why they crash"
                ))
            }
            _ => None,
        }
    }
}
