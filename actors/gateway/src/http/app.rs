//! The application: what every request passes through, whichever route it takes.

use super::counts::Counts;
use super::guard::{self, Heads};
use super::stream::{Answering, Sending, UnderWay};
use crate::link::HubLink;
use crate::rest::{self, Refusal};
use actix_http::Request;
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{AppConfig, ServiceRequest, ServiceResponse};
use actix_web::{App, Error, HttpResponse, web};
use futures_util::FutureExt;
use kirosu_supervision::{ChildContext, StopToken};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

/// What every handler may use; as `web::Data<Desk>`.
pub(crate) struct Desk {
    /// The hub.
    pub(crate) hub: HubLink,
    /// The key that clients must show.
    pub(super) key: Option<Arc<str>>,
    /// Longest body, in bytes.
    pub(crate) body_bytes: usize,
    /// How long a client may take to send one.
    pub(crate) body_time: Duration,
    /// Bytes of all bodies that are being read or carried out.
    pub(crate) bodies: Arc<AtomicUsize>,
    pub(super) counts: Arc<Counts>,
    pub(super) child: ChildContext,
}

impl Desk {
    /// Resolves when the gateway is to stop.
    pub(crate) fn stop_token(&self) -> StopToken {
        self.child.stop_token()
    }
}

/// The application's recipe.
pub(super) fn factory(
    desk: Desk,
) -> impl ServiceFactory<
    Request,
    Config = AppConfig,
    Response = ServiceResponse<BoxBody>,
    Error = HttpResponse,
    InitError = (),
    Service = impl Service<
        Request,
        Response = ServiceResponse<BoxBody>,
        Error = HttpResponse,
        Future: 'static,
    >,
    Future: 'static,
> {
    let desk = web::Data::new(desk);
    let shared = desk.clone();
    App::new()
        .app_data(desk.clone())
        .configure(rest::configure)
        .configure(|routes| crate::mcp::configure(routes, &desk))
        .default_service(web::to(rest::no_such_route))
        .wrap_fn(move |request, service| {
            let under_way = request.request().conn_data::<UnderWay>();
            let answering = under_way.map(UnderWay::begin);
            let admitted = admit(&request, &shared).map(|()| service.call(request));
            answer(admitted, answering, shared.clone())
        })
        .into_factory()
        .map_err(|error: Error| error.error_response())
}

/// Whether this client may ask at all.
fn admit(request: &ServiceRequest, desk: &Desk) -> Result<(), Refusal> {
    let header = |name: &str| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap_or("\u{fffd}"))
    };
    let heads = Heads {
        path: request.path(),
        key: header("x-kiro-key"),
        authorization: header("authorization"),
        host: header("host"),
        origin: header("origin"),
    };
    guard::admit(&heads, desk.key.as_deref())
}

/// Carries a request out: a panic is one answer 500, everything is counted.
async fn answer<B: MessageBody + 'static>(
    admitted: Result<impl Future<Output = Result<ServiceResponse<B>, Error>>, Refusal>,
    answering: Option<Answering>,
    desk: web::Data<Desk>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let outcome = match admitted {
        Err(refusal) => Err(refusal.into()),
        Ok(handling) => match AssertUnwindSafe(handling).catch_unwind().await {
            Ok(outcome) => outcome.map(ServiceResponse::map_into_boxed_body),
            // The panic's message is in the log, by the process's panic hook.
            Err(_) => {
                Counts::add(&desk.counts.panics);
                Err(Refusal::panicked().into())
            }
        },
    };
    let status = match &outcome {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    desk.child.handled();
    Counts::add(&desk.counts.requests);
    if status.is_server_error() {
        Counts::add(&desk.counts.failed);
    } else if status.is_client_error() {
        Counts::add(&desk.counts.refused);
    }
    outcome.map(|response| response.map_body(|_, body| Sending::watch(body, answering)))
}
