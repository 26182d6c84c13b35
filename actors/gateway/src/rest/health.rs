//! Probes of the gateway and of the hub.

use super::error::HttpError;
use crate::state::AppState;
use actix_web::{HttpResponse, web};
use kirosu_protocol::{StatsAnswer, StatsParams};
use serde_json::json;

/// Always successful while the gateway runs, whatever the state of the hub.
#[utoipa::path(get, path = "/healthz", tag = "probes", responses((status = 200, description = "the gateway runs")))]
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({"ok": true}))
}

/// Successful while the hub answers; otherwise 503 with a sentence.
#[utoipa::path(get, path = "/readyz", tag = "probes", responses(
    (status = 200, description = "the hub answers"),
    (status = 503, description = "the hub does not answer", body = super::schema::RefusedSchema),
))]
pub(super) async fn readyz(state: web::Data<AppState>) -> Result<HttpResponse, HttpError> {
    let _: StatsAnswer = state.hub.request(StatsParams::default()).await?;
    Ok(HttpResponse::Ok().json(json!({"ok": true})))
}

/// A handler that panics, for fault tests.
#[cfg(feature = "fault-injection")]
pub(super) async fn panic() -> HttpResponse {
    panic!("requested by GET /_panic")
}
