//! One request: its parameters are read with the protocol's parser, sent to the hub, and the answer is forwarded unchanged.

use super::page::next_link;
use super::schema::{RouteFields, changes};
use super::table::{RouteKind, V1Route};
use super::{events, params, parked};
use crate::new_run;
use crate::rest::{HttpError, forward_stream, read_body};
use crate::state::{AppState, ClientState};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use kirosu_protocol::accept::read_unchecked;
use kirosu_protocol::{Error, Limits, Method, Params, Verb, verbs};
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;
use std::time::Duration;

/// Lists with a higher limit are forwarded in pieces.
const LONG_LIST: u64 = 200;

pub(super) type V1Result = Result<HttpResponse, HttpError>;

/// A request for the hub.
pub(super) struct HubCall {
    pub(super) verb: Method,
    /// The parameters as the hub reads them, a JSON object.
    pub(super) params: Box<RawValue>,
    /// The longest time for which the hub may delay the answer on purpose.
    pub(super) parked: Duration,
}

/// Reads the parameters of a verb, as `V::read` does, and writes them again.
fn read_as<V: Verb>(text: &str, limits: &Limits) -> Result<HubCall, Error> {
    // Unchecked, because the hub compiles regexes and schemas, on another thread.
    let params = read_unchecked(|| V::read(&Params::parse(text)?, limits))?;
    HubCall::of(&params)
}

impl HubCall {
    fn of<V: Verb>(params: &V) -> Result<HubCall, Error> {
        let written = to_raw_value(params)
            .map_err(|why| Error::invalid_params(format!("invalid params: {why}")))?;
        Ok(HubCall {
            verb: V::METHOD,
            params: written,
            parked: params.parked(),
        })
    }

    /// Reads the parameters of a verb.
    pub(super) fn read(verb: Method, text: &str, limits: &Limits) -> Result<HubCall, Error> {
        macro_rules! read {
            ($($(#[$doc:meta])* $module:ident: $variant:ident($params:ident), $effect:ident, $right:ident;)*) => {
                match verb {
                    $(Method::$variant => read_as::<verbs::$module::$params>(text, limits),)*
                }
            };
        }
        kirosu_protocol::for_each_verb!(read)
    }

    /// Sends it, and returns the whole answer.
    pub(super) async fn send(self, state: &AppState) -> Result<Box<RawValue>, HttpError> {
        let answer = state.hub.send(self.verb, self.params, self.parked).await?;
        Ok(answer)
    }
}

/// Whether an answer may be longer than what is held in memory for one.
fn is_long(verb: Method, params: &RawValue) -> bool {
    #[derive(serde::Deserialize)]
    struct Size {
        limit: Option<u64>,
        preview_bytes: Option<u64>,
        #[serde(default)]
        results: bool,
    }
    match verb {
        Method::Get | Method::Agents | Method::Usage | Method::Run => true,
        Method::List | Method::RunItems => {
            let size: Option<Size> = serde_json::from_str(params.get()).ok();
            size.is_some_and(|size| match verb {
                Method::List => {
                    size.limit
                        .is_none_or(|limit| limit == 0 || limit > LONG_LIST)
                        || size.preview_bytes == Some(0)
                }
                _ => size.results,
            })
        }
        _ => false,
    }
}

/// Answers a request for a route.
pub(super) async fn serve(
    route: V1Route,
    fields: Arc<RouteFields>,
    request: HttpRequest,
    payload: web::Payload,
    state: ClientState,
) -> V1Result {
    let text = match route.method.has_body() {
        false => {
            let refused = |name: &str| route.is_safe() && changes(route.verb, name);
            params::from_url(&request, &fields.properties, refused)?
        }
        true => {
            let body = read_body(&request, payload, &state).await?;
            params::from_body(&route, &request, &body)?
        }
    };
    match route.kind {
        RouteKind::Verb => {
            let call = HubCall::read(route.verb, &text, &state.hub.limits())?;
            send(&route, &request, &state, call).await
        }
        RouteKind::NewRun => {
            let task = new_run::read(&text, &state.hub.limits())?;
            send(&route, &request, &state, HubCall::of(&task)?).await
        }
        RouteKind::Hello => {
            let hello = state.hub.connected().await?;
            Ok(HttpResponse::Ok().json(&*hello))
        }
        RouteKind::Events => events::serve(&request, &text, state).await,
        RouteKind::Output => events::serve_output(&request, &text, state).await,
    }
}

async fn send(
    route: &V1Route,
    request: &HttpRequest,
    state: &ClientState,
    call: HubCall,
) -> V1Result {
    match call.verb {
        Method::Wait => return parked::wait(request, state, call).await,
        Method::Lease => return parked::lease(state, call).await,
        Method::Ack => return parked::ack(state, call).await,
        _ => {}
    }
    if is_long(call.verb, &call.params) {
        let params = as_fields(&call.params)?;
        let (answer, slot) = state.hub.stream_of(call.verb, &params).await?;
        return forward_stream(request, state, answer, slot).await;
    }
    let answer = call.send(state).await?;
    let next = next_link(request, route.verb, answer.get());
    let mut response = json(answer);
    if let Some(next) = next {
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}

/// The members of an object that is written already.
pub(super) fn as_fields(
    params: &RawValue,
) -> Result<std::collections::BTreeMap<String, Box<RawValue>>, HttpError> {
    serde_json::from_str(params.get())
        .map_err(|why| Error::invalid_params(format!("invalid params: {why}")).into())
}

/// A response with the hub's answer.
pub(super) fn json(answer: Box<RawValue>) -> HttpResponse {
    let text = String::from(Box::<str>::from(answer));
    HttpResponse::Ok()
        .content_type("application/json")
        .body(text)
}
