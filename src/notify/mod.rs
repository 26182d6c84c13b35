//! What systemd is told: ready, reloading, stopping, how things stand, and that all threads live.
//!
//! Without `NOTIFY_SOCKET` in the environment there is nobody to tell, and nothing of this runs. A process with a hub is
//! ready when the hub has answered a `hello` over the socket that it listens on. A process with agents only is ready
//! when its sessions run: they wait for a hub that is away and connect by themselves, so a hub that is down must not
//! make their unit fail. The status line says which hub they wait for.

mod herald;
mod ready;
mod status;

pub use herald::spec;
pub use ready::{NoAnswer, answers};

use sd_notify::NotifyState;
use std::time::Duration;

/// Time on top of the drain for everything else that a stop does.
const BESIDES_DRAIN: Duration = Duration::from_secs(60);

/// The service manager that started this process and listens. Cheap to clone, usable from any thread.
#[derive(Clone, Debug)]
pub struct Manager {
    watchdog: Option<Duration>,
}

impl Manager {
    /// The one that the environment names, if it does.
    pub fn from_environment() -> Option<Manager> {
        std::env::var_os("NOTIFY_SOCKET").map(|_| Manager {
            watchdog: sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero()),
        })
    }

    /// How long it waits for a sign of life, if it waits for any.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Everything has started, or the reload is over.
    pub fn ready(&self) {
        self.say(&[NotifyState::Ready]);
    }

    /// One line on how things stand, for `systemctl status`.
    pub fn status(&self, line: &str) {
        self.say(&[NotifyState::Status(line)]);
    }

    /// The configuration is being read again; [`ready`](Self::ready) must follow.
    pub fn reloading(&self) {
        // Type=notify-reload waits for a time after that of its signal.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.say(&[NotifyState::Reloading, now]),
            Err(_) => self.say(&[NotifyState::Reloading]),
        }
    }

    /// The end has begun and running tasks have this long. Asks for the time it takes, whatever `TimeoutStopSec=` says.
    pub fn stopping(&self, drain: Duration) {
        let longest = drain.saturating_add(BESIDES_DRAIN).as_micros();
        let extend = format!("EXTEND_TIMEOUT_USEC={longest}");
        let status = format!(
            "stopping; running tasks have {} to end",
            humantime::format_duration(drain)
        );
        self.say(&[
            NotifyState::Stopping,
            NotifyState::Status(&status),
            NotifyState::Custom(&extend),
        ]);
    }

    /// All threads live.
    pub fn feed(&self) {
        self.say(&[NotifyState::Watchdog]);
    }

    fn say(&self, what: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(what) {
            tracing::warn!(%error, ?what, "the service manager could not be told");
        }
    }
}
