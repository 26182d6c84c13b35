//! The OpenAPI description of the routes, generated from their code.

use super::{approvals, health, keys, runs, schedules, schema, tasks, usage};
use actix_web::HttpResponse;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Kirosu",
        description = "The task queue of a Kirosu hub. If a key is set, every request except the probes needs the header x-kiro-key.",
    ),
    paths(
        tasks::enqueue,
        tasks::list,
        tasks::get,
        tasks::wait,
        tasks::act,
        runs::list,
        runs::start,
        runs::get,
        runs::items,
        runs::act,
        runs::source,
        schedules::list,
        schedules::add,
        schedules::act,
        schedules::run,
        schedules::remove,
        approvals::list,
        approvals::decide,
        tasks::stats,
        usage::usage,
        keys::list,
        keys::add,
        keys::revoke,
        health::healthz,
        health::readyz,
    ),
    components(schemas(schema::RefusedSchema)),
    security((), ("key" = [])),
    modifiers(&KeyHeader),
)]
struct Description;

/// The header that carries the key.
struct KeyHeader;

impl Modify for KeyHeader {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-kiro-key")));
        let components = description.components.get_or_insert_default();
        components.add_security_scheme("key", scheme);
    }
}

/// The description.
pub(crate) fn description() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// `/openapi.json`
pub(super) async fn serve() -> HttpResponse {
    HttpResponse::Ok().json(description())
}
