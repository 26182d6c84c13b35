//! Options of the targets, filled from the settings by `src/options/`.

use kirosu_protocol::RetryPolicy;
use kirosu_protocol::client::Endpoint;
use kirosu_providers::Containment;
use std::path::PathBuf;
use std::time::Duration;

/// The hub, and what programs need.
#[derive(Clone)]
pub struct NotifyOptions {
    /// Endpoint of the hub.
    pub endpoint: Endpoint,
    /// The key that the targets send to the hub.
    pub key: Option<String>,
    /// Contains the programs of targets.
    pub containment: Containment,
    /// The folder in which they run.
    pub folder: PathBuf,
}

impl std::fmt::Debug for NotifyOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the key, which must not reach the log.
        f.debug_struct("NotifyOptions")
            .field("endpoint", &self.endpoint)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// A target.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetOptions {
    /// Its name.
    pub name: String,
    /// How it is notified.
    pub way: Way,
    /// Texts of a task that the events about it include: `prompt`, `result`.
    pub include: Vec<String>,
    /// The longest delivery.
    pub timeout: Duration,
    /// The delays before a failed delivery is tried again.
    pub retry: RetryPolicy,
}

/// How a target is notified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a request over HTTP.
    Webhook {
        /// The address.
        address: Address,
        /// Whether the address may be without TLS beyond loopback.
        plain: bool,
        /// The variable with the secret of the signature.
        secret_env: Option<String>,
        /// The file with that secret.
        secret_file: Option<PathBuf>,
    },
    /// By a program and its arguments.
    Command(Vec<String>),
    /// By a notification of the desktop.
    Desktop,
}

/// The address of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// This one.
    Url(String),
    /// The one in this variable.
    Env(String),
}
