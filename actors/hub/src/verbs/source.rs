//! `source`: stores items for a map of a plan.

use super::{Begun, Command, Outcome, RequestScope, Started, refuse_unexpected};
use kirosu_protocol::{Effect, Error, SourceAnswer, SourceParams};
use kirosu_store::PlanOrder;

pub fn begin(params: SourceParams, _: &mut RequestScope<'_>) -> Begun {
    let items = serde_json::to_string(&params.items).map_err(|error| {
        let message = format!("the items could not be stored: {error}");
        Error::internal(Effect::None, message)
    })?;
    let add = PlanOrder::AddItems {
        source: params.source_id,
        first: i64::try_from(params.first).unwrap_or(i64::MAX),
        count: i64::try_from(params.items.len()).unwrap_or(i64::MAX),
        items,
    };
    Ok(Started::Submit(Command::Plan(Box::new(add)), finish))
}

fn finish(outcome: Outcome, scope: &mut RequestScope<'_>) {
    match outcome {
        Outcome::Source(source_id, items) => scope.answer(&SourceAnswer {
            source_id,
            items: u64::try_from(items).unwrap_or(0),
        }),
        outcome => refuse_unexpected(&outcome, scope),
    }
}
