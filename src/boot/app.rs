//! The life of a process that serves: announcement, readiness, signals, reload and stop.

use super::parts::{Doors, hub_key};
use super::reload::ReloadRequests;
use super::{BootError, Role, page, reload};
use crate::options::{self, TlsAcceptors};
use crate::signals::{Signal, Signals};
use crate::systemd::{self, Manager};
use kirosu_config::{HubSection, Loaded, Settings};
use kirosu_gateway::GatewayHandle;
use kirosu_hub::Hub;
use kirosu_notify::NotifyHandle;
use kirosu_protocol::client::Endpoint;
use kirosu_protocol::{Error, ReloadAnswer};
use kirosu_providers::{Cgroups, Containment};
use kirosu_supervision::{ExitReason, Root, ThreadRegistry};
use kirosu_swarm::SwarmHandle;
use std::io::Write;
use std::time::Duration;

/// Maximum time for the threads to end after the last actor has stopped.
const THREAD_JOIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum time for the notice to event subscribers that the hub stops.
const STOP_NOTICE_TIMEOUT: Duration = Duration::from_secs(1);

/// A running process: the supervision tree and the handles on its parts.
pub struct App {
    pub(super) root: Root,
    pub(super) hub: Option<Hub>,
    /// The addresses on which the hub listens.
    pub doors: Doors,
    /// Endpoint for connections to the hub from within the process.
    pub local: Option<Endpoint>,
    /// Handle on the pools.
    pub swarm: Option<SwarmHandle>,
    /// Handle on the targets of notifications.
    pub(super) notices: Option<NotifyHandle>,
    /// Handle on REST, MCP and metrics.
    pub gateway: Option<GatewayHandle>,
    /// The certificates of the process's servers.
    pub(super) tls: TlsAcceptors,
    pub(super) containment: Containment,
    pub(super) threads: ThreadRegistry,
    /// The service manager, if it waits for notifications of this process.
    pub(super) manager: Option<Manager>,
    /// Reload requests of clients.
    pub(super) reloads: ReloadRequests,
}

impl App {
    /// Prints the addresses, which clients and scripts read, and logs them.
    pub(super) fn announce(&self, loaded: &Loaded) {
        let settings = &loaded.settings;
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
        let socket = self.doors.socket.as_ref().map(|path| path.display());
        if self.hub.is_some() {
            let address = self.doors.address.map(tracing::field::display);
            let socket_shown = socket.as_ref().map(tracing::field::display);
            tracing::info!(address, socket = socket_shown, store = %settings.store.path.display(), pools, pid = std::process::id(), "ready");
        } else {
            let hub = options::hub_endpoint(loaded).map(|hub| hub.to_string());
            tracing::info!(pools, hub = hub.unwrap_or_default(), "ready");
        }
        match (self.doors.address, socket) {
            (Some(address), _) => {
                let scheme = page::scheme(settings.hub.tls().is_some(), "tcp", "tls");
                lines.push_str(&format!("KIRO_SWARM_HUB {scheme}://{address}\n"));
            }
            (None, Some(socket)) => lines.push_str(&format!("KIRO_SWARM_HUB unix://{socket}\n")),
            (None, None) => {}
        }
        let gateway = self.gateway.as_ref();
        if let Some(address) = gateway.and_then(|gateway| gateway.http) {
            tracing::info!(%address, "REST is served");
            let scheme = page::scheme(settings.gateway.tls().is_some(), "http", "https");
            lines.push_str(&format!("KIRO_SWARM_API {scheme}://{address}\n"));
        }
        if let Some(address) = gateway.and_then(|gateway| gateway.metrics) {
            tracing::info!(%address, "metrics are served");
            let scheme = page::scheme(settings.metrics.tls().is_some(), "http", "https");
            lines.push_str(&format!(
                "KIRO_SWARM_METRICS {scheme}://{address}/metrics\n"
            ));
        }
        let mut out = std::io::stdout().lock();
        // A closed stdout must not keep the process from serving.
        let _ = out.write_all(lines.as_bytes()).and_then(|()| out.flush());
        page::show(settings, gateway, self.hub.as_ref());
    }

    /// Notifies the service manager, if there is one, that the process is ready. A process with a hub is ready when the
    /// hub has answered a client.
    ///
    /// # Errors
    /// The hub does not answer. The process has then stopped.
    pub(super) async fn notify_ready(self, settings: &Settings) -> Result<App, BootError> {
        let Some(manager) = self.manager.clone() else {
            return Ok(self);
        };
        let key = hub_key(settings)?;
        if let Some(endpoint) = self.own_endpoint(settings)?
            && let Err(error) = systemd::wait_for_hub(&endpoint, Some(key.expose())).await
        {
            self.stop().await;
            return Err(error.into());
        }
        manager.ready();
        Ok(self)
    }

    /// The endpoint of a client of this process's hub.
    ///
    /// # Errors
    /// The certificate cannot be read any more.
    fn own_endpoint(&self, settings: &Settings) -> Result<Option<Endpoint>, BootError> {
        let Some(address) = self.doors.address else {
            return Ok(self.doors.socket.clone().map(Endpoint::Unix));
        };
        // This process has no certificate of its clients' authority.
        if settings.hub.tls_client_ca.is_some() {
            return Ok(self.local.clone());
        }
        let host = systemd::reachable(address.ip()).to_string();
        let hub = HubSection {
            tls_fingerprint: None,
            tls_ca: None,
            tls_client_certificate: None,
            tls_client_key: None,
            ..settings.hub.clone()
        };
        let endpoint = options::hub_at(&host, address.port(), &hub);
        endpoint.map(Some).map_err(BootError::Address)
    }

    /// Serves until a signal or a client ends the process, then stops.
    ///
    /// # Errors
    /// The root supervisor gave up.
    pub(super) async fn serve(
        mut self,
        signals: &mut Signals,
        mut loaded: Loaded,
        role: Role,
    ) -> Result<(), BootError> {
        loop {
            let signal = tokio::select! {
                signal = signals.next() => signal,
                () = shutdown_requested(self.hub.as_ref()) => break,
                reply = self.reloads.next() => {
                    let answer = self.reload(&mut loaded, role).await;
                    // The client may have disconnected.
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
                    tracing::info!(%cause, "received a signal to stop");
                    break;
                }
                // A failed reload is in the log.
                Signal::Reload => drop(self.reload(&mut loaded, role).await),
            }
        }
        self.stop_or_skip_drain(signals, loaded.settings.shutdown.drain)
            .await;
        Ok(())
    }

    async fn reload(&self, loaded: &mut Loaded, role: Role) -> Result<ReloadAnswer, Error> {
        let manager = self.manager.as_ref();
        manager.inspect(|manager| manager.reloading());
        let answer = reload::reload(self, loaded, role).await;
        manager.inspect(|manager| manager.ready());
        answer
    }

    /// Stops in order. A second signal skips the drain, a third one kills the tree.
    async fn stop_or_skip_drain(self, signals: &mut Signals, drain: Duration) {
        if let Some(manager) = &self.manager {
            manager.stopping(drain);
        }
        if self.swarm.is_some() {
            let drain = seconds_text(drain);
            tracing::info!(
                "stopping; running tasks have {drain} to end, a second signal gives them back immediately"
            );
        }
        let (swarm, root) = (self.swarm.clone(), self.root.clone());
        let stopping = self.stop();
        tokio::pin!(stopping);
        let mut drain_skipped = false;
        loop {
            tokio::select! {
                _ = &mut stopping => return,
                Signal::Stop(_) = signals.next() => match (&swarm, drain_skipped) {
                    (Some(swarm), false) => {
                        tracing::warn!("stopping immediately");
                        swarm.stop_now();
                        drain_skipped = true;
                    }
                    _ => root.kill(),
                },
                else => {}
            }
        }
    }

    /// Stops all actors in reverse order and joins the threads.
    pub async fn stop(self) -> ExitReason {
        if let Some(hub) = &self.hub {
            hub.drain(false);
            // With a timeout, because a hub whose actors hang must still stop.
            let _ = tokio::time::timeout(STOP_NOTICE_TIMEOUT, hub.announce_stop()).await;
        }
        let reason = self.root.shutdown().await;
        for thread in self.threads.stop(THREAD_JOIN_TIMEOUT).await {
            tracing::error!(%thread, "the thread did not end in time");
        }
        Cgroups::remove_own();
        reason
    }

    /// Handle on the hub, if this process has one.
    pub fn hub(&self) -> Option<&Hub> {
        self.hub.as_ref()
    }
}

/// Resolves when a client requests a shutdown; without a hub it never resolves.
async fn shutdown_requested(hub: Option<&Hub>) {
    match hub {
        Some(hub) => hub.shutdown_asked().await,
        None => std::future::pending().await,
    }
}

fn seconds_text(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64().round())
}
