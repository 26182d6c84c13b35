//! The application: admission, panic handling and counters around all routes.

use super::HttpApp;
use super::counts::HttpCounts;
use super::guard::{self, HttpAdmission, RequestHeads};
use super::timed_stream::{ActiveBody, ActiveRequest, ActiveRequests};
use super::web_stream::ClientCertificate;
use crate::link::HubError;
use crate::options::HttpPeer;
use crate::page;
use crate::rest::{self, HttpError};
use crate::state::{AppState, OfKey};
use crate::v1::{
    self,
    problem::{REQUEST_ID, Refused, RequestLabel},
};
use actix_service::{IntoServiceFactory, ServiceFactoryExt};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpMessage, web};
use futures_util::FutureExt;
use kirosu_protocol::access::PASSED_ON;
use kirosu_protocol::{ErrorCode, PingParams};
use std::future::Future;
use std::panic::AssertUnwindSafe;

/// The factory of the application.
pub(super) fn factory(state: AppState) -> impl HttpApp {
    let state = web::Data::new(state);
    let shared = state.clone();
    App::new()
        .app_data(state.clone())
        .configure(page::configure)
        .configure(rest::configure)
        .configure(v1::configure)
        .configure(|routes| crate::mcp::configure(routes, &state))
        .default_service(web::to(rest::no_such_route))
        .wrap(from_fn(move |request: ServiceRequest, next: Next<_>| {
            let active = request.request().conn_data::<ActiveRequests>();
            let answering = active.map(ActiveRequests::begin);
            let shared = shared.clone();
            let label = RequestLabel::new(request.headers(), request.method(), request.path());
            async move {
                let is_head = request.method() == Method::HEAD;
                let admitted = admit(&request, &shared).await;
                let admitted = admitted.map(|()| next.call(request));
                let answer = answer(admitted, answering, shared).await;
                finish(answer, label, is_head)
            }
        }))
        .into_factory()
        .map_err(|error: Error| error.error_response())
}

/// Admits a request by its headers. For a key of a client the hub decides; the connection to it is kept in the extensions.
async fn admit(request: &ServiceRequest, state: &AppState) -> Result<(), HttpError> {
    let header = |name: &str| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap_or("\u{fffd}"))
    };
    let heads = RequestHeads {
        path: request.path(),
        method: request.method(),
        session: page::cookie_of(request.headers()),
        csrf: header("x-kirosu-csrf"),
        key: header("x-kiro-key"),
        authorization: header("authorization"),
        host: header("host"),
        origin: header("origin"),
        fetch_site: header("sec-fetch-site"),
        peer: request
            .request()
            .conn_data::<HttpPeer>()
            .copied()
            .unwrap_or(HttpPeer::Other),
        certificate: request
            .request()
            .conn_data::<ClientCertificate>()
            .and_then(ClientCertificate::get),
    };
    let admission = guard::admit(&heads, &state.key)?;
    let key = match admission {
        HttpAdmission::Own => return Ok(()),
        // An empty key means none to the hub, which decides what it serves to such a client.
        HttpAdmission::Keyless => String::new(),
        HttpAdmission::Key(key) => format!("{PASSED_ON}{key}"),
        HttpAdmission::Certificate(of) => format!("{PASSED_ON}{of}"),
        HttpAdmission::Session(secret) => format!("{PASSED_ON}{secret}"),
    };
    let mut found = state.clients.find(&key, &state.hub).await;
    // A session may have ended since its connection began, and the page then asks for a login.
    if let (HttpAdmission::Session(_), Ok(hub)) = (admission, &found)
        && let Err(error) = hub.request(PingParams {}).await
    {
        found = Err(error);
    }
    let hub = match found {
        Err(HubError::Refused(error)) if error.code == ErrorCode::Unauthorized => {
            return Err(match admission {
                HttpAdmission::Certificate(of) => guard::unknown_certificate(of),
                HttpAdmission::Session(_) => page::no_session(),
                _ => guard::wrong_key(),
            });
        }
        found => found?,
    };
    request.extensions_mut().insert(OfKey { hub, key });
    Ok(())
}

/// Gives a response the id of its request. That to a HEAD has no body, so that no stream begins.
fn finish(
    answer: Result<ServiceResponse<BoxBody>, Error>,
    label: RequestLabel,
    is_head: bool,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut response = match answer {
        Err(error) => return Err(Refused(label, error).into()),
        Ok(response) => match response.response().error() {
            None => response,
            Some(error) => {
                let failed = label.failed(error);
                response.into_response(failed)
            }
        },
    };
    if let Some(id) = label.header() {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let is_stream = response.response().body().size() == BodySize::Stream;
    Ok(match is_head && is_stream {
        true => response.map_body(|_, _| BoxBody::new(())),
        false => response,
    })
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
