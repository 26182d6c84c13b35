//! The application: admission, panic handling and counters around all routes.

use super::HttpApp;
use super::counts::HttpCounts;
use super::guard::{self, RequestHeads};
use super::timed_stream::{ActiveBody, ActiveRequest, ActiveRequests};
use crate::rest::{self, HttpError};
use crate::state::AppState;
use actix_service::{IntoServiceFactory, Service, ServiceFactoryExt};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{App, Error, web};
use futures_util::FutureExt;
use std::future::Future;
use std::panic::AssertUnwindSafe;

/// The factory of the application.
pub(super) fn factory(state: AppState) -> impl HttpApp {
    let state = web::Data::new(state);
    let shared = state.clone();
    App::new()
        .app_data(state.clone())
        .configure(rest::configure)
        .configure(|routes| crate::mcp::configure(routes, &state))
        .default_service(web::to(rest::no_such_route))
        .wrap_fn(move |request, service| {
            let active = request.request().conn_data::<ActiveRequests>();
            let answering = active.map(ActiveRequests::begin);
            let admitted = admit(&request, &shared).map(|()| service.call(request));
            answer(admitted, answering, shared.clone())
        })
        .into_factory()
        .map_err(|error: Error| error.error_response())
}

/// Admits a request by its headers.
fn admit(request: &ServiceRequest, state: &AppState) -> Result<(), HttpError> {
    let header = |name: &str| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap_or("\u{fffd}"))
    };
    let heads = RequestHeads {
        path: request.path(),
        key: header("x-kiro-key"),
        authorization: header("authorization"),
        host: header("host"),
        origin: header("origin"),
    };
    guard::admit(&heads, state.key.as_deref())
}

/// Executes an admitted request and counts it. A panic of the handler becomes a response 500.
async fn answer<B: MessageBody + 'static>(
    admitted: Result<impl Future<Output = Result<ServiceResponse<B>, Error>>, HttpError>,
    answering: Option<ActiveRequest>,
    state: web::Data<AppState>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let outcome = match admitted {
        Err(refusal) => Err(refusal.into()),
        Ok(handling) => match AssertUnwindSafe(handling).catch_unwind().await {
            Ok(outcome) => outcome.map(ServiceResponse::map_into_boxed_body),
            // The process's panic hook has logged the panic.
            Err(_) => {
                HttpCounts::add(&state.counts.panics);
                Err(HttpError::panicked().into())
            }
        },
    };
    let status = match &outcome {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    state.child.handled();
    HttpCounts::add(&state.counts.requests);
    if status.is_server_error() {
        HttpCounts::add(&state.counts.failed);
    } else if status.is_client_error() {
        HttpCounts::add(&state.counts.refused);
    }
    outcome.map(|response| response.map_body(|_, body| ActiveBody::watch(body, answering)))
}
