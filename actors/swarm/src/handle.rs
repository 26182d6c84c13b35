//! The handle on a running swarm: look, resize, reload, stop, and crash on purpose.

use std::sync::Arc;
use std::time::Duration;

use kirosu_protocol::verbs::pools::{PoolsAnswer, PoolsParams, Resize};
use kirosu_protocol::{Error, ErrorCode};
use kirosu_supervision::{SupervisorError, SupervisorHandle};

use crate::options::PoolOptions;
use crate::pool::{Pool, pool_spec};
use crate::swarm::Common;

/// A resize is answered when the sessions are up, but not later than this.
const RESIZE_WAIT: Duration = Duration::from_secs(2);

/// Handle on the swarm. Clone it, send it; valid before its start and through restarts.
#[derive(Clone)]
pub struct SwarmHandle {
    common: Arc<Common>,
    supervisor: SupervisorHandle,
    /// One reload at a time.
    reloading: Arc<tokio::sync::Mutex<()>>,
}

/// What a reload changed, by pools' names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Pools that are new.
    pub added: Vec<String>,
    /// Pools that have left; their running tasks had their drain.
    pub removed: Vec<String>,
    /// Pools that stay, with the options now in force.
    pub kept: Vec<String>,
}

impl SwarmHandle {
    pub(crate) fn new(common: Arc<Common>, supervisor: SupervisorHandle) -> Self {
        Self {
            common,
            supervisor,
            reloading: Arc::default(),
        }
    }

    /// Resizes a pool and tries a parked account again where asked for, and tells of all. A smaller pool stops its highest sessions; their running tasks
    /// have their drain, which is not waited for.
    ///
    /// To be called within a tokio runtime that lives on.
    ///
    /// # Errors
    /// `not_found` when no pool has that name; `shutting_down` when it is being stopped.
    pub async fn pools(&self, ask: PoolsParams) -> Result<PoolsAnswer, Error> {
        if let Some(resize) = ask.resize {
            self.resize(resize).await?;
        }
        if let Some(name) = ask.probe {
            self.probe(&name)?;
        }
        let pools = self.common.pools().iter().map(|pool| pool.info()).collect();
        Ok(PoolsAnswer { pools })
    }

    async fn resize(&self, Resize { pool, size }: Resize) -> Result<(), Error> {
        let found = self.find(&pool)?;
        if found.is_leaving() || self.common.is_draining() {
            let message = format!("pool '{pool}' is being stopped and cannot be resized");
            return Err(Error::new(ErrorCode::ShuttingDown, message));
        }
        tracing::info!(pool, from = found.size(), to = size, "resized");
        let shrinks = size < found.size();
        found.set_size(size);
        let fitted = tokio::spawn(async move { found.fit().await });
        if !shrinks {
            // Late is fine: the size is wanted and the sessions come as soon as their supervisor is up.
            let _ = tokio::time::timeout(RESIZE_WAIT, fitted).await;
        }
        Ok(())
    }

    /// Lets the next task find out whether a parked account works again: that of this name, or those of the pool.
    fn probe(&self, name: &str) -> Result<(), Error> {
        let lanes = &self.common.lanes;
        match self.common.find(name) {
            Some(pool) => {
                lanes.probe(&pool.lanes());
                pool.retry();
            }
            None => {
                let Some(lane) = lanes.find(name) else {
                    let known = lanes.accounts().join(", ");
                    let message = format!(
                        "no pool and no provider account is named '{name}'; there are the accounts: {known}"
                    );
                    return Err(Error::new(ErrorCode::NotFound, message));
                };
                lanes.probe(&[lane]);
            }
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Result<Arc<Pool>, Error> {
        self.common.find(name).ok_or_else(|| {
            let known: Vec<String> = self.common.pools().iter().map(|p| p.name.clone()).collect();
            let message = match known.is_empty() {
                true => format!("no pool is named '{name}': this process runs no pools"),
                false => format!("no pool is named '{name}'; there are: {}", known.join(", ")),
            };
            Error::new(ErrorCode::NotFound, message)
        })
    }

    /// Makes the swarm consist of these pools: adds, removes and changes what differs. Options of a pool that stays are
    /// in force from its next task on, except `restart`, `backoff` and `intensity`, which count for sessions and pools
    /// that are started later. Resolves when removed pools have drained.
    pub async fn reload(&self, pools: Vec<PoolOptions>) -> Reloaded {
        let _alone = self.reloading.lock().await;
        self.common.lanes.reloaded();
        let mut done = Reloaded::default();
        let leaving: Vec<Arc<Pool>> = {
            let stays = |pool: &Arc<Pool>| pools.iter().any(|options| options.name == pool.name);
            let mut list = self.common.lock();
            let leaving = list.iter().filter(|pool| !stays(pool)).cloned().collect();
            list.retain(stays);
            leaving
        };
        let order: Vec<String> = pools.iter().map(|options| options.name.clone()).collect();
        for options in pools {
            let name = options.name.clone();
            match self.common.find(&name) {
                Some(pool) => {
                    self.change(&pool, options);
                    done.kept.push(name);
                }
                None => {
                    if self.add(options).await {
                        done.added.push(name);
                    }
                }
            }
        }
        let place = |pool: &Arc<Pool>| order.iter().position(|name| *name == pool.name);
        self.common.lock().sort_by_key(place);
        let ends = leaving.iter().map(|pool| self.remove(pool));
        futures_util::future::join_all(ends).await;
        done.removed = leaving.iter().map(|pool| pool.name.clone()).collect();
        tracing::info!(added = ?done.added, removed = ?done.removed, kept = ?done.kept, "pools reloaded");
        done
    }

    fn change(&self, pool: &Arc<Pool>, options: PoolOptions) {
        pool.set_size(options.size);
        pool.set_options(options);
        let pool = pool.clone();
        tokio::spawn(async move { pool.fit().await });
    }

    async fn add(&self, options: PoolOptions) -> bool {
        let (spec, pool) = pool_spec(options, &self.common);
        match self.supervisor.start_child(spec).await {
            Ok(()) | Err(SupervisorError::NotStarted(_)) => {
                self.common.lock().push(pool);
                true
            }
            Err(error) => {
                tracing::error!(pool = %pool.name, %error, "the pool was not added");
                false
            }
        }
    }

    async fn remove(&self, pool: &Arc<Pool>) {
        pool.set_leaving();
        pool.stop_sessions().await;
        if let Err(error) = self.supervisor.remove_child(pool.name.as_str()).await {
            tracing::error!(pool = %pool.name, %error, "the pool was not removed");
        }
    }

    /// Stops all sessions of all pools side by side: no more leases, running tasks have their drain, then they are
    /// ended and given back. Resolves when all have ended; the tree may be shut down before that as well, it then
    /// does the same.
    pub async fn drain(&self) {
        self.common.drain_all();
        let ends = self.common.pools();
        let ends = ends.iter().map(|pool| pool.stop_sessions());
        futures_util::future::join_all(ends).await;
    }

    /// Skips the drain of a stop under way or to come: running tasks are ended and given back at once.
    pub fn stop_now(&self) {
        self.common.hurry();
    }

    /// Crashes a session on purpose, to see its supervisor bring it back: its actor panics. Sessions count from 1.
    ///
    /// # Errors
    /// `not_found` when there is no such pool or session.
    pub fn kill_session(&self, pool: &str, index: u32) -> Result<(), Error> {
        let found = self.find(pool)?;
        if found.crash(index) {
            return Ok(());
        }
        let message = format!(
            "pool '{pool}' has no session {index}; its sessions are numbered from 1 to {}",
            found.size()
        );
        Err(Error::new(ErrorCode::NotFound, message))
    }
}

impl std::fmt::Debug for SwarmHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SwarmHandle")
            .field("pools", &self.common.pools().len())
            .finish_non_exhaustive()
    }
}
