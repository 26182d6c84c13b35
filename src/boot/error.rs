//! Errors of a process that starts or serves.

use crate::systemd::NoAnswer;
use kirosu_hub::BindError;
use kirosu_providers::BuildError;
use kirosu_store::OpenError;
use kirosu_supervision::ExitReason;
use kirosu_tls::TlsFileError;

/// The process could not start, or its supervisor gave up.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A socket could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A certificate cannot be used.
    #[error("cannot serve TLS: {0}")]
    Tls(#[from] TlsFileError),
    /// The settings name no address of a hub in another process, or those of TLS for it cannot be used.
    #[error("{0}")]
    Address(String),
    /// The hub's own key could not be read or made.
    #[error("{0}")]
    OwnKey(String),
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The settings of a pool's provider are invalid.
    #[error("cannot start pool {pool}: {source}")]
    Provider {
        /// Name of the pool.
        pool: String,
        /// The fault in the settings.
        source: BuildError,
    },
    /// This system cannot bound the runs of a pool as its settings require.
    #[error("cannot start pool {pool}: {why}")]
    Bounds {
        /// Name of the pool.
        pool: String,
        /// The key, the reason and the advice.
        why: String,
    },
    /// The rules for tool calls are invalid.
    #[error("cannot start pools: approval.{0}")]
    Approval(String),
    /// The system refused a thread, a runtime or a signal handler.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    /// The hub listens but does not answer.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// The root supervisor gave up.
    #[error("the supervisor gave up: {0}; the log above names the actor that kept failing")]
    GaveUp(ExitReason),
}

impl BootError {
    /// Exit code of the process.
    pub fn exit_code(&self) -> u8 {
        1
    }
}
