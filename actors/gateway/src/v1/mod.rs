//! `/v1`: every verb of the protocol as a route.
//!
//! [`table`] is the only list of the routes. A route reads the parameters of its verb from path, query and body with the
//! protocol's own parser, and forwards the hub's answer unchanged, so that only the protocol defines what is valid.

mod call;
mod events;
mod page;
mod params;
mod parked;
pub(crate) mod problem;
mod table;

pub(crate) use events::EventFeeds;

use crate::rest::HttpError;
use crate::state::ClientState;
use actix_web::http::{StatusCode, header};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use kirosu_protocol::ErrorCode;
use table::{Route, RouteMethod};

/// Adds the routes.
pub(crate) fn configure(routes: &mut ServiceConfig) {
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
        routes.service(resource.route(options).default_service(other));
    }
}

fn handler(
    route: Route,
) -> impl Fn(
    HttpRequest,
    web::Payload,
    ClientState,
) -> std::pin::Pin<Box<dyn Future<Output = call::V1Result>>>
+ Clone
+ 'static {
    move |request, payload, state| Box::pin(call::serve(route, request, payload, state))
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
fn allowed(routes: &[Route]) -> String {
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
