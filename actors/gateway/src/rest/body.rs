//! Request bodies and their limits: size, time, and the memory of all bodies together.

use super::error::HttpError;
use crate::state::AppState;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, web};
use futures_util::StreamExt;
use kirosu_protocol::ErrorCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Maximum memory of all bodies together, as a multiple of the maximum size of one.
const CONCURRENT_BODIES: usize = 8;

/// A body. Its drop releases its share of the memory for bodies.
pub(crate) struct RequestBody {
    bytes: Vec<u8>,
    budget: Arc<AtomicUsize>,
}

impl RequestBody {
    /// The bytes as received.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The body as text; `None` if it is empty.
    ///
    /// # Errors
    /// 400 if it is not UTF-8.
    pub(crate) fn text(&self) -> Result<Option<&str>, HttpError> {
        let bad = |why| {
            let message = format!("the body is not UTF-8: {why}");
            HttpError::new(StatusCode::BAD_REQUEST, ErrorCode::ParseError, message)
        };
        let text = std::str::from_utf8(&self.bytes).map_err(bad)?;
        Ok(Some(text).filter(|text| !text.trim().is_empty()))
    }

    /// Appends a chunk, within the limits.
    fn take(&mut self, chunk: &[u8], longest: usize) -> Result<(), HttpError> {
        if self.bytes.len() + chunk.len() > longest {
            return Err(too_long(longest));
        }
        let most = longest.saturating_mul(CONCURRENT_BODIES);
        let enter = |now: usize| now.checked_add(chunk.len()).filter(|sum| *sum <= most);
        let entered = self
            .budget
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter);
        if entered.is_err() {
            return Err(HttpError::busy(
                "the gateway is receiving too many bodies; try again later",
            ));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.budget.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

fn too_long(longest: usize) -> HttpError {
    let message = format!("the body is longer than the {longest} bytes that the gateway accepts");
    HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::TooLarge, message)
}

/// Reads the whole body.
///
/// # Errors
/// 413 if it is too long (before it is read, if the request has its length), 408 if it takes too long, 503 if the memory
/// for bodies is exhausted.
pub(crate) async fn read(
    request: &HttpRequest,
    mut payload: web::Payload,
    state: &AppState,
) -> Result<RequestBody, HttpError> {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > state.body_bytes) {
        return Err(too_long(state.body_bytes));
    }
    let mut body = RequestBody {
        bytes: Vec::new(),
        budget: state.bodies.clone(),
    };
    let reading = async {
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| {
                let message = format!("the body could not be read: {error}");
                HttpError::new(StatusCode::BAD_REQUEST, ErrorCode::InvalidRequest, message)
            })?;
            body.take(&chunk, state.body_bytes)?;
        }
        Ok(())
    };
    match tokio::time::timeout(state.body_time, reading).await {
        Ok(outcome) => outcome.map(|()| body),
        Err(_) => Err(HttpError::new(
            StatusCode::REQUEST_TIMEOUT,
            ErrorCode::InvalidRequest,
            format!("the body was not received within {:?}", state.body_time),
        )),
    }
}
