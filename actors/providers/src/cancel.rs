//! Cancellation: a one-way switch between the caller of a run and the run.

use tokio::sync::watch;

/// The caller's side. **Dropping it cancels the run**: without a caller the result has no use, and runs cost money.
#[derive(Debug)]
#[must_use = "dropping the handle cancels the run"]
pub struct CancelHandle(watch::Sender<bool>);

impl CancelHandle {
    /// Asks the run to end. Returns at once; the run resolves when everything it started is dead.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

/// The run's side. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cancel(Option<watch::Receiver<bool>>);

impl Cancel {
    /// A switch and its handle.
    pub fn pair() -> (CancelHandle, Self) {
        let (sender, receiver) = watch::channel(false);
        (CancelHandle(sender), Self(Some(receiver)))
    }

    /// A switch without a caller: it is never set.
    #[must_use]
    pub const fn never() -> Self {
        Self(None)
    }

    /// Whether the run was asked to end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|it| *it.borrow() || it.has_changed().is_err())
    }

    /// Resolves when the run is asked to end. Cancel safe.
    pub async fn cancelled(&mut self) {
        match &mut self.0 {
            // An error means that the handle is gone, which cancels as well.
            Some(receiver) => drop(receiver.wait_for(|cancelled| *cancelled).await),
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_handle_cancels() {
        let (handle, mut cancel) = Cancel::pair();
        assert!(!cancel.is_cancelled());
        drop(handle);
        cancel.cancelled().await;
        assert!(cancel.is_cancelled());
        assert!(!Cancel::never().is_cancelled());
    }
}
