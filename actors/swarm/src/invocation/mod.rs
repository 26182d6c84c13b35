//! The invocation: one run of one task, as a temporary child in the tree.
//!
//! It owns the provider's run and the stream of its output. Its session holds the cancel handle: when the session
//! drops it, for any reason, the run is cancelled. The invocation reports once, when every process of the run is
//! dead.

pub(crate) mod accept;
pub(crate) mod activity;
mod admission;
mod batch;
mod budget;
pub(crate) mod children;
pub(crate) mod continued;
mod hooks;
pub(crate) mod job;
mod output;
mod permission_broker;
mod printed;
mod progress;
mod quoted;
pub(crate) mod report;
mod results;
mod start_retry;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::{Either, select};
use kirosu_protocol::task::{FailureClass, Task};

use kirosu_providers::{Cancel, CancelHandle, EventSink, TrustLevel};
use kirosu_supervision::{ChildContext, supervised};
use tokio::sync::{oneshot, watch};
use tracing::{Instrument, Span};

use crate::account::AccountGate;
use crate::conversations::ConversationKey;
use crate::link::SessionLink;
use crate::options::WorkspaceMode;
use crate::pool::Pool;
use crate::pool::health::RunSymptom;
use crate::run_end::{CancelCause, RunEnd, lease_of};
use crate::workspace::{self, RunFolder};
use activity::Activity;
use budget::BudgetReservation;
use hooks::HookRunner;
use job::{NotRun, Ready};
use report::Costs;
use start_retry::RunParts;

/// Events of a run that wait to be sent; each holds at most 48 KiB.
const EVENTS: usize = 32;
/// Time limit for sending the rest of the output after the run has ended, while the hub is connected; the result does
/// not depend on it. While the hub is away the report has to wait as well.
const FLUSH: Duration = Duration::from_secs(2);

/// The input of an invocation.
pub(crate) struct RunRequest {
    pub(crate) pool: Arc<Pool>,
    /// Number of the session in its pool.
    pub(crate) session: u32,
    pub(crate) task: Task,
    /// Its admission to accounts; has the capacity that the session has taken with the lease.
    pub(crate) gate: AccountGate,
    pub(crate) link: SessionLink,
    /// Cancels the run when it receives a cause or is dropped.
    pub(crate) cancel_requested: oneshot::Receiver<CancelCause>,
    /// Receives the end of the run; dropped if the invocation crashes.
    pub(crate) ended: oneshot::Sender<FinishedRun>,
    /// Names task and session on every line that the run logs.
    pub(crate) span: Span,
}

/// The end of an invocation.
pub(crate) struct FinishedRun {
    pub(crate) end: RunEnd,
    /// The folder of the run; `None` if it ended before it had one.
    pub(crate) folder: Option<RunFolder>,
}

pub(crate) struct Invocation {
    child: ChildContext,
    work: Option<RunRequest>,
    cancel: Option<CancelHandle>,
}

supervised!(Invocation);

impl Invocation {
    /// Without work it ends at once.
    pub(crate) fn new(child: &ChildContext, work: Option<RunRequest>) -> Self {
        Self {
            child: child.clone(),
            work,
            cancel: None,
        }
    }

    fn cancel(&self) {
        if let Some(cancel) = &self.cancel {
            cancel.cancel();
        }
    }
}

impl Actor for Invocation {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let Some(work) = self.work.take() else {
            self.child.finish(ctx);
            return;
        };
        self.child.on_stop(ctx, |invocation, _| invocation.cancel());
        let (handle, cancel) = Cancel::pair();
        self.cancel = Some(handle);
        let RunRequest {
            pool,
            session,
            task,
            gate,
            link,
            cancel_requested,
            ended,
            span,
        } = work;
        let withdrawn = Arc::new(AtomicBool::new(false));
        let withdrawn_flag = withdrawn.clone();
        let slack = cancel_requested
            .into_actor(self)
            .map(move |cause, invocation, _| {
                withdrawn_flag.store(cause == Ok(CancelCause::Requested), Ordering::Relaxed);
                invocation.cancel();
            });
        ctx.spawn(slack);
        let run = run(pool, session, (task, gate), link, (cancel, withdrawn)).instrument(span);
        let done = run.into_actor(self).map(|outcome, invocation, ctx| {
            // The receiver is gone if the session has ended.
            let _ = ended.send(outcome);
            invocation.child.handled();
            invocation.child.finish(ctx);
        });
        ctx.spawn(done);
    }
}

async fn run(
    pool: Arc<Pool>,
    session: u32,
    (task, gate): (Task, AccountGate),
    link: SessionLink,
    (cancel, withdrawn): (Cancel, Arc<AtomicBool>),
) -> FinishedRun {
    let lease = lease_of(&task);
    let (number, waited) = (task.attempts, !task.children.is_empty());
    let (ready, reservation) = match prepare(&pool, session, task, &link, &cancel).await {
        Ok(prepared) => prepared,
        Err(NotRun::Task(class, why)) => {
            tracing::warn!("does not run: {why}");
            return without_folder(report::fail(lease, class, &why));
        }
        Err(NotRun::Short(why)) => {
            let end = report::not_started(&why);
            pool.report(RunSymptom::Short(why));
            return without_folder(end);
        }
        Err(NotRun::Pool(why)) => {
            let end = report::give_back(&why);
            pool.report(RunSymptom::NoFolder(why));
            return without_folder(end);
        }
        Err(NotRun::Later(why)) => {
            tracing::info!("its lease goes back: {why}");
            return without_folder(report::give_back(&why));
        }
        Err(NotRun::Cancelled(why)) => {
            let ack = report::failure_of(lease, FailureClass::Cancelled, &why);
            return without_folder(RunEnd::Cancelled(Box::new(ack)));
        }
        Err(NotRun::BudgetRefused(refused)) => {
            pool.report(refused.symptom);
            return without_folder(refused.end);
        }
    };
    let Ready {
        provider,
        own,
        mut job,
        folder,
        warnings,
        accept,
    } = ready;
    let whose = (link.clone(), lease);
    let admission = match admission::enter(&*provider, &mut job, gate, whose, &cancel).await {
        Ok(admission) => admission,
        Err(end) => {
            workspace::abandon(folder).await;
            return without_folder(end);
        }
    };
    let (task, provider_name, model) = (lease.task_id, provider.name(), job.model.clone());
    let trusts = job.trust == TrustLevel::All;
    let has_token = job.hub.is_some();
    job.permissions = permission_broker::permissions(&pool, &link, lease, trusts);
    let here = ConversationKey {
        task,
        number,
        provider: provider_name,
        workdir: &folder.dir,
    };
    if folder.begins_anew() {
        pool.conversations.forget(task);
        if !job.must_continue {
            // An own one, which belongs to the files.
            job.conversation = None;
        }
    }
    if !waited {
        pool.conversations.forget_parked(task);
    }
    let kept = pool.conversations.get(here);
    let kept = kept.or_else(|| folder.conversation(provider_name));
    // Its own earlier attempt went on with the same conversation.
    job.conversation = kept.or(job.conversation);
    // The usage so far, for the budget.
    let (usage, used) = watch::channel(None);
    let flow = output::OutputFlow {
        link: link.clone(),
        lease,
        limit: job.max_output_bytes,
        thoughts: pool.options().show_thoughts,
        usage,
    };
    let (sink, events) = EventSink::channel(EVENTS);
    let options = pool.options();
    let parts = RunParts {
        pool: &pool,
        options: &options,
        folder: &folder,
        sink: sink.clone(),
        cancel: cancel.clone(),
    };
    let hooks = HookRunner::of(parts.clone(), &job, warnings);
    let check = accept::Check::of(parts, &job);
    let activity = Activity::new();
    let watched = folder.listening(&activity.watched(&sink, &pool), provider_name);
    drop(sink);
    // With one folder per task the next task needs another process.
    let again = matches!(
        options.workspace,
        WorkspaceMode::Shared | WorkspaceMode::Isolated
    );
    let live_sessions = &pool.live_sessions;
    let run = |cancel| {
        let run = live_sessions.run(session, &provider, job, again, watched, cancel);
        let run = match own {
            true => Either::Left(activity.outlasting(&pool, run)),
            false => Either::Right(run),
        };
        admission.around(run)
    };
    let run = budget::within(&reservation, used, cancel.clone(), run);
    // Only a run that can speak to the hub can have asked for it.
    let run = async {
        match has_token {
            true => children::parked(link.clone(), lease, cancel.clone(), run).await,
            false => run.await,
        }
    };
    // Boxed, as each future of a run contains the next.
    let run = Box::pin(workspace::inspected(&folder, run));
    let run = Box::pin(check.around(accept.as_deref(), run));
    let run = async {
        let outcome = run.await;
        folder.ended(provider_name, &outcome, withdrawn.load(Ordering::Relaxed));
        outcome
    };
    let run = pin!(hooks.around(run));
    let pump = pin!(output::pump(events, flow));
    let outcome = match select(run, pump).await {
        Either::Left((outcome, pump)) => {
            if !flushed(pump, &link, &cancel).await {
                tracing::info!("the rest of the output was not sent in time");
            }
            outcome
        }
        Either::Right(((), run)) => run.await,
    };
    pool.conversations.record(here, &outcome);
    let is_known = own && activity.apply_to_pool(&pool, task, &outcome);
    let costs = match is_known || activity.costs_nothing(&pool, task, &outcome) {
        true => Costs::Nothing,
        false => Costs::Attempt,
    };
    let conversation = continued::report(&options, &*provider, &folder, &outcome);
    let (mut end, symptom) = report::read(lease, own, accept.is_some(), costs, outcome);
    if let Some(ack) = end.ack_mut() {
        ack.conversation = conversation;
    }
    pool.report(symptom);
    let (end, symptom) = budget::verdict(&reservation, own, end);
    pool.report(symptom);
    let model = admission.model(model, &options.accounts);
    let priced = report::priced(end, &options.prices, model.as_deref());
    let end = admission.complete(&*provider, priced);
    FinishedRun {
        end: budget::signed(end, &pool, model),
        folder: Some(folder.released()),
    }
}

/// Waits for the rest of the output. Returns false if it is given up.
async fn flushed(
    mut pump: Pin<&mut impl Future<Output = ()>>,
    link: &SessionLink,
    cancel: &Cancel,
) -> bool {
    let mut was_connected = link.is_connected();
    loop {
        if tokio::time::timeout(FLUSH, pump.as_mut()).await.is_ok() {
            return true;
        }
        let is_connected = link.is_connected();
        if cancel.is_cancelled() || (was_connected && is_connected) {
            return false;
        }
        was_connected = is_connected;
    }
}

async fn prepare(
    pool: &Arc<Pool>,
    session: u32,
    mut task: Task,
    link: &SessionLink,
    cancel: &Cancel,
) -> Result<(Ready, Option<BudgetReservation>), NotRun> {
    let runner = job::runner_for(pool, &task)?;
    children::drop_unfit(&pool.options(), runner.provider(), &mut task);
    continued::check(&pool.options(), runner.provider(), &task)?;
    let reservation = budget::open(pool, &task, &runner, link, cancel)
        .await
        .map_err(NotRun::BudgetRefused)?;
    let options = pool.options();
    let mut folder = children::folder(&options, session, &mut task).await?;
    // Boxed: most tasks have none.
    let files = Box::pin(results::write(&options, &task, &mut folder, link, cancel));
    if let Err(why) = files.await {
        workspace::abandon(folder).await;
        return Err(why);
    }
    let given_up = folder.clone();
    let hub = pool.swarm.agent_hub.clone();
    let made = move || job::prepare(&options, runner, task, folder, hub);
    // The folder may be on a slow disk, and this thread serves other sessions.
    let ready = tokio::task::spawn_blocking(made)
        .await
        .unwrap_or_else(|error| {
            let why = format!("the workspace could not be prepared: {error}");
            Err(NotRun::Task(FailureClass::Crashed, why))
        });
    match ready {
        Ok(ready) => Ok((ready, reservation)),
        Err(why) => {
            workspace::abandon(given_up).await;
            Err(why)
        }
    }
}

fn without_folder(end: RunEnd) -> FinishedRun {
    FinishedRun { end, folder: None }
}
