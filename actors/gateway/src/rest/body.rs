//! Reads a request's body within its limits: size, time, and a budget for all bodies together.

use super::refusal::Refusal;
use crate::http::Desk;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, web};
use futures_util::StreamExt;
use kirosu_protocol::ErrorCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bodies of the longest length that may be in memory at once; or more, if shorter.
const LONGEST_AT_ONCE: usize = 8;

/// A body, and its share of the budget until it is dropped.
pub(crate) struct Body {
    bytes: Vec<u8>,
    budget: Arc<AtomicUsize>,
}

impl Body {
    /// As it came.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The text; none for an empty one.
    ///
    /// # Errors
    /// 400 when it is not UTF-8.
    pub(super) fn text(&self) -> Result<Option<&str>, Refusal> {
        let bad = |why| {
            let message = format!("the body is not UTF-8: {why}");
            Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::ParseError, message)
        };
        let text = std::str::from_utf8(&self.bytes).map_err(bad)?;
        Ok(Some(text).filter(|text| !text.trim().is_empty()))
    }

    /// Takes a chunk in, if there is room.
    fn take(&mut self, chunk: &[u8], longest: usize) -> Result<(), Refusal> {
        if self.bytes.len() + chunk.len() > longest {
            return Err(too_long(longest));
        }
        let most = longest.saturating_mul(LONGEST_AT_ONCE);
        let enter = |now: usize| now.checked_add(chunk.len()).filter(|sum| *sum <= most);
        let entered = self
            .budget
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter);
        if entered.is_err() {
            return Err(Refusal::busy(
                "the gateway is reading too much at once; try again later",
            ));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.budget.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

fn too_long(longest: usize) -> Refusal {
    let message = format!("the body is longer than the {longest} bytes that the gateway takes");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::TooLarge, message)
}

/// Reads it all.
///
/// # Errors
/// 413 when it is too long (before it is read, where its length was announced), 408 when it takes too long, 503 when
/// others use up the budget.
pub(crate) async fn read(
    request: &HttpRequest,
    mut payload: web::Payload,
    desk: &Desk,
) -> Result<Body, Refusal> {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > desk.body_bytes) {
        return Err(too_long(desk.body_bytes));
    }
    let mut body = Body {
        bytes: Vec::new(),
        budget: desk.bodies.clone(),
    };
    let reading = async {
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| {
                let message = format!("the body could not be read: {error}");
                Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::InvalidRequest, message)
            })?;
            body.take(&chunk, desk.body_bytes)?;
        }
        Ok(())
    };
    match tokio::time::timeout(desk.body_time, reading).await {
        Ok(outcome) => outcome.map(|()| body),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            ErrorCode::InvalidRequest,
            format!(
                "the body did not come within {:?}; send it at once",
                desk.body_time
            ),
        )),
    }
}
