//! What an agent session keeps of its provider between two jobs.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::cancel::Cancel;
use crate::event::EventSink;
use crate::job::Job;
use crate::outcome::{Finished, RunFailure};
use crate::provider::Provider;

/// What is known when a session opens.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// The agent's workspace; a single job may still name another directory.
    pub workspace: PathBuf,
    /// The model, where the provider has a choice.
    pub model: Option<String>,
}

/// A provider as one agent holds it: runs jobs one after the other. Dropping it ends what lives in it.
pub trait ProviderSession: Send {
    /// Runs one job, by the rules of [`Provider::run`].
    fn run(
        &mut self,
        job: Job,
        events: EventSink,
        cancel: Cancel,
    ) -> BoxFuture<'_, Result<Finished, RunFailure>>;

    /// Ends it in good order; resolves when everything is dead.
    fn close(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// Opens a session of any provider: its live one, or one that starts anew for every job.
///
/// # Errors
/// What the provider says when its live session cannot be opened.
pub async fn open_session(
    provider: Arc<dyn Provider>,
    options: SessionOptions,
) -> Result<Box<dyn ProviderSession>, RunFailure> {
    if let Some(opening) = provider.live_session(options) {
        return opening.await;
    }
    Ok(Box::new(OneShot(provider)))
}

/// A session of a provider that keeps nothing.
struct OneShot(Arc<dyn Provider>);

impl ProviderSession for OneShot {
    fn run(
        &mut self,
        job: Job,
        events: EventSink,
        cancel: Cancel,
    ) -> BoxFuture<'_, Result<Finished, RunFailure>> {
        self.0.run(job, events, cancel)
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}
