//! REST: the routes of the previous Kirosu version, and further routes for tasks, approvals and usage.
//!
//! A route reads its parameters with the protocol's parser, sends a request to the hub, and forwards the hub's answer
//! unchanged. So only the protocol defines valid parameters, and a new field of an answer needs no change here.

mod approvals;
mod body;
mod error;
mod forward;
mod health;
mod openapi;
mod schema;
mod tasks;
mod usage;

pub(crate) use body::read as read_body;
pub(crate) use error::{HttpError, no_such_route};
#[cfg(test)]
pub(crate) use openapi::description;

use actix_web::web::{self, ServiceConfig};

/// Adds the routes.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    let only = || web::to(error::not_allowed);
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
        // Load balancers probe with HEAD.
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
