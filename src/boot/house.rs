//! The running process: what it prints at its start, what it does on signals, and how it stops.

use super::reload::Requests;
use super::start::key_of;
use super::{BootError, Rooms, reload};
use crate::notify::{self, Manager};
use crate::signals::{Signal, Signals};
use kirosu_config::{Loaded, Settings};
use kirosu_gateway::GatewayHandle;
use kirosu_hub::Hub;
use kirosu_protocol::Error;
use kirosu_protocol::client::Endpoint;
use kirosu_protocol::verbs::reload::ReloadAnswer;
use kirosu_providers::Containment;
use kirosu_supervision::{ExitReason, Root, ThreadRegistry};
use kirosu_swarm::SwarmHandle;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

/// How long threads get to end after everything on them has stopped.
const THREADS_END: Duration = Duration::from_secs(5);
/// How long watchers may take to be told that the hub stops.
const STOP_TOLD: Duration = Duration::from_secs(1);

/// A running house: a hub, pools, a gateway, or several of them.
pub struct House {
    pub(super) root: Root,
    pub(super) hub: Option<Hub>,
    /// Where the hub listens.
    pub address: Option<SocketAddr>,
    /// Connects to the hub from within the process.
    pub local: Option<Endpoint>,
    /// The pools.
    pub swarm: Option<SwarmHandle>,
    /// REST and the like.
    pub gateway: Option<GatewayHandle>,
    pub(super) containment: Containment,
    pub(super) threads: ThreadRegistry,
    /// systemd, where it started this process.
    pub(super) manager: Option<Manager>,
    /// Clients that ask for a reload.
    pub(super) reloads: Requests,
}

impl House {
    /// The first lines of output, which clients and scripts read; and what stands, for the log.
    pub(super) fn announce(&self, settings: &Settings) {
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
            tracing::info!(%address, store = %settings.store.path.display(), pools, pid = std::process::id(), "ready");
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
    pub(super) async fn tell_ready(self, settings: &Settings) -> Result<House, BootError> {
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
    pub(super) async fn serve(
        mut self,
        signals: &mut Signals,
        mut loaded: Loaded,
        rooms: Rooms,
    ) -> Result<(), BootError> {
        loop {
            let signal = tokio::select! {
                signal = signals.next() => signal,
                () = shutdown_asked(self.hub.as_ref()) => break,
                reply = self.reloads.next() => {
                    let answer = self.reload(&mut loaded, rooms).await;
                    // A client that has gone has no use for the answer.
                    let _ = reply.send(answer);
                    continue;
                }
                reason = self.root.ended() => {
                    self.stop().await;
                    return Err(BootError::GaveUp(reason));
                }
            };
            match signal {
                Signal::Stop(cause) => {
                    tracing::info!(%cause, "asked to stop");
                    break;
                }
                // The log has the reason.
                Signal::Reload => drop(self.reload(&mut loaded, rooms).await),
            }
        }
        self.stop_or_hurry(signals, loaded.settings.shutdown.drain)
            .await;
        Ok(())
    }

    async fn reload(&self, loaded: &mut Loaded, rooms: Rooms) -> Result<ReloadAnswer, Error> {
        let manager = self.manager.as_ref();
        manager.inspect(|manager| manager.reloading());
        let answer = reload::reload(self, loaded, rooms).await;
        manager.inspect(|manager| manager.ready());
        answer
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
                Signal::Stop(_) = signals.next() => match (&swarm, hurried) {
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

fn remote_name(settings: &Settings) -> String {
    match &settings.hub.socket {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", settings.hub.host, settings.hub.port),
    }
}

fn humantime_seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64().round())
}
