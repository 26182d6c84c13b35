//! The runs of a router's members: independent ones, or in kept sessions.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Member, RouterPlan, route};
use crate::cancel::Cancel;
use crate::event::EventSink;
use crate::job::Job;
use crate::outcome::RunResult;
use crate::session::{ProviderSession, SessionOptions, open_session};

/// A session of a router: the sessions of its members, each opened at its first use.
pub(super) struct RouterSession {
    pub(super) plan: Arc<RouterPlan>,
    pub(super) live: KeptSessions,
}

impl ProviderSession for RouterSession {
    fn run(&mut self, job: Job, events: EventSink, cancel: Cancel) -> BoxFuture<'_, RunResult> {
        let plan = self.plan.clone();
        Box::pin(async move { route(&plan, &mut self.live, job, events, cancel).await })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let ends = self.live.sessions.into_iter().flatten();
            futures_util::future::join_all(ends.map(|session| session.close())).await;
        })
    }
}

/// Runs a job with one member.
pub(super) trait MemberRunner: Send {
    fn run<'a>(
        &'a mut self,
        member: &'a Member,
        place: usize,
        job: Job,
        events: EventSink,
        cancel: Cancel,
    ) -> BoxFuture<'a, RunResult>;
}

/// Runs each job independently.
pub(super) struct OneShotRuns;

impl MemberRunner for OneShotRuns {
    fn run<'a>(
        &'a mut self,
        member: &'a Member,
        _: usize,
        job: Job,
        events: EventSink,
        cancel: Cancel,
    ) -> BoxFuture<'a, RunResult> {
        member.provider.run(job, events, cancel)
    }
}

/// Runs jobs in sessions that are kept.
pub(super) struct KeptSessions {
    pub(super) options: SessionOptions,
    pub(super) sessions: Vec<Option<Box<dyn ProviderSession>>>,
}

impl MemberRunner for KeptSessions {
    fn run<'a>(
        &'a mut self,
        member: &'a Member,
        place: usize,
        job: Job,
        events: EventSink,
        cancel: Cancel,
    ) -> BoxFuture<'a, RunResult> {
        Box::pin(async move {
            let mut options = self.options.clone();
            options.model = options.model.or_else(|| member.model.clone());
            let slot = self.sessions.get_mut(place);
            let Some(slot) = slot else {
                return member.provider.run(job, events, cancel).await;
            };
            if slot.is_none() {
                *slot = Some(open_session(member.provider.clone(), options).await?);
            }
            match slot {
                Some(session) => session.run(job, events, cancel).await,
                None => member.provider.run(job, events, cancel).await,
            }
        })
    }
}
