//! `/v1`: every verb of the protocol as a route.
//!
//! [`table`] is the only list of the routes. A route reads the parameters of its verb from path, query and body with the
//! protocol's own parser, and forwards the hub's answer unchanged, so that only the protocol defines what is valid.

mod call;
mod docs;
mod events;
pub(crate) mod openapi;
mod page;
mod params;
mod parked;
pub(crate) mod problem;
mod schema;
mod table;

pub(crate) use events::EventFeeds;
pub(crate) use schema::schema_of;

use crate::rest::HttpError;
use crate::state::ClientState;
use actix_web::http::{StatusCode, header};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use kirosu_protocol::ErrorCode;
use std::sync::Arc;
use table::{RouteMethod, V1Route};

/// Adds the routes.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    of_table(routes);
    add_file(routes, "/v1/openapi.json", openapi::serve);
    add_file(routes, "/v1/docs", docs::page);
    add_file(routes, "/v1/docs/docs.js", docs::script);
    add_file(routes, "/v1/docs/docs.css", docs::style);
}

/// Adds a path with a GET that is not a verb.
fn add_file<F, R>(routes: &mut ServiceConfig, path: &str, serve: F)
where
    F: actix_web::Handler<(), Output = R>,
    R: actix_web::Responder<Body = actix_web::body::BoxBody> + 'static,
{
    let resource = web::resource(path)
        .route(web::get().to(serve.clone()))
        .route(web::head().to(serve));
    routes.service(closed(resource, "GET, HEAD, OPTIONS".to_owned()));
}

/// A path that answers OPTIONS, and 405 to methods that it does not have.
fn closed(resource: actix_web::Resource, allow: String) -> actix_web::Resource {
    let options = allow.clone();
    let options = web::method(actix_web::http::Method::OPTIONS).to(move || {
        let allow = options.clone();
        async move {
            HttpResponse::NoContent()
                .insert_header((header::ALLOW, allow))
                .finish()
        }
    });
    let other = web::to(move |request: HttpRequest| {
        let refusal = not_allowed(&request, allow.clone());
        async move { Err::<HttpResponse, HttpError>(refusal) }
    });
    resource.route(options).default_service(other)
}

fn of_table(routes: &mut ServiceConfig) {
    let all = table::all();
    for of_path in all.chunk_by(|a, b| a.path == b.path) {
        let Some(first) = of_path.first() else {
            continue;
        };
        let allow = allowed(of_path);
        let mut resource = web::resource(first.path);
        for route in of_path {
            for method in methods(route.method) {
                resource = resource.route(web::method(method).to(handler(*route)));
            }
        }
        routes.service(closed(resource, allow));
    }
}

fn handler(
    route: V1Route,
) -> impl Fn(
    HttpRequest,
    web::Payload,
    ClientState,
) -> std::pin::Pin<Box<dyn Future<Output = call::V1Result>>>
+ Clone
+ 'static {
    let fields = Arc::new(schema::schemas().fields(&route));
    move |request, payload, state| {
        Box::pin(call::serve(route, fields.clone(), request, payload, state))
    }
}

fn methods(method: RouteMethod) -> Vec<actix_web::http::Method> {
    use actix_web::http::Method;
    match method {
        RouteMethod::Get => vec![Method::GET, Method::HEAD],
        RouteMethod::Post => vec![Method::POST],
        RouteMethod::Patch => vec![Method::PATCH],
        RouteMethod::Delete => vec![Method::DELETE],
    }
}

/// The value of the header `Allow` of a path.
fn allowed(routes: &[V1Route]) -> String {
    let methods = routes.iter().flat_map(|route| methods(route.method));
    let mut names: Vec<String> = methods.map(|method| method.to_string()).collect();
    names.push("OPTIONS".to_owned());
    names.join(", ")
}

/// 405, with the methods that the path has.
fn not_allowed(request: &HttpRequest, allow: String) -> HttpError {
    let (method, path) = (request.method(), request.path());
    let message = format!("{path} does not take {method}, but {allow}; see /v1/openapi.json");
    let code = ErrorCode::MethodNotFound;
    HttpError {
        allow: Some(allow),
        ..HttpError::new(StatusCode::METHOD_NOT_ALLOWED, code, message)
    }
}
