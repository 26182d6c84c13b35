//! `router`: an ordered list of other providers, of which the first available one runs the task.
//!
//! It asks the job's gate which of them may run now, and tries the next one when a run fails for a reason of the provider
//! and not of the task: a rate limit, a missing login, the network, a missing program. After a tool has run it does not
//! continue unless it is configured to, because the next provider would start anew and repeat the work. A program that
//! does not report its tools (one that prints only text) counts as one that ran none.
//!
//! Ids of conversations have the form `MEMBER:ID`, so that only the provider that began one continues it.

mod member_events;
mod member_runs;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
pub use kirosu_protocol::settings::ROUTER_CLASSES;
use tokio::time::Instant;

use crate::cancel::Cancel;
use crate::containment::Containment;
use crate::event::{EventSink, RunEvent, RunUsage};
use crate::gate::AccountPass;
use crate::job::Job;
use crate::options::{BuildError, ProviderOptions};
use crate::outcome::{FailureKind, RunFailure, RunResult, TimeoutKind};
use crate::provider::{ProbeReport, Provider};
use crate::registry::build;
use crate::session::{ProviderSession, SessionOptions};
use member_events::{own, sign, signed, sum};
use member_runs::{KeptSessions, MemberRunner, OneShotRuns, RouterSession};

/// The options of a router.
#[derive(Debug, Clone, Default)]
pub struct RouterOptions {
    /// Its providers, in the order in which they are tried, each with the model that applies where neither task nor pool
    /// names one.
    pub members: Vec<(ProviderOptions, Option<String>)>,
    /// Failure kinds at which it tries the next provider, words of [`ROUTER_CLASSES`]. Empty means the first four.
    pub on: Vec<String>,
    /// Whether it also tries the next provider after a tool has run, which may repeat work.
    pub retry_after_tools: bool,
}

/// A provider of a router.
struct Member {
    provider: Arc<dyn Provider>,
    /// The model where neither task nor pool names one.
    model: Option<String>,
}

/// A `router` provider.
pub(crate) struct RouterProvider(Arc<RouterPlan>);

struct RouterPlan {
    name: String,
    members: Vec<Member>,
    /// Failure kinds at which the next member is tried.
    on: Vec<String>,
    retry_after_tools: bool,
}

impl RouterProvider {
    pub(crate) fn new(
        options: &ProviderOptions,
        containment: &Containment,
    ) -> Result<Self, BuildError> {
        let router = &options.router;
        let members = router.members.iter().map(|(member, model)| {
            Ok(Member {
                provider: build(member, containment)?,
                model: model.clone(),
            })
        });
        let on = match router.on.is_empty() {
            true => ROUTER_CLASSES
                .iter()
                .take(4)
                .map(|it| (*it).to_owned())
                .collect(),
            false => router.on.clone(),
        };
        Ok(Self(Arc::new(RouterPlan {
            name: options.name.clone(),
            members: members.collect::<Result<_, _>>()?,
            on,
            retry_after_tools: router.retry_after_tools,
        })))
    }
}

impl Provider for RouterProvider {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn dangerous(&self) -> bool {
        let mut members = self.0.members.iter();
        members.any(|member| member.provider.dangerous())
    }

    fn routes(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for name in self.0.members.iter().flat_map(|it| it.provider.routes()) {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        all
    }

    /// A router can run where one of its members can.
    fn continues(&self) -> bool {
        let mut members = self.0.members.iter();
        members.any(|member| member.provider.continues())
    }

    fn probe(&self) -> BoxFuture<'_, ProbeReport> {
        Box::pin(async move {
            let looks = self.0.members.iter().map(|it| it.provider.probe());
            let probes = futures_util::future::join_all(looks).await;
            let found = probes.iter().any(|probe| probe.found);
            let named = self.0.members.iter().zip(&probes);
            let problems: Vec<String> = named
                .filter_map(|(member, probe)| {
                    let problem = probe.problem.as_ref()?;
                    Some(format!("{}: {problem}", member.provider.name()))
                })
                .collect();
            let commands: Vec<&str> = probes.iter().map(|it| it.command.as_str()).collect();
            ProbeReport {
                found,
                version: None,
                command: commands.join(", else "),
                problem: (!found).then(|| problems.join("; ")),
            }
        })
    }

    fn run(&self, job: Job, events: EventSink, cancel: Cancel) -> BoxFuture<'_, RunResult> {
        let plan = self.0.clone();
        Box::pin(async move { route(&plan, &mut OneShotRuns, job, events, cancel).await })
    }

    fn live_session(
        &self,
        options: SessionOptions,
    ) -> Option<BoxFuture<'_, Result<Box<dyn ProviderSession>, RunFailure>>> {
        let plan = self.0.clone();
        let sessions = plan.members.iter().map(|_| None).collect();
        let live = KeptSessions { options, sessions };
        let session: Box<dyn ProviderSession> = Box::new(RouterSession { plan, live });
        Some(Box::pin(std::future::ready(Ok(session))))
    }
}

/// A run of a router, which tries members in turn.
struct Route<'a> {
    plan: &'a RouterPlan,
    job: Job,
    events: EventSink,
    cancel: Cancel,
    /// The deadline of the whole run.
    deadline: Option<Instant>,
    /// Members that were not tried yet.
    left: Vec<usize>,
    /// The usage of the members that were tried.
    used: Option<RunUsage>,
}

async fn route(
    plan: &RouterPlan,
    runs: &mut dyn MemberRunner,
    job: Job,
    events: EventSink,
    cancel: Cancel,
) -> RunResult {
    let deadline = job.timeouts.total.map(|limit| Instant::now() + limit);
    let mut left: Vec<usize> = (0..plan.members.len()).collect();
    if job.must_continue {
        // Only the member that began the conversation has it.
        let begun = |place: &usize| {
            let name = plan.members[*place].provider.name();
            job.conversation
                .as_ref()
                .is_some_and(|it| own(name, it.clone()).is_some())
        };
        left.retain(begun);
        if left.is_empty() {
            let why = format!("no provider of '{}' has begun it", plan.name);
            return Err(job.cannot_continue(&why));
        }
    }
    let mut way = Route {
        plan,
        job,
        events,
        cancel,
        deadline,
        left,
        used: None,
    };
    let mut last: Option<(usize, RunFailure)> = None;
    while !way.left.is_empty() {
        let (place, pass) = match way.next().await {
            Ok(Some(next)) => next,
            Ok(None) => break,
            Err(mut failure) => {
                failure.usage = way.used;
                return Err(failure);
            }
        };
        if let Some((before, failure)) = &last {
            way.warn_switch(*before, failure, place).await;
        }
        let (outcome, tool_ran) = way.run(runs, place, pass).await;
        match outcome {
            Err(failure) if way.moves_on(&failure, tool_ran) => last = Some((place, failure)),
            outcome => return outcome,
        }
    }
    Err(way.ended(last.map(|(_, failure)| failure)))
}

impl Route<'_> {
    fn name(&self, place: usize) -> &str {
        self.plan.members[place].provider.name()
    }

    /// Waits for the next member that may run. `None` when all remaining members are closed.
    async fn next(&mut self) -> Result<Option<(usize, AccountPass)>, RunFailure> {
        let names = self.left.iter().map(|it| self.name(*it).to_owned());
        let names: Vec<String> = names.collect();
        let gate = self.job.gate.clone();
        let deadline = self.deadline;
        let chosen = tokio::select! {
            biased;
            () = self.cancel.cancelled() => {
                return Err(RunFailure::new(FailureKind::Cancelled, "the run was cancelled"));
            }
            chosen = gate.choose(names) => chosen,
            () = expiry(deadline) => {
                let which = TimeoutKind::Total;
                let message = format!("router '{}' waited for its providers until the time limit of the run was over", self.plan.name);
                return Err(RunFailure::new(FailureKind::Timeout { which }, message));
            }
        };
        Ok(match chosen {
            Ok((at, pass)) if at < self.left.len() => Some((self.left.remove(at), pass)),
            _ => None,
        })
    }

    /// Warns that another member runs the task now.
    async fn warn_switch(&self, before: usize, failure: &RunFailure, now: usize) {
        let message = format!(
            "provider '{}' failed ({}: {}); '{}' runs the task instead",
            self.name(before),
            failure.kind,
            failure.message,
            self.name(now)
        );
        self.events.send(RunEvent::Warning { message }).await;
    }

    /// Runs the job with one member. The second value states whether a tool ran.
    async fn run(
        &mut self,
        runs: &mut dyn MemberRunner,
        place: usize,
        pass: AccountPass,
    ) -> (RunResult, bool) {
        let plan = self.plan;
        let member = &plan.members[place];
        let name = member.provider.name();
        let mut job = self.job.clone();
        job.model = job.model.or_else(|| member.model.clone());
        job.conversation = job.conversation.and_then(|it| own(name, it));
        job.timeouts.total = self
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
            .map(|left| left.max(Duration::from_millis(1)));
        let tool_ran = Arc::new(AtomicBool::new(false));
        let seen = tool_ran.clone();
        let before = self.used.clone();
        let prefix = name.to_owned();
        let events = self.events.through(move |event| {
            if matches!(event, RunEvent::Tool { .. }) {
                seen.store(true, Ordering::Relaxed);
            }
            signed(&prefix, before.as_ref(), event)
        });
        let mut outcome = runs
            .run(member, place, job, events, self.cancel.clone())
            .await;
        pass.ended(&outcome);
        match &mut outcome {
            Ok(finished) => {
                finished.usage = sum(self.used.take(), finished.usage.take());
                sign(name, &mut finished.conversation);
            }
            Err(failure) => {
                failure.usage = sum(self.used.take(), failure.usage.take());
                self.used.clone_from(&failure.usage);
                sign(name, &mut failure.conversation);
            }
        }
        (outcome, tool_ran.load(Ordering::Relaxed))
    }

    fn moves_on(&self, failure: &RunFailure, tool_ran: bool) -> bool {
        let class = failure.kind.as_str();
        let named = self.plan.on.iter().any(|word| word == class);
        named && (!tool_ran || self.plan.retry_after_tools)
    }

    /// The failure after the last member: the task waits for the first account that opens; where that time is not known,
    /// the last failure counts.
    fn ended(self, last: Option<RunFailure>) -> RunFailure {
        let members = self.plan.members.iter();
        let names: Vec<String> = members.flat_map(|it| it.provider.routes()).collect();
        let closed = self.job.gate.closed(&names);
        let name = &self.plan.name;
        let mut failure = match (closed, last) {
            (Some(closed), _) if closed.until.is_some() => {
                let class = FailureKind::RateLimited {
                    until: closed.until,
                };
                let message = format!("no provider of '{name}' is open: {}", closed.message);
                RunFailure::new(class, message)
            }
            (_, Some(last)) => last,
            (Some(closed), None) => {
                let message = format!("no provider of '{name}' is open: {}", closed.message);
                RunFailure::new(FailureKind::AuthRequired, message)
            }
            // A member was closed when the gate was asked, and is open again.
            (None, None) => {
                let message = format!("no provider of '{name}' was open");
                RunFailure::new(FailureKind::RateLimited { until: None }, message)
            }
        };
        failure.usage = failure.usage.or(self.used);
        failure
    }
}

async fn expiry(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
