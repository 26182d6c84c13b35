//! The verbs of the protocol: one file per verb. `begin` turns a request into a command for the writer or calls another actor;
//! `finish` turns the writer's outcome into the answer.

pub mod group;

use crate::caller::PendingReply;
use crate::connection::{CommandPart, RequestKind, RequestScope, Responding};
use crate::leases::Forward;
use crate::leases::lease::HolderReport;
use crate::readers::StoreQuery;
use kirosu_protocol::verbs::DONE;
use kirosu_protocol::{
    CancelParams, DecisionAnswer, Effect, Error, ErrorCode, Fence, NotifyTakeParams, Request,
    RetryParams, RunResumeParams, Target, TaskId, VerbEffect,
};
use kirosu_store::{Command, Outcome};
use serde::Serialize;
use serde_json::value::to_raw_value;

/// Turns the writer's outcome into the answer of a request. The outcome is never an error: that is answered without the verb.
pub type Finish = fn(Outcome, &mut RequestScope<'_>);

/// The state of a request after its verb has begun it.
pub enum Started {
    /// The writer has to apply this command; the function makes the answer from its outcome.
    Submit(Command, Finish),
    /// The request is answered, or the verb has arranged for its answer.
    Pending,
}

/// The result of `begin`. An error refuses the request: nothing was done.
pub type Begun = Result<Started, Error>;

macro_rules! verbs {
    ($($(#[$doc:meta])* $module:ident: $variant:ident($params:ident), $effect:ident, $right:ident;)*) => {
        $(pub mod $module;)*

        /// Begins a request.
        pub fn begin(request: Request, scope: &mut RequestScope<'_>) -> Begun {
            match request {
                $(Request::$variant(params) => $module::begin(params, scope),)*
            }
        }
    };
}

// The protocol's table of verbs declares their modules. `cargo fmt` does not see these; `make lint` formats the folder.
kirosu_protocol::for_each_verb!(verbs);

/// The kind of work that a request causes, which decides the requests that it waits for.
pub fn kind_of(request: &Request) -> RequestKind {
    match request {
        // Reads the counters, but on the writer.
        Request::Stats(_) => RequestKind::Change,
        // Changes the store, but only through the sessions.
        Request::Hello(_) => RequestKind::Query,
        // These two reach the writer through the actor of their lease. As queries they are answered before the ack that
        // follows them starts: it must not overtake them.
        Request::Output(_) | Request::Progress(_) => RequestKind::Query,
        // It waits before its command.
        Request::NotifyTake(NotifyTakeParams { known: Some(_), .. }) => RequestKind::Query,
        // A query is before its command.
        Request::RunResume(RunResumeParams { plan: Some(_), .. }) => RequestKind::Query,
        // These are many commits, with a query before each.
        Request::Cancel(CancelParams {
            target: Target::Group(_),
            ..
        })
        | Request::Retry(RetryParams {
            target: Target::Group(_),
            ..
        })
        | Request::Retry(RetryParams {
            with_dependencies: true,
            ..
        }) => RequestKind::Query,
        request => match request.effect() {
            VerbEffect::Change => RequestKind::Change,
            VerbEffect::Read => RequestKind::Query,
        },
    }
}

/// The `finish` of verbs that answer nothing but success.
fn finish_ok(outcome: Outcome, scope: &mut RequestScope<'_>) {
    match outcome {
        Outcome::Ok | Outcome::Ended { .. } => scope.answer(&DONE),
        // The same decision was made before.
        Outcome::DecidedBefore => scope.answer(&DecisionAnswer {
            ok: true,
            repeated: true,
        }),
        outcome => refuse_unexpected(&outcome, scope),
    }
}

/// Refuses a request whose outcome does not fit its command, which is a fault of the store.
fn refuse_unexpected(outcome: &Outcome, scope: &mut RequestScope<'_>) {
    let message = format!("the store answered with an unexpected outcome: {outcome:?}");
    scope.refuse(Error::internal(Effect::Unknown, message));
}

/// Submits the request's one command. The answer, if it succeeds, is this one.
fn submit_prepared(
    command: Command,
    answer: &impl Serialize,
    scope: &mut RequestScope<'_>,
) -> Begun {
    let answer = to_raw_value(answer).map_err(|error| {
        let message = format!("the answer could not be written: {error}");
        Error::internal(Effect::None, message)
    })?;
    scope.set_responding(Responding::Prepared(answer));
    scope.submit(CommandPart::First, command);
    Ok(Started::Pending)
}

fn unsupported(what: &str) -> Error {
    Error::new(
        ErrorCode::Unsupported,
        format!("{what} is part of the protocol but not of this version"),
    )
}

/// Passes output or progress to the actor of its lease.
fn forward(
    task_id: TaskId,
    fence: Fence,
    command: Command,
    scope: &mut RequestScope<'_>,
) -> Started {
    scope.set_responding(Responding::Once(finish_ok));
    let reply = PendingReply::new(scope.caller(), vec![scope.first_number()]);
    scope.hub().leases().do_send(Forward {
        task_id,
        fence,
        report: HolderReport { reply, command },
    });
    Started::Pending
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_protocol::{StatsParams, TreeParams};

    #[test]
    fn a_retry_is_a_change_unless_it_begins_with_a_query() {
        let mut params = RetryParams::task(7);
        assert_eq!(
            kind_of(&Request::Retry(params.clone())),
            RequestKind::Change
        );
        params.with_dependencies = true;
        assert_eq!(kind_of(&Request::Retry(params)), RequestKind::Query);
        let stats = Request::Stats(StatsParams {});
        assert_eq!(kind_of(&stats), RequestKind::Change);
        let tree = Request::Tree(TreeParams {});
        assert_eq!(kind_of(&tree), RequestKind::Query);
    }
}
