//! Connections to the hub for the keys of HTTP clients: the hub checks a key, its rights and its limits.
//!
//! A key is checked once, with a request over a connection of its own, before anything is kept for it. Then its requests share
//! a connection, which ends when it is not used, or when others need its place.

use crate::link::{HubError, HubLink};
use kirosu_protocol::PingParams;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most keys with a connection of their own.
const CONNECTIONS: usize = 64;
/// Time after which a connection without requests ends; checked when a key is used.
const IDLE: Duration = Duration::from_secs(600);

struct KeyLink {
    key: String,
    link: HubLink,
    used: Instant,
}

/// The connections by key. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct KeyLinks(Arc<Mutex<Vec<KeyLink>>>);

impl KeyLinks {
    fn known(&self, key: &str) -> Option<HubLink> {
        let now = Instant::now();
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // In the place of one that was lost comes a new one, which finds a hub that is back without a pause.
        links.retain(|it| {
            !it.link.is_lost() && (it.key == key || now.duration_since(it.used) < IDLE)
        });
        let found = links.iter_mut().find(|it| it.key == key)?;
        found.used = now;
        Some(found.link.clone())
    }

    fn keep(&self, key: &str, link: HubLink) {
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if links.len() >= CONNECTIONS {
            let oldest = links.iter().enumerate().min_by_key(|(_, it)| it.used);
            if let Some((at, _)) = oldest {
                links.swap_remove(at);
            }
        }
        links.push(KeyLink {
            key: key.to_owned(),
            link,
            used: Instant::now(),
        });
    }

    /// The connection for a key. `own` is the gateway's, to the same hub.
    ///
    /// # Errors
    /// `Refused` with `unauthorized` if the hub does not know the key; or the hub cannot be reached.
    pub(crate) async fn find(&self, key: &str, own: &HubLink) -> Result<HubLink, HubError> {
        if let Some(link) = self.known(key) {
            return Ok(link);
        }
        own.request_with_key(key, &PingParams {}).await?;
        let link = own.with_key(key);
        self.keep(key, link.clone());
        Ok(link)
    }
}
