//! `reserve`: reserves a part of a budget for a run.

use super::{Begun, Command, Outcome, RequestScope, Started, refuse_unexpected};
use kirosu_protocol::ReserveParams;

pub fn begin(params: ReserveParams, _: &mut RequestScope<'_>) -> Begun {
    let command = Command::Reserve(Box::new(params));
    Ok(Started::Submit(command, finish))
}

fn finish(outcome: Outcome, scope: &mut RequestScope<'_>) {
    match outcome {
        Outcome::Reserved(answer) => scope.answer(&*answer),
        outcome => refuse_unexpected(&outcome, scope),
    }
}
