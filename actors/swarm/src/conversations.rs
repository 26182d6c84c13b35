//! Conversations that a later attempt of the same task may go on with.
//!
//! A run that crashed, timed out or was lost leaves behind what its provider calls the conversation. The pool keeps that
//! in memory: a task that comes back to the same pool of the same process goes on where it was, anywhere else it begins
//! anew. Bounded: of many tasks the oldest conversations are forgotten, which costs only their resumption.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kirosu_protocol::TaskId;
use kirosu_providers::{Conversation, Failure, FailureClass, Finished};

/// Tasks that are remembered.
const MOST: usize = 1024;

/// The conversations of one pool.
#[derive(Debug, Default)]
pub(crate) struct Conversations(Mutex<VecDeque<Kept>>);

/// One, with what must be the same for it to go on.
#[derive(Debug)]
struct Kept {
    task: TaskId,
    provider: String,
    /// Agent programs keep their conversations by folder.
    workdir: PathBuf,
    conversation: Conversation,
}

impl Conversations {
    /// What this task can go on with on this provider, in this folder. It stays kept.
    pub(crate) fn get(&self, task: TaskId, provider: &str, workdir: &Path) -> Option<Conversation> {
        let kept = self.lock();
        let found = kept.iter().find(|it| it.task == task)?;
        let fits = found.provider == provider && found.workdir == workdir;
        fits.then(|| found.conversation.clone())
    }

    /// Keeps it in place of what this task had.
    fn put(&self, task: TaskId, provider: &str, workdir: &Path, it: Conversation) {
        let mut kept = self.lock();
        kept.retain(|it| it.task != task);
        if kept.len() >= MOST {
            kept.pop_front();
        }
        kept.push_back(Kept {
            task,
            provider: provider.to_owned(),
            workdir: workdir.to_owned(),
            conversation: it,
        });
    }

    /// Takes note of how a run ended.
    pub(crate) fn settle(
        &self,
        task: TaskId,
        provider: &str,
        workdir: &Path,
        outcome: &Result<Finished, Failure>,
    ) {
        match outcome.as_ref().err().and_then(worth_keeping) {
            Some(conversation) => self.put(task, provider, workdir, conversation.clone()),
            None => self.forget(task),
        }
    }

    /// The task has ended, or is to begin anew.
    pub(crate) fn forget(&self, task: TaskId) {
        self.lock().retain(|it| it.task != task);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What of a failed run is worth going on with: it was cut short, and had told its conversation. One that failed in
/// any other way has had its say; the next attempt begins anew, as it does after a conversation that could not be
/// resumed.
fn worth_keeping(failure: &Failure) -> Option<&Conversation> {
    let cut_short = matches!(
        failure.class,
        FailureClass::Crashed
            | FailureClass::Timeout { .. }
            | FailureClass::Cancelled
            | FailureClass::RateLimited { .. }
    );
    failure.conversation.as_ref().filter(|_| cut_short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(session: &str) -> Conversation {
        Conversation {
            session: session.to_owned(),
            ..Conversation::default()
        }
    }

    #[test]
    fn a_task_goes_on_only_where_it_was() {
        let all = Conversations::default();
        let here = Path::new("/w");
        all.put(1, "codex", here, named("old"));
        all.put(1, "codex", here, named("a"));
        assert_eq!(all.get(1, "codex", here), Some(named("a")));
        assert_eq!(all.get(1, "claude", here), None);
        assert_eq!(all.get(1, "codex", Path::new("/other")), None);
        assert_eq!(all.get(2, "codex", here), None);
        all.forget(1);
        assert_eq!(all.get(1, "codex", here), None);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let all = Conversations::default();
        let here = Path::new("/w");
        for task in 0..=TaskId::try_from(MOST).unwrap() {
            all.put(task, "codex", here, named("s"));
        }
        assert_eq!(all.get(0, "codex", here), None);
        assert_eq!(all.get(1, "codex", here), Some(named("s")));
        assert_eq!(all.lock().len(), MOST);
    }

    #[test]
    fn what_failed_by_itself_begins_anew() {
        let kept = |class| {
            let mut failure = Failure::new(class, "x");
            failure.conversation = Some(named("s"));
            worth_keeping(&failure).is_some()
        };
        assert!(kept(FailureClass::Crashed) && kept(FailureClass::Cancelled));
        assert!(!kept(FailureClass::ProviderError) && !kept(FailureClass::RefusedByPolicy));
    }
}
