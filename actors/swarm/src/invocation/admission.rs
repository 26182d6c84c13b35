//! Admission of a run: capacity on its provider's account, held until the provider has ended.
//!
//! A session takes the capacity along with the lease. Only a task that names another provider than its pool's, and a
//! router that moves on, wait here, with their lease. Their position is published as the task's progress. The wait
//! ends on a cancel, at the task's time limit, and when the account is parked: then the lease goes back until the
//! account opens.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use kirosu_protocol::task::FailureClass;
use kirosu_protocol::{HeldLease, ProgressParams};
use kirosu_providers::{AccountClosed, Cancel, Job, Provider, ProviderGate, RunResult};
use serde_json::json;

use crate::account::{AccountGate, AccountOptions, QueuePosition, RunPass};
use crate::invocation::report;
use crate::link::SessionLink;
use crate::run_end::{LeaseReport, RunEnd};

/// Delay before a task can be leased again whose provider waits for a person.
const PERSONS_TURN: Duration = Duration::from_secs(60);
/// Maximum delay of a release that the hub accepts.
const LONGEST: Duration = Duration::from_secs(86_400);

/// The admission of one run.
pub(super) struct Admission {
    gate: AccountGate,
    /// For a provider that is not a router; a router enters accounts as it goes.
    pass: Cell<Option<RunPass>>,
    lease: HeldLease,
    link: SessionLink,
}

/// Waits until the run may begin, and gives the job its gate.
///
/// # Errors
/// The run does not begin; its end.
pub(super) async fn enter(
    provider: &dyn Provider,
    job: &mut Job,
    gate: AccountGate,
    (link, lease): (SessionLink, HeldLease),
    cancel: &Cancel,
) -> Result<Admission, RunEnd> {
    let admission = Admission {
        gate: gate.clone(),
        pass: Cell::new(None),
        lease,
        link,
    };
    let name = provider.name().to_owned();
    if provider.routes() != [name.as_str()] {
        job.gate = ProviderGate::new(gate);
        return Ok(admission);
    }
    let mut cancel = cancel.clone();
    let limit = job.timeouts.total;
    let entered = tokio::select! {
        biased;
        () = cancel.cancelled() => {
            let why = format!("the run was cancelled while it waited for provider {name}");
            return Err(cancelled(lease, why));
        }
        entered = admission.reporting_position(gate.enter(vec![name.clone()])) => entered,
        () = over(limit) => {
            let why = format!("the time limit of the task was over before provider {name} had room for it");
            return Err(report::fail(lease, FailureClass::Timeout, &why));
        }
    };
    match entered {
        Ok((_, pass)) => {
            admission.pass.set(Some(pass));
            Ok(admission)
        }
        Err(closed) => Err(give_back(closed)),
    }
}

async fn over(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

fn cancelled(lease: HeldLease, why: String) -> RunEnd {
    let ack = report::failure_of(lease, FailureClass::Cancelled, &why);
    RunEnd::Cancelled(Box::new(ack))
}

/// Releases the lease of a run whose account is parked, until it opens. Costs no attempt.
fn give_back(closed: AccountClosed) -> RunEnd {
    let left = closed
        .until
        .map(|until| until.duration_since(SystemTime::now()).unwrap_or_default());
    RunEnd::release(closed.message, left.unwrap_or(PERSONS_TURN).min(LONGEST))
}

impl Admission {
    /// Awaits the provider's run, and applies its outcome to the account.
    pub(super) async fn around(&self, run: impl Future<Output = RunResult>) -> RunResult {
        let pass = self.pass.take();
        let outcome = self.reporting_position(run).await;
        if let Some(pass) = pass {
            pass.ended(&outcome);
        }
        outcome
    }

    /// The model that the run used: the job's, otherwise the one of the provider that the router chose.
    pub(super) fn model(
        &self,
        named: Option<String>,
        accounts: &[AccountOptions],
    ) -> Option<String> {
        named.or_else(|| {
            let real = self.gate.last()?;
            let found = accounts.iter().find(|it| it.provider == real)?;
            found.model.clone()
        })
    }

    /// Completes the end of the run with the provider that ran it and, if only the account knows it, the end of a
    /// rate limit.
    pub(super) fn complete(&self, provider: &dyn Provider, end: RunEnd) -> RunEnd {
        let real = self.gate.last();
        let mut end = report::signed(end, real.as_deref().unwrap_or(provider.name()));
        if let RunEnd::Report(LeaseReport::Ack(ack)) = &mut end
            && ack.class == Some(FailureClass::RateLimited)
            && ack.retry_at_ms.is_none()
        {
            let closed = self.gate.closed(&provider.routes());
            ack.retry_at_ms = closed.and_then(|it| it.until).and_then(report::unix_ms);
        }
        end
    }

    /// Awaits `what` and meanwhile reports its position in the admission queue to the hub.
    async fn reporting_position<T>(&self, what: impl Future<Output = T>) -> T {
        let mut waits = self.gate.waits();
        let report_position = async {
            while waits.changed().await.is_ok() {
                let entry = waits.borrow_and_update().clone();
                self.report_position(entry).await;
            }
            std::future::pending().await
        };
        tokio::select! {
            biased;
            done = what => done,
            () = report_position => std::future::pending().await,
        }
    }

    async fn report_position(&self, entry: Option<QueuePosition>) {
        let Some(QueuePosition { providers, before }) = entry else {
            return;
        };
        let text = format!(
            "waiting for provider {}: {before} before it",
            providers.join(" or ")
        );
        tracing::debug!("{text}");
        let params = ProgressParams {
            task_id: self.lease.task_id,
            fence: Some(self.lease.fence),
            worker_id: None,
            data: json!({ "text": text }),
        };
        if let Err(error) = self.link.client().request(&params).await {
            tracing::debug!(%error, "could not report that the run waits");
        }
    }
}
