//! Sends the items of a source to the hub, piece by piece.

use super::saved::ItemsDigest;
use crate::cli::{Failure, HubClient, Screen, sources, spinner, text};
use kirosu_plan::PlanSource;
use kirosu_plan::limits::ITEMS;
use kirosu_protocol::{SourceId, SourceParams};

/// Reads a source and stores its items in the hub.
///
/// # Errors
/// It cannot be read, has more items than its plan allows, or the hub refuses a piece.
pub async fn source(
    source: &PlanSource,
    digest: &mut ItemsDigest,
    hub: &HubClient,
    screen: &Screen,
) -> Result<SourceId, Failure> {
    let (step, most) = (source.key.as_str(), source.most);
    let spinner = spinner::spinner(screen, format!("reading the items of {step}"));
    let mut pieces = sources::pieces(source.source.clone());
    let (mut source_id, mut sent) = (None, 0);
    while let Some(piece) = pieces.recv().await {
        let items = piece?;
        let count = items.len() as u64;
        check(step, sent + count, most)?;
        items.iter().for_each(|item| digest.add(step, item));
        let params = SourceParams {
            source_id,
            first: sent,
            items,
        };
        // A piece that is sent twice is stored once; the first one may leave a source behind, which the hub deletes.
        let answer = hub.request_idempotent(&params).await?;
        source_id = Some(answer.source_id);
        sent += count;
        spinner.set_message(format!("sent {} of {step}", text::count(sent, "item")));
    }
    spinner.finish_and_clear();
    source_id.ok_or_else(|| Failure::Local(format!("the step {step} has no items")))
}

/// Refuses more items than the plan allows.
///
/// # Errors
/// `items` is above `most`.
pub fn check(step: &str, items: u64, most: u64) -> Result<(), Failure> {
    match items > most {
        true => Err(Failure::Local(format!(
            "the step {step} has more than {}, which is limits.items of the plan; set it, to at most {}, or take fewer items",
            text::count(most, "item"),
            text::grouped(ITEMS.hardest)
        ))),
        false => Ok(()),
    }
}
