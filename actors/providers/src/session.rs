//! Sessions of a provider, which last from job to job.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::cancel::Cancel;
use crate::event::EventSink;
use crate::job::Job;
use crate::outcome::{RunFailure, RunResult};
use crate::provider::Provider;

/// The data that is known when a session opens.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// The agent's workspace; a single job may still name another directory.
    pub workspace: PathBuf,
    /// The model, where the provider has a choice.
    pub model: Option<String>,
}

/// A provider's session for one agent: runs jobs one after the other. Dropping it ends its processes.
pub trait ProviderSession: Send {
    /// Runs one job, by the rules of [`Provider::run`].
    fn run(&mut self, job: Job, events: EventSink, cancel: Cancel) -> BoxFuture<'_, RunResult>;

    /// Ends the session in order. Resolves when all its processes are dead.
    fn close(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// Opens a session of any provider: a live one, or one that runs each job independently.
///
/// # Errors
/// When the live session cannot be opened: the provider's failure.
pub async fn open_session(
    provider: Arc<dyn Provider>,
    options: SessionOptions,
) -> Result<Box<dyn ProviderSession>, RunFailure> {
    if let Some(opening) = provider.live_session(options) {
        return opening.await;
    }
    Ok(Box::new(OneShot(provider)))
}

/// A session of a provider without live sessions.
struct OneShot(Arc<dyn Provider>);

impl ProviderSession for OneShot {
    fn run(&mut self, job: Job, events: EventSink, cancel: Cancel) -> BoxFuture<'_, RunResult> {
        self.0.run(job, events, cancel)
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}
