//! Budgets: a run reserves before it begins, reserves more as it reports usage, and is ended when no more is granted.
//!
//! The hub is not called if neither pool, provider, hub nor task has a budget. A run waits here, with its lease, for
//! budget that other runs have reserved: releasing the task would only hand it to another session, which has to wait
//! as well.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kirosu_protocol::budget::{Budget, usd_of};
use kirosu_protocol::client::CallError;
use kirosu_protocol::task::{FailureClass, Task, Usage};
use kirosu_protocol::{
    Ack, BudgetRefusal, ErrorCode, HeldLease, ReserveAnswer, ReserveParams, Scope, ScopeLimit,
};
use kirosu_providers::{Cancel, RunResult, RunUsage};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::sleep;

use super::job::TaskRunner;
use super::report;
use crate::link::SessionLink;
use crate::pool::Pool;
use crate::pool::health::RunSymptom;
use crate::prices::Prices;
use crate::run_end::{LeaseReport, RunEnd, lease_of};

/// Pause before a call is repeated after no answer, or after the hub reported that it is busy.
const ASK_PAUSE: Duration = Duration::from_millis(250);
/// Pause before a call is repeated for budget that other runs have reserved.
const RESERVED_PAUSE: Duration = Duration::from_secs(2);
/// How long a run may go on after its budget is used up: most runs report usage with their end, and a paid result is
/// not thrown away.
const END_GRACE: Duration = Duration::from_secs(1);
/// Delay before a task can be leased again that was released because a budget is used up; the pool takes none until
/// the budget is filled.
const BACK_DELAY: Duration = Duration::from_secs(3);

/// The budget reserved for a run.
pub(super) struct BudgetReservation {
    lease: HeldLease,
    link: SessionLink,
    scopes: Vec<ScopeLimit>,
    /// Amount to reserve at a time.
    step: Budget,
    /// Amount that the run may use so far.
    granted: Mutex<Budget>,
    prices: Arc<Prices>,
    model: Option<String>,
    /// The refusal that ended the run.
    refused: OnceLock<BudgetRefusal>,
}

/// Why a run does not begin, and its effect on the pool.
#[derive(Debug)]
pub(crate) struct BudgetRefused {
    pub(crate) end: RunEnd,
    pub(crate) symptom: RunSymptom,
}

/// The result of a call to `reserve`.
enum ReserveResult {
    Granted(Budget),
    Refused(BudgetRefusal),
    /// The lease is over, or the run was cancelled.
    Over,
    /// The hub does not support the call.
    Unknown(String),
}

/// Reserves for a run by this provider, if any budget applies. Waits for budget that other runs have reserved.
///
/// # Errors
/// The budget is used up, the run was cancelled, or the hub does not support budgets.
pub(super) async fn open(
    pool: &Pool,
    task: &Task,
    runner: &TaskRunner,
    link: &SessionLink,
    cancel: &Cancel,
) -> Result<Option<BudgetReservation>, Box<BudgetRefused>> {
    let options = pool.options();
    let (provider, own) = (runner.provider.name(), runner.own);
    let counts = |limit: &&ScopeLimit| match &limit.scope {
        Scope::Provider(name) => name == provider,
        _ => true,
    };
    let scopes: Vec<ScopeLimit> = options.budgets.iter().filter(counts).cloned().collect();
    if scopes.is_empty() && task.budget.is_none() && task.budget_trees.is_empty() {
        return Ok(None);
    }
    let reservation = BudgetReservation {
        lease: lease_of(task),
        link: link.clone(),
        scopes,
        step: options.reserve,
        granted: Mutex::default(),
        prices: options.prices.clone(),
        model: task.model.clone().or_else(|| runner.model.clone()),
        refused: OnceLock::new(),
    };
    let result = reservation
        .ask_until(Budget::default(), cancel.clone())
        .await;
    match result {
        ReserveResult::Granted(granted) => {
            reservation.grant(granted);
            Ok(Some(reservation))
        }
        ReserveResult::Refused(refusal) => {
            Err(Box::new(budget_refused(reservation.lease, own, refusal)))
        }
        ReserveResult::Over => {
            let why = "the run was ended before it began";
            let ack = report::failure_of(reservation.lease, FailureClass::Cancelled, why);
            Err(Box::new(BudgetRefused {
                end: RunEnd::Cancelled(Box::new(ack)),
                symptom: RunSymptom::Fine,
            }))
        }
        ReserveResult::Unknown(why) => {
            let why = format!("the hub does not support budgets ({why}); update it");
            Err(Box::new(BudgetRefused {
                end: report::give_back(&why),
                symptom: RunSymptom::Missing(why),
            }))
        }
    }
}

/// The effect of a refusal before the run: the pool waits if the budget is the pool's, otherwise the task waits.
fn budget_refused(lease: HeldLease, own: bool, refusal: BudgetRefusal) -> BudgetRefused {
    let wait = wait_of(&refusal);
    let Some(wait) = wait else {
        let ack = report::failure_of(lease, FailureClass::BudgetExhausted, &refusal.message);
        return BudgetRefused {
            end: RunEnd::ack(ack),
            symptom: RunSymptom::Fine,
        };
    };
    let pools = own || !matches!(refusal.scope, Scope::Provider(_));
    BudgetRefused {
        end: RunEnd::release(
            refusal.message.as_str(),
            if pools { BACK_DELAY.min(wait) } else { wait },
        ),
        symptom: match pools {
            true => RunSymptom::BudgetExhausted(wait, refusal.message),
            false => RunSymptom::Fine,
        },
    }
}

/// Returns the time until the budget is filled again; `None` means that a person has to raise it.
fn wait_of(refusal: &BudgetRefusal) -> Option<Duration> {
    let at = refusal.retry_at?;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let wait = at - now.as_secs_f64();
    // At least 50 ms, as the clocks of hub and agent may differ.
    Some(Duration::try_from_secs_f64(wait.max(0.05)).unwrap_or(Duration::from_secs(86_400)))
}

/// Awaits `run`, within its budget if it has one.
pub(super) async fn within<R>(
    reservation: &Option<BudgetReservation>,
    used: watch::Receiver<Option<RunUsage>>,
    cancel: Cancel,
    run: impl FnOnce(Cancel) -> R,
) -> RunResult
where
    R: Future<Output = RunResult>,
{
    match reservation {
        Some(reservation) => reservation.within(used, cancel, run).await,
        None => run(cancel).await,
    }
}

/// Applies the budget, if there is one, to the end of a run.
pub(super) fn verdict(
    reservation: &Option<BudgetReservation>,
    own: bool,
    end: RunEnd,
) -> (RunEnd, RunSymptom) {
    match reservation {
        Some(reservation) => reservation.verdict(own, end),
        None => (end, RunSymptom::Fine),
    }
}

impl BudgetReservation {
    /// Awaits `run`. If it uses more than granted, it is cancelled, and [`BudgetReservation::verdict`] reports the
    /// budget as the cause.
    async fn within<R>(
        &self,
        mut used: watch::Receiver<Option<RunUsage>>,
        mut cancel: Cancel,
        run: impl FnOnce(Cancel) -> R,
    ) -> RunResult
    where
        R: Future<Output = RunResult>,
    {
        let (switch, inner) = Cancel::pair();
        let mut run = std::pin::pin!(run(inner));
        let result = cancel.clone();
        let ends = async {
            let out = self.spend(&mut used, result);
            tokio::select! {
                refusal = out => {
                    sleep(END_GRACE).await;
                    tracing::warn!("the run is ended: {}", refusal.message);
                    let _ = self.refused.set(refusal);
                }
                () = cancel.cancelled() => {}
            }
        };
        tokio::select! {
            outcome = &mut run => return outcome,
            () = ends => switch.cancel(),
        }
        run.await
    }

    /// Resolves when the run has used more than the hub grants.
    async fn spend(
        &self,
        used: &mut watch::Receiver<Option<RunUsage>>,
        cancel: Cancel,
    ) -> BudgetRefusal {
        loop {
            let spent = used
                .borrow_and_update()
                .as_ref()
                .map(|used| self.spent(used));
            match spent.filter(|spent| exceeds(*spent, self.granted())) {
                None => {
                    if used.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
                Some(spent) => match self.ask_until(spent, cancel.clone()).await {
                    ReserveResult::Granted(more) => self.grant(more),
                    ReserveResult::Refused(refusal) => return refusal,
                    // The session learns of it by itself.
                    ReserveResult::Over | ReserveResult::Unknown(_) => std::future::pending().await,
                },
            }
        }
    }

    /// Calls `reserve` until there is an answer. At the begin of a run, waits for budget that other runs have
    /// reserved.
    async fn ask_until(&self, spent: Budget, mut cancel: Cancel) -> ReserveResult {
        let add = |spent: Option<u64>, step: Option<u64>| {
            step.map(|step| spent.unwrap_or(0).saturating_add(step))
        };
        let params = ReserveParams {
            task_id: self.lease.task_id,
            fence: self.lease.fence,
            scopes: self.scopes.clone(),
            want: Budget {
                tokens: add(spent.tokens, self.step.tokens),
                micros: add(spent.micros, self.step.micros),
            },
            used: spent,
        };
        let begins = spent.is_empty();
        let mut logged = false;
        loop {
            let answered = tokio::select! {
                answered = self.params(&params) => answered,
                () = cancel.cancelled() => return ReserveResult::Over,
            };
            let pause = match answered {
                None => ASK_PAUSE,
                Some(ReserveResult::Refused(refusal)) if begins && !refusal.exhausted => {
                    if !std::mem::replace(&mut logged, true) {
                        tracing::info!("waits before it runs: {}", refusal.message);
                    }
                    RESERVED_PAUSE
                }
                Some(answer) => return answer,
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = cancel.cancelled() => return ReserveResult::Over,
            }
        }
    }

    /// Calls `reserve` once. `None` means no usable answer: call again.
    async fn params(&self, params: &ReserveParams) -> Option<ReserveResult> {
        match self.link.client().request(params).await {
            Ok(ReserveAnswer {
                refused: Some(refusal),
                ..
            }) => Some(ReserveResult::Refused(refusal)),
            Ok(answer) => Some(ReserveResult::Granted(answer.grant)),
            Err(CallError::Refused(error)) => match error.code {
                ErrorCode::StaleLease | ErrorCode::UnknownTask | ErrorCode::WrongState => {
                    Some(ReserveResult::Over)
                }
                ErrorCode::Busy | ErrorCode::Internal | ErrorCode::ShuttingDown => None,
                _ => Some(ReserveResult::Unknown(error.message)),
            },
            Err(CallError::BadAnswer { .. }) => Some(ReserveResult::Unknown(
                "its answer is of another version".to_owned(),
            )),
            Err(_) => None,
        }
    }

    fn granted(&self) -> Budget {
        *self.granted.lock()
    }

    fn grant(&self, granted: Budget) {
        *self.granted.lock() = granted;
    }

    /// Logs a run that used more than it had reserved, and reported so too late to be ended.
    fn log_overshoot(&self, ack: &Ack) {
        let Some(usage) = &ack.usage else { return };
        let mut usage = usage.clone();
        self.prices.fill_in(self.model.as_deref(), &mut usage);
        let (spent, granted) = (Budget::of(&usage), self.granted());
        if exceeds(spent, granted) {
            tracing::warn!(
                tokens = spent.tokens,
                granted_tokens = granted.tokens,
                usd = spent.micros.map(usd_of),
                granted_usd = granted.micros.map(usd_of),
                "the run used more than it had reserved, and reported its usage only at its end"
            );
        }
    }

    /// Usage as budgets count it. The table of prices applies where the provider states no cost.
    fn spent(&self, used: &RunUsage) -> Budget {
        let mut usage = Usage::from(used);
        self.prices.fill_in(self.model.as_deref(), &mut usage);
        Budget::of(&usage)
    }

    /// Applies the budget to the end of the run: a run that was ended for its budget, and did not end well, failed
    /// for it.
    fn verdict(&self, own: bool, end: RunEnd) -> (RunEnd, RunSymptom) {
        let fine = |end| {
            if let RunEnd::Report(LeaseReport::Ack(ack)) = &end {
                self.log_overshoot(ack);
            }
            (end, RunSymptom::Fine)
        };
        let Some(refusal) = self.refused.get() else {
            return fine(end);
        };
        let ended = match end {
            RunEnd::Cancelled(ack) => ack,
            other => return fine(other),
        };
        let wait = wait_of(refusal);
        let why = format!("the run was ended: {}", refusal.message);
        let ack = Ack {
            usage: ended.usage.clone(),
            retry_at_ms: refusal.retry_at.map(|at| (at * 1000.0) as i64),
            ..report::failure_of(self.lease, FailureClass::BudgetExhausted, &why)
        };
        let pools = own || !matches!(refusal.scope, Scope::Provider(_));
        let symptom = match wait.filter(|_| pools && refusal.exhausted) {
            Some(wait) => RunSymptom::BudgetExhausted(wait, refusal.message.clone()),
            None => RunSymptom::Fine,
        };
        (RunEnd::ack(ack), symptom)
    }
}

/// Whether more was spent than granted.
fn exceeds(spent: Budget, granted: Budget) -> bool {
    let beyond = |spent: Option<u64>, granted: Option<u64>| {
        granted.is_some_and(|granted| spent.unwrap_or(0) > granted)
    };
    beyond(spent.tokens, granted.tokens) || beyond(spent.micros, granted.micros)
}

/// Sets the pool and the model of the run, for the ledger.
pub(super) fn signed(mut end: RunEnd, pool: &Arc<Pool>, model: Option<String>) -> RunEnd {
    if let Some(ack) = end.ack_mut() {
        ack.pool = Some(pool.name.clone());
        ack.model = ack.model.take().or(model);
    }
    end
}
