//! The gate: whether a provider may be asked now.
//!
//! A provider that chooses among others (the router) asks the job's [`AccountGate`] which of them may run, and tells it how the
//! run ended. It knows nothing of accounts, limits or pools: whoever makes the job brings the gate along.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;

use crate::outcome::{Finished, RunFailure};

/// Why none of some providers may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountClosed {
    /// When the first of them may be asked again; none where a person must act, or nobody knows.
    pub until: Option<SystemTime>,
    /// The reason of each, for a person.
    pub message: String,
}

/// Leave for one run of one provider. Dropped without a word it says nothing about how the run ended.
pub struct AccountPass(EndCallback);

/// Who is told of a run's end.
type EndCallback = Box<dyn FnOnce(&Result<Finished, RunFailure>) + Send>;

impl AccountPass {
    /// Leave, and who is told of the run's end.
    pub fn new(told: impl FnOnce(&Result<Finished, RunFailure>) + Send + 'static) -> Self {
        Self(Box::new(told))
    }

    /// The run has ended.
    pub fn ended(self, outcome: &Result<Finished, RunFailure>) {
        (self.0)(outcome);
    }
}

/// Who decides.
pub trait Gatekeeper: Send + Sync + 'static {
    /// Waits until one of these providers may run, the first that may. The number is its place among them.
    ///
    /// # Errors
    /// When all are closed.
    fn choose(
        &self,
        providers: Vec<String>,
    ) -> BoxFuture<'static, Result<(usize, AccountPass), AccountClosed>>;

    /// Whether all of these are closed now.
    fn closed(&self, providers: &[String]) -> Option<AccountClosed>;
}

/// The gate of a job; cheap to clone.
#[derive(Clone)]
pub struct AccountGate(Arc<dyn Gatekeeper>);

impl AccountGate {
    /// This one decides.
    pub fn new(keeper: impl Gatekeeper) -> Self {
        Self(Arc::new(keeper))
    }

    /// Everything may run at any time.
    #[must_use]
    pub fn open() -> Self {
        Self::new(AlwaysOpen)
    }

    /// See [`Gatekeeper::choose`].
    ///
    /// # Errors
    /// When all are closed.
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

impl fmt::Debug for AccountGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}

/// Always open.
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
