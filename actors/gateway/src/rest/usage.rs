//! The route of tokens and cost.

use super::error::HttpError;
use super::forward::{forward, read, text_params};
use super::schema;
use crate::state::ClientState;
use actix_web::{HttpResponse, web};
use kirosu_protocol::{UsageAnswer, UsageParams};
use std::collections::BTreeMap;

/// Tokens and cost of the runs, and the state of the budgets.
#[utoipa::path(get, path = "/usage", tag = "tasks",
    params(
        ("by" = Option<String>, Query, description = "a row for each `provider` (the default), `pool`, `model`, `day` or `task`"),
        ("since" = Option<f64>, Query, description = "Unix seconds: only from this day (UTC) on"),
        ("task_id" = Option<i64>, Query, description = "only this task"),
        ("tree_id" = Option<i64>, Query, description = "only this task and its descendants"),
        ("limit" = Option<u32>, Query, description = "maximum number of rows, 1000 by default; the total includes all"),
    ),
    responses(
        (status = 200, description = "rows, their total, and the budgets", body = UsageAnswer),
        (status = 403, description = "the key is wrong or missing", body = schema::RefusedSchema),
        (status = 422, description = "a parameter is invalid", body = schema::RefusedSchema),
    ),
)]
pub(super) async fn usage(
    query: web::Query<BTreeMap<String, String>>,
    state: ClientState,
) -> Result<HttpResponse, HttpError> {
    let params = text_params(query.into_inner(), []);
    let ask = read::<UsageParams>(&params, &state)?;
    forward(&state, ask).await
}
