//! Probes: whether the process answers, and whether the hub does.

use super::refusal::Refusal;
use crate::http::Desk;
use actix_web::{HttpResponse, web};
use kirosu_protocol::verbs::stats::{StatsAnswer, StatsParams};
use serde_json::json;

/// The process answers; says nothing about the hub.
#[utoipa::path(get, path = "/healthz", tag = "probes", responses((status = 200, description = "the gateway runs")))]
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({"ok": true}))
}

/// The hub answers; 503 with a sentence otherwise.
#[utoipa::path(get, path = "/readyz", tag = "probes", responses(
    (status = 200, description = "the hub answers"),
    (status = 503, description = "it does not", body = super::schema::Refused),
))]
pub(super) async fn readyz(desk: web::Data<Desk>) -> Result<HttpResponse, Refusal> {
    let _: StatsAnswer = desk.hub.ask(StatsParams::default()).await?;
    Ok(HttpResponse::Ok().json(json!({"ok": true})))
}

/// A handler that panics, for tests of what that does.
#[cfg(feature = "fault-injection")]
pub(super) async fn panic() -> HttpResponse {
    panic!("asked for by GET /_panic")
}
