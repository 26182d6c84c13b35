//! TEMPORARY: the sessions in the gateway's memory, until the hub keeps them.
use crate::link::HubError;
use crate::rest::HttpError;
use crate::state::AppState;
use kirosu_protocol::access::{PASSED_ON, new_secret};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<HashMap<String, String>>>);

impl Sessions {
    pub(crate) async fn begin(&self, state: &AppState, key: &str) -> Result<String, HttpError> {
        let key = format!("{PASSED_ON}{key}");
        match state.clients.find(&key, &state.hub).await {
            Err(HubError::Refused(_)) => return Err(super::no_session()),
            found => found?,
        };
        let secret = new_secret().map_err(|error| HttpError::busy(error.to_string()))?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(secret.clone(), key);
        Ok(secret)
    }

    pub(crate) fn end(&self, secret: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(secret);
    }

    pub(crate) fn find(&self, secret: &str) -> Option<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(secret).cloned()
    }
}
