//! Conversations that a later attempt of the same task may go on with.
//!
//! A run that was cut short leaves behind what its provider calls the conversation. The pool keeps that in memory: a task
//! that comes back to the same pool of the same process goes on where it was, anywhere else it begins anew. Whether it
//! goes on is decided by [`LastAttempt`], as for its files. Bounded: of many tasks the oldest conversations are forgotten,
//! which costs only their resumption.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kirosu_protocol::TaskId;
use kirosu_providers::{Conversation, Finished, RunFailure};

use crate::going_on::{LastAttempt, is_cut_short};

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
    /// The class that its attempt ended as.
    ended: &'static str,
    /// The attempt's number.
    number: u32,
}

/// The key under which a conversation can be resumed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Where<'a> {
    pub(crate) task: TaskId,
    /// The attempt's number, from 1.
    pub(crate) number: u32,
    pub(crate) provider: &'a str,
    pub(crate) workdir: &'a Path,
}

impl Conversations {
    /// What this task can go on with on this provider, in this folder. It stays kept.
    pub(crate) fn get(&self, now: Where<'_>) -> Option<Conversation> {
        let kept = self.lock();
        let found = kept.iter().find(|it| it.task == now.task)?;
        let last = LastAttempt {
            ended: Some(found.ended),
            number: found.number,
            withdrawn: false,
        };
        let fits = found.provider == now.provider && found.workdir == now.workdir;
        (fits && last.goes_on_in(now.number)).then(|| found.conversation.clone())
    }

    /// Keeps it in place of what this task had.
    fn put(&self, of: Where<'_>, ended: &'static str, it: Conversation) {
        let mut kept = self.lock();
        kept.retain(|it| it.task != of.task);
        if kept.len() >= MOST {
            kept.pop_front();
        }
        kept.push_back(Kept {
            task: of.task,
            provider: of.provider.to_owned(),
            workdir: of.workdir.to_owned(),
            conversation: it,
            ended,
            number: of.number,
        });
    }

    /// Takes note of how a run ended.
    pub(crate) fn settle(&self, of: Where<'_>, outcome: &Result<Finished, RunFailure>) {
        let failure = outcome.as_ref().err();
        let cut_short = failure.filter(|it| is_cut_short(it.kind.as_str()));
        match cut_short.and_then(|it| Some((it.kind.as_str(), it.conversation.clone()?))) {
            Some((ended, conversation)) => self.put(of, ended, conversation),
            None => self.forget(of.task),
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

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_providers::FailureKind;

    fn named(session: &str) -> Conversation {
        Conversation {
            session: session.to_owned(),
            ..Conversation::default()
        }
    }

    fn at(task: TaskId, number: u32) -> Where<'static> {
        Where {
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
            all.get(Where {
                provider,
                ..at(1, 2)
            }),
            None
        );
        let workdir = Path::new("/other");
        assert_eq!(
            all.get(Where {
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
            all.settle(at(1, 1), &Err(failure));
            all.get(at(1, 2)).is_some()
        };
        assert!(kept(FailureKind::Crashed) && kept(FailureKind::Network));
        assert!(!kept(FailureKind::ProviderError));
    }
}
