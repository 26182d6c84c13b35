//! The route of what was used.

use super::passing::{pass_on, read, words};
use super::refusal::Refusal;
use super::schema;
use crate::http::Desk;
use actix_web::{HttpResponse, web};
use kirosu_protocol::verbs::usage::UsageParams;
use std::collections::BTreeMap;

/// What runs used, and how the budgets stand.
#[utoipa::path(get, path = "/usage", tag = "tasks",
    params(
        ("by" = Option<String>, Query, description = "a row for each `provider` (the default), `pool`, `model`, `day` or `task`"),
        ("since" = Option<f64>, Query, description = "Unix seconds: only of that day (UTC) and later"),
        ("task_id" = Option<i64>, Query, description = "only of this task"),
        ("tree_id" = Option<i64>, Query, description = "only of this task and all that descend from it"),
        ("limit" = Option<u32>, Query, description = "at most so many rows, 1000 by default; the total is of all"),
    ),
    responses(
        (status = 200, description = "rows, their total, and the budgets", body = schema::Usage),
        (status = 403, description = "the key is wrong or missing", body = schema::Refused),
        (status = 422, description = "a parameter is wrong", body = schema::Refused),
    ),
)]
pub(super) async fn usage(
    query: web::Query<BTreeMap<String, String>>,
    desk: web::Data<Desk>,
) -> Result<HttpResponse, Refusal> {
    let params = words(query.into_inner(), []);
    let ask = read::<UsageParams>(&params, &desk)?;
    pass_on(&desk, ask).await
}
