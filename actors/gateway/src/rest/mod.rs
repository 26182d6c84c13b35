//! REST: the routes of the previous Kirosu version, and further routes for tasks, runs of plans,
//! schedules, approvals and usage.
//!
//! A route reads its parameters with the protocol's parser, sends a request to the hub, and forwards the hub's answer
//! unchanged. So only the protocol defines valid parameters, and a new field of an answer needs no change here.

mod approvals;
mod body;
mod error;
mod forward;
mod health;
mod keys;
mod openapi;
mod runs;
mod schedules;
mod schema;
mod tasks;
mod usage;

pub(crate) use body::{RequestBody, read as read_body};
pub(crate) use error::{HttpError, no_such_route};
pub(crate) use forward::{forward_stream, object};
#[cfg(test)]
pub(crate) use openapi::description;
pub(crate) use schema::new_run_schema;

use actix_web::Resource;
use actix_web::web::{self, ServiceConfig};

/// A path. A request with a method that it has no route for is answered with 405.
pub(crate) fn resource(path: &str) -> Resource {
    web::resource(path).default_service(web::to(error::not_allowed))
}

/// Adds the routes.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    let acts = "/tasks/{id}/{act:cancel|approve|answer|reject|retry}";
    let of_runs = "/runs/{id}/{act:pause|resume|retry|cancel}";
    let of_schedules = "/schedules/{name}/{act:pause|resume}";
    let verdicts = "/approvals/{id}/{verdict:approve|reject}";
    // Load balancers probe with HEAD.
    let healthz = resource("/healthz").head(health::healthz);
    let readyz = resource("/readyz").head(health::readyz);
    routes
        .service(resource("/tasks").post(tasks::enqueue).get(tasks::list))
        .service(resource("/tasks/{id}").get(tasks::get))
        .service(resource("/tasks/{id}/wait").get(tasks::wait))
        .service(resource(acts).post(tasks::act))
        .service(resource("/runs").post(runs::start).get(runs::list))
        .service(resource("/runs/{id}").get(runs::get))
        .service(resource("/runs/{id}/items").get(runs::items))
        .service(resource(of_runs).post(runs::act))
        .service(resource("/sources").post(runs::source))
        .service(
            resource("/schedules")
                .post(schedules::add)
                .get(schedules::list),
        )
        .service(resource("/schedules/{name}").delete(schedules::remove))
        .service(resource("/schedules/{name}/run").post(schedules::run))
        .service(resource(of_schedules).post(schedules::act))
        .service(resource("/approvals").get(approvals::list))
        .service(resource(verdicts).post(approvals::decide))
        .service(resource("/keys").get(keys::list).post(keys::add))
        .service(resource("/keys/{name}").delete(keys::revoke))
        .service(resource("/stats").get(tasks::stats))
        .service(resource("/usage").get(usage::usage))
        .service(healthz.get(health::healthz))
        .service(readyz.get(health::readyz))
        .service(resource("/openapi.json").get(openapi::serve));
    #[cfg(feature = "fault-injection")]
    routes.route("/_panic", web::get().to(health::panic));
}
