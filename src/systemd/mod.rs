//! Notifications to systemd: ready, reloading, stopping, the status line, and the heartbeat of its watchdog.
//!
//! Without `NOTIFY_SOCKET` in the environment nothing is sent. A process with a hub is ready when the hub has answered a
//! `hello` over its own socket. A process with agents only is ready when its sessions run: they wait for an unreachable
//! hub and connect by themselves, so the state of the hub must not make their unit fail. The status line names the hub
//! for which they wait.

mod ready;
mod reporter;
mod status;

pub use ready::{NoAnswer, reachable, wait_for_hub};
pub use reporter::spec;

use sd_notify::NotifyState;
use std::time::Duration;

/// Time that a stop may take in addition to the drain.
const STOP_OVERHEAD: Duration = Duration::from_secs(60);

/// The service manager that waits for notifications of this process. Cheap to clone, usable from any thread.
#[derive(Clone, Debug, Default)]
pub struct Manager {
    watchdog_timeout: Option<Duration>,
}

impl Manager {
    /// The service manager that the environment names, if any.
    pub fn from_environment() -> Option<Manager> {
        std::env::var_os("NOTIFY_SOCKET").map(|_| Manager {
            watchdog_timeout: sd_notify::watchdog_enabled().filter(|timeout| !timeout.is_zero()),
        })
    }

    /// Time without a heartbeat after which it ends the process. `None` means that it expects no heartbeats.
    pub fn watchdog_timeout(&self) -> Option<Duration> {
        self.watchdog_timeout
    }

    /// Reports that the process has started, or that the reload is over.
    pub fn ready(&self) {
        self.send(&[NotifyState::Ready]);
    }

    /// Sets the status line of `systemctl status`.
    pub fn status(&self, line: &str) {
        self.send(&[NotifyState::Status(line)]);
    }

    /// Reports that a reload has begun; [`ready`](Self::ready) must follow.
    pub fn reloading(&self) {
        // Type=notify-reload expects a time after that of its signal.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.send(&[NotifyState::Reloading, now]),
            Err(_) => self.send(&[NotifyState::Reloading]),
        }
    }

    /// Reports that the stop has begun, and extends its timeout to the drain and [`STOP_OVERHEAD`], whatever
    /// `TimeoutStopSec=` is.
    pub fn stopping(&self, drain: Duration) {
        let longest = drain.saturating_add(STOP_OVERHEAD).as_micros();
        let extend = format!("EXTEND_TIMEOUT_USEC={longest}");
        let status = format!(
            "stopping; running tasks have {} to end",
            humantime::format_duration(drain)
        );
        self.send(&[
            NotifyState::Stopping,
            NotifyState::Status(&status),
            NotifyState::Custom(&extend),
        ]);
    }

    /// Sends the heartbeat of systemd's watchdog: all threads respond.
    pub fn heartbeat(&self) {
        self.send(&[NotifyState::Watchdog]);
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(states) {
            tracing::warn!(%error, ?states, "cannot notify the service manager");
        }
    }
}
