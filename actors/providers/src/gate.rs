//! The account gate: decides which providers may run now.
//!
//! A provider that chooses among others (the router) asks the job's [`ProviderGate`] which of them may run, and reports the
//! end of the run to it. It knows nothing of accounts, limits or pools: the caller that makes the job supplies the gate.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;

use crate::outcome::RunResult;

/// The reason for which none of some providers may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountClosed {
    /// The time at which the first of them may run again. `None` where a person must act, or the time is not known.
    pub until: Option<SystemTime>,
    /// The reasons of all, for a person.
    pub message: String,
}

/// The admission of one run of one provider. Dropping it reports nothing about the end of the run.
pub struct AccountPass(EndCallback);

/// The callback for the end of a run.
type EndCallback = Box<dyn FnOnce(&RunResult) + Send>;

impl AccountPass {
    /// An admission that calls `told` with the end of the run.
    pub fn new(reported: impl FnOnce(&RunResult) + Send + 'static) -> Self {
        Self(Box::new(reported))
    }

    /// Reports the end of the run.
    pub fn ended(self, outcome: &RunResult) {
        (self.0)(outcome);
    }
}

/// The decision behind an [`ProviderGate`].
pub trait Gatekeeper: Send + Sync + 'static {
    /// Waits until one of these providers may run, and returns the first that may: its index in `providers`.
    ///
    /// # Errors
    /// When all of them are closed.
    fn choose(
        &self,
        providers: Vec<String>,
    ) -> BoxFuture<'static, Result<(usize, AccountPass), AccountClosed>>;

    /// `Some` when all of these are closed now.
    fn closed(&self, providers: &[String]) -> Option<AccountClosed>;
}

/// The gate of a job; cheap to clone.
#[derive(Clone)]
pub struct ProviderGate(Arc<dyn Gatekeeper>);

impl ProviderGate {
    /// A gate with this decision.
    pub fn new(keeper: impl Gatekeeper) -> Self {
        Self(Arc::new(keeper))
    }

    /// A gate that admits every run at once.
    #[must_use]
    pub fn open() -> Self {
        Self::new(AlwaysOpen)
    }

    /// See [`Gatekeeper::choose`].
    ///
    /// # Errors
    /// When all of them are closed.
    pub async fn choose(
        &self,
        providers: Vec<String>,
    ) -> Result<(usize, AccountPass), AccountClosed> {
        self.0.choose(providers).await
    }

    /// See [`Gatekeeper::closed`].
    #[must_use]
    pub fn closed(&self, providers: &[String]) -> Option<AccountClosed> {
        self.0.closed(providers)
    }
}

impl fmt::Debug for ProviderGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}

/// The gate of [`ProviderGate::open`].
struct AlwaysOpen;

impl Gatekeeper for AlwaysOpen {
    fn choose(
        &self,
        _: Vec<String>,
    ) -> BoxFuture<'static, Result<(usize, AccountPass), AccountClosed>> {
        Box::pin(std::future::ready(Ok((0, AccountPass::new(|_| {})))))
    }

    fn closed(&self, _: &[String]) -> Option<AccountClosed> {
        None
    }
}
