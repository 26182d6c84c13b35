//! REST: the routes that scripts of the earlier version use, and the rest of a task's life.
//!
//! A route reads its parameters with the protocol's own parser, asks the hub, and passes the answer on as the hub wrote
//! it. So there is one place that says what is valid, and a field that the hub adds reaches REST without a change here.

mod approvals;
mod body;
mod health;
mod openapi;
mod passing;
mod refusal;
mod schema;
mod tasks;
mod usage;

pub(crate) use body::read as read_body;
#[cfg(test)]
pub(crate) use openapi::description;
pub(crate) use refusal::{Refusal, no_such_route};

use actix_web::web::{self, ServiceConfig};

/// Adds the routes.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    let only = || web::to(refusal::not_allowed);
    routes
        .service(
            web::resource("/tasks")
                .route(web::post().to(tasks::enqueue))
                .route(web::get().to(tasks::list))
                .default_service(only()),
        )
        .service(
            web::resource("/tasks/{id}")
                .route(web::get().to(tasks::get))
                .default_service(only()),
        )
        .service(
            web::resource("/tasks/{id}/wait")
                .route(web::get().to(tasks::wait))
                .default_service(only()),
        )
        .service(
            web::resource("/tasks/{id}/{act:cancel|approve|answer|reject|retry}")
                .route(web::post().to(tasks::act))
                .default_service(only()),
        )
        .service(
            web::resource("/approvals")
                .route(web::get().to(approvals::list))
                .default_service(only()),
        )
        .service(
            web::resource("/approvals/{id}/{verdict:approve|reject}")
                .route(web::post().to(approvals::decide))
                .default_service(only()),
        )
        .service(
            web::resource("/stats")
                .route(web::get().to(tasks::stats))
                .default_service(only()),
        )
        .service(
            web::resource("/usage")
                .route(web::get().to(usage::usage))
                .default_service(only()),
        )
        // Load balancers like to ask with HEAD.
        .service(
            web::resource("/healthz")
                .route(web::get().to(health::healthz))
                .route(web::head().to(health::healthz))
                .default_service(only()),
        )
        .service(
            web::resource("/readyz")
                .route(web::get().to(health::readyz))
                .route(web::head().to(health::readyz))
                .default_service(only()),
        )
        .service(
            web::resource("/openapi.json")
                .route(web::get().to(openapi::serve))
                .default_service(only()),
        );
    #[cfg(feature = "fault-injection")]
    routes.route("/_panic", web::get().to(health::panic));
}
