//! `ack`: ends one or several leases with their results, and leases the next tasks.

use super::{Begun, Command, Outcome, RequestScope, Started, lease};
use crate::connection::{CommandPart, Responding};
use kirosu_protocol::{AckAnswer, AckOutcome, AckParams, Effect, Error, ErrorCode, Task, TaskId};

/// The outcomes of an ack that have arrived.
#[derive(Debug)]
pub struct AckProgress {
    /// The tasks of the acks, in the client's order.
    tasks: Vec<TaskId>,
    /// Whether the request is one ack, not a list.
    single: bool,
    /// Whether the request leases the next tasks.
    leases: bool,
    acked: Option<Result<Outcome, Error>>,
    leased: Option<Result<Vec<Task>, Error>>,
}

impl AckProgress {
    fn of(params: &AckParams) -> AckProgress {
        AckProgress {
            tasks: params.acks.iter().map(|ack| ack.task_id).collect(),
            single: params.single,
            leases: params.lease.is_some(),
            acked: None,
            leased: None,
        }
    }

    /// Whether nothing is missing for the answer.
    fn is_complete(&self) -> bool {
        self.acked.is_some() && (self.leased.is_some() || !self.leases)
    }

    /// Whether the single ack was refused: it then leases nothing.
    fn is_refused(&self) -> bool {
        self.single && matches!(self.acked, Some(Err(_)))
    }
}

pub fn begin(params: AckParams, scope: &mut RequestScope<'_>) -> Begun {
    let progress = AckProgress::of(&params);
    let AckParams {
        mut acks,
        single,
        lease,
    } = params;
    for ack in &mut acks {
        ack.fence = ack.fence.or_else(|| scope.leases().fence(ack.task_id));
    }
    let command = match (single, acks.pop()) {
        (true, Some(ack)) => Command::Ack(Box::new(ack)),
        (_, last) => {
            acks.extend(last);
            Command::Acks(acks)
        }
    };
    scope.set_responding(Responding::Ack(Box::new(progress)));
    scope.submit(CommandPart::First, command);
    if let Some(lease) = lease {
        // With too many waiting requests the lease does not wait, and is not refused: the ack must be taken in any case.
        let command = lease::command(*lease, scope);
        scope.submit(CommandPart::Second, command);
    }
    Ok(Started::Pending)
}

/// Takes the outcome of the acks (the first part) or of the lease (the second).
pub fn take(part: CommandPart, outcome: Result<Outcome, Error>, scope: &mut RequestScope<'_>) {
    if matches!(outcome, Ok(Outcome::Parked)) {
        return park(scope);
    }
    let Some(progress) = progress(scope) else {
        return;
    };
    match part {
        CommandPart::First => progress.acked = Some(outcome),
        CommandPart::Second => progress.leased = Some(outcome.map(tasks_of)),
    }
    if progress.is_complete() {
        finish(scope);
    }
}

/// The lease waits, and so does the answer, unless the ack was refused, which is answered at once.
fn park(scope: &mut RequestScope<'_>) {
    let Some(progress) = progress(scope) else {
        return;
    };
    if !progress.is_refused() {
        return scope.park();
    }
    progress.leased = Some(Ok(Vec::new()));
    if let Some(park) = scope.pending().and_then(|pending| pending.park.take()) {
        // Tasks that are leased before the store takes the command are given back: the request is answered by then.
        scope.submit_unanswered(Command::Unpark(park));
    }
    finish(scope);
}

fn progress<'a>(scope: &'a mut RequestScope<'_>) -> Option<&'a mut AckProgress> {
    match &mut scope.pending()?.responding {
        Responding::Ack(progress) => Some(progress),
        _ => None,
    }
}

fn finish(scope: &mut RequestScope<'_>) {
    let Some(progress) = progress(scope) else {
        return;
    };
    let tasks = std::mem::take(&mut progress.tasks);
    let single = progress.single;
    let acked = progress.acked.take().unwrap_or(Ok(Outcome::Ok));
    let leased = progress.leased.take();
    let mut answer = AckAnswer::default();
    match acked {
        Err(error) => {
            // A refused request leases nothing.
            if let Some(Ok(next)) = leased {
                scope.release(&next);
            }
            return scope.refuse(error);
        }
        Ok(_) if single => answer.ok = Some(true),
        Ok(Outcome::Acks(results)) => {
            let results = tasks.into_iter().zip(results);
            let outcome =
                |(task, result): (TaskId, Result<_, Error>)| AckOutcome::of(task, result.map(drop));
            answer.acks = Some(results.map(outcome).collect());
        }
        Ok(_) => {
            let outcome = |task| AckOutcome::of(task, Ok(()));
            answer.acks = Some(tasks.into_iter().map(outcome).collect());
        }
    }
    match leased {
        None => scope.answer(&answer),
        Some(Ok(next)) => scope.answer_leases(next, |tasks| AckAnswer {
            tasks: Some(tasks),
            ..answer
        }),
        Some(Err(error)) if error.code == ErrorCode::Internal => {
            let message = format!(
                "the acks were taken, but no next task: {error} (the acks may be sent again)"
            );
            scope.refuse(Error::internal(Effect::Unknown, message));
        }
        Some(Err(error)) => scope.refuse(error),
    }
}

fn tasks_of(outcome: Outcome) -> Vec<Task> {
    match outcome {
        Outcome::Leased(tasks) => tasks,
        // The lease's wait is over.
        _ => Vec::new(),
    }
}
