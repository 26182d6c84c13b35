//! Conversations that a later attempt of the same task may resume.
//!
//! When a run is cut short, the pool keeps its provider's conversation in memory. A task that comes back to the same
//! pool of the same process resumes it; anywhere else the task starts anew. [`LastAttempt`] decides whether it
//! resumes, as for its files. The memory is bounded: the oldest conversations are forgotten, and their tasks start
//! anew.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use kirosu_protocol::TaskId;
use kirosu_providers::{Conversation, FailureKind, RunResult};
use parking_lot::{Mutex, MutexGuard};

use crate::resume::{LastAttempt, is_cut_short};

/// Maximum number of tasks remembered.
const MOST: usize = 1024;

/// The conversations of one pool.
#[derive(Debug, Default)]
pub(crate) struct Conversations(Mutex<VecDeque<PoolConversation>>);

/// A conversation, and the facts that must be the same to resume it.
#[derive(Debug)]
struct PoolConversation {
    task: TaskId,
    provider: String,
    /// Agent programs store their conversations by folder.
    workdir: PathBuf,
    conversation: Conversation,
    /// The failure class of its attempt.
    ended: &'static str,
    /// The attempt's number, from 1.
    number: u32,
}

/// The key under which a conversation can be resumed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConversationKey<'a> {
    pub(crate) task: TaskId,
    /// The attempt's number, from 1.
    pub(crate) number: u32,
    pub(crate) provider: &'a str,
    pub(crate) workdir: &'a Path,
}

impl Conversations {
    /// Returns the conversation that this task can resume on this provider, in this folder. It stays stored.
    pub(crate) fn get(&self, now: ConversationKey<'_>) -> Option<Conversation> {
        let kept = self.lock();
        let found = kept.iter().find(|it| it.task == now.task)?;
        let last = LastAttempt {
            ended: Some(found.ended),
            number: found.number,
            withdrawn: false,
        };
        let fits = found.provider == now.provider && found.workdir == now.workdir;
        (fits && last.resumes_in(now.number)).then(|| found.conversation.clone())
    }

    /// Stores a conversation in place of the task's previous one.
    fn put(&self, of: ConversationKey<'_>, ended: &'static str, it: Conversation) {
        let mut kept = self.lock();
        kept.retain(|it| it.task != of.task);
        if kept.len() >= MOST {
            kept.pop_front();
        }
        kept.push_back(PoolConversation {
            task: of.task,
            provider: of.provider.to_owned(),
            workdir: of.workdir.to_owned(),
            conversation: it,
            ended,
            number: of.number,
        });
    }

    /// Stores the conversation of a run that was cut short; forgets it after any other end.
    pub(crate) fn record(&self, of: ConversationKey<'_>, outcome: &RunResult) {
        let failure = outcome.as_ref().err();
        let cut_short = failure.filter(|it| is_cut_short(it.kind.as_str()));
        match cut_short.and_then(|it| Some((it.kind.as_str(), it.conversation.clone()?))) {
            Some((ended, conversation)) => self.put(of, ended, conversation),
            None => self.forget(of.task),
        }
    }

    /// Forgets a conversation that waited for the task's children. The task has not got their results: a person has cancelled it
    /// meanwhile, and retried it.
    pub(crate) fn forget_parked(&self, task: TaskId) {
        let parked = FailureKind::Parked.as_str();
        self.lock()
            .retain(|it| it.task != task || it.ended != parked);
    }

    /// Forgets the task's conversation.
    pub(crate) fn forget(&self, task: TaskId) {
        self.lock().retain(|it| it.task != task);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<PoolConversation>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_providers::RunFailure;

    fn named(session: &str) -> Conversation {
        Conversation {
            session: session.to_owned(),
            ..Conversation::default()
        }
    }

    fn at(task: TaskId, number: u32) -> ConversationKey<'static> {
        ConversationKey {
            task,
            number,
            provider: "codex",
            workdir: Path::new("/w"),
        }
    }

    #[test]
    fn a_task_goes_on_only_where_it_was() {
        let all = Conversations::default();
        all.put(at(1, 1), "crashed", named("old"));
        all.put(at(1, 1), "crashed", named("a"));
        assert_eq!(all.get(at(1, 2)), Some(named("a")));
        let provider = "claude";
        assert_eq!(
            all.get(ConversationKey {
                provider,
                ..at(1, 2)
            }),
            None
        );
        let workdir = Path::new("/other");
        assert_eq!(
            all.get(ConversationKey {
                workdir,
                ..at(1, 2)
            }),
            None
        );
        assert_eq!(all.get(at(2, 2)), None);
        assert_eq!(all.get(at(1, 1)), None, "a person retried it");
        all.forget(1);
        assert_eq!(all.get(at(1, 2)), None);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let all = Conversations::default();
        for task in 0..=TaskId::try_from(MOST).unwrap() {
            all.put(at(task, 1), "crashed", named("s"));
        }
        assert_eq!(all.get(at(0, 2)), None);
        assert_eq!(all.get(at(1, 2)), Some(named("s")));
        assert_eq!(all.lock().len(), MOST);
    }

    #[test]
    fn an_attempt_that_failed_by_itself_leaves_none() {
        let all = Conversations::default();
        let kept = |class| {
            let mut failure = RunFailure::new(class, "x");
            failure.conversation = Some(named("s"));
            all.record(at(1, 1), &Err(failure));
            all.get(at(1, 2)).is_some()
        };
        assert!(kept(FailureKind::Crashed) && kept(FailureKind::Network));
        assert!(!kept(FailureKind::ProviderError));
    }
}
