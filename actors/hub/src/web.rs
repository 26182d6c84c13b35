//! Browsers at the web page: tickets with which they log in once, and their sessions.
//!
//! A session has the rights of the key of the client that asked for it, and ends with that key. It is stored, without its secret, so
//! that it outlives a restart of the hub. Tickets are in memory only.

use crate::credentials::hash;
use crate::hub::Hub;
use crate::identity::{ADMIN, Access, ClientIdentity, PeerOwner};
use crate::listener::process::{self, PeerProcess};
use kirosu_protocol::access::{WEB_TICKET_PREFIX, is_same_secret, new_secret_of};
use kirosu_protocol::verbs::hello::SessionSecret;
use kirosu_protocol::{Effect, Error, ErrorCode, Right, WebTicketAnswer};
use kirosu_store::WebSession;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How long a ticket can be used, in milliseconds.
pub const TICKET_MS: i64 = 5 * 60_000;
/// How long a session lasts, in milliseconds.
pub const SESSION_MS: i64 = 12 * 3_600_000;
/// The most tickets that wait for their use; a further one ends the oldest.
const TICKETS: usize = 64;

/// The rights that a ticket or a session gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebRights {
    /// The name for records.
    pub who: Arc<str>,
    /// The hash of the key of the client that has asked for it.
    pub key_hash: String,
    /// Whether it decides as a person with the hub's own key.
    pub is_person: bool,
}

/// A ticket that waits for its use.
#[derive(Debug)]
struct LoginTicket {
    hash: String,
    rights: WebRights,
    /// Whether only a browser of the gateway's user may use it.
    same_user: bool,
    /// Unix milliseconds.
    expires_ms: i64,
}

/// The tickets that wait for their use, oldest first. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tickets(Arc<Mutex<Vec<LoginTicket>>>);

impl Tickets {
    /// Adds a ticket at a time in Unix milliseconds.
    pub fn add(&self, secret: &str, rights: WebRights, same_user: bool, now_ms: i64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|it| now_ms < it.expires_ms);
        if all.len() >= TICKETS {
            all.remove(0);
        }
        all.push(LoginTicket {
            hash: hash(secret),
            rights,
            same_user,
            expires_ms: now_ms.saturating_add(TICKET_MS),
        });
    }

    /// Takes a ticket for its only use, by a browser that is one of the gateway's user or not.
    pub fn take(&self, secret: &str, is_same_user: bool, now_ms: i64) -> Option<WebRights> {
        let hash = hash(secret);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|it| now_ms < it.expires_ms);
        let at = all
            .iter()
            .position(|it| is_same_secret(&it.hash, &hash) && (is_same_user || !it.same_user))?;
        Some(all.remove(at).rights)
    }
}

/// The session of a browser. Connections hold it as long as they speak for it.
#[derive(Debug)]
pub struct LiveSession {
    hash: String,
    /// The name for records.
    pub who: Arc<str>,
    key_hash: String,
    /// Whether it decides as a person with the hub's own key.
    pub is_person: bool,
    /// Unix milliseconds.
    pub expires_ms: i64,
    has_ended: AtomicBool,
}

impl PartialEq for LiveSession {
    fn eq(&self, other: &LiveSession) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for LiveSession {}

impl LiveSession {
    fn read(stored: &WebSession) -> LiveSession {
        LiveSession {
            hash: stored.hash.clone(),
            who: stored.who.as_str().into(),
            key_hash: stored.key_hash.clone(),
            is_person: stored.is_person,
            expires_ms: stored.expires_ms,
            has_ended: AtomicBool::new(false),
        }
    }

    /// Whether it gives rights at a time in Unix milliseconds.
    pub fn is_valid(&self, now_ms: i64) -> bool {
        !self.has_ended.load(Ordering::Relaxed) && now_ms < self.expires_ms
    }
}

/// The sessions, shared by the writer and the connections. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct BrowserSessions(Arc<Mutex<Vec<Arc<LiveSession>>>>);

impl BrowserSessions {
    /// Takes over the stored sessions. Connections keep those that are still there. Returns whether any has ended.
    pub fn replace<'a>(&self, stored: impl Iterator<Item = &'a WebSession>) -> bool {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *sessions);
        for stored in stored {
            let known = before.iter().position(|it| it.hash == stored.hash);
            sessions.push(match known {
                Some(at) => before.swap_remove(at),
                None => Arc::new(LiveSession::read(stored)),
            });
        }
        for ended in &before {
            ended.has_ended.store(true, Ordering::Relaxed);
        }
        !before.is_empty()
    }

    /// The session with this secret, valid or not.
    pub fn find(&self, secret: &str) -> Option<Arc<LiveSession>> {
        let hash = hash(secret);
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = sessions.iter().find(|it| is_same_secret(&it.hash, &hash));
        found.cloned()
    }
}

impl Hub {
    /// The party of a browser that sends the secret of a session, at a time in Unix milliseconds.
    pub(crate) fn identify_session(
        &self,
        secret: &str,
        owner: PeerOwner,
        now_ms: i64,
    ) -> Option<ClientIdentity> {
        // A run may have found the secret in the browser's files.
        if owner == PeerOwner::Run {
            return None;
        }
        let session = self.web_sessions().find(secret)?;
        if !session.is_valid(now_ms) {
            return None;
        }
        if is_same_secret(&session.key_hash, &self.own_key_hash()) {
            return Some(ClientIdentity::of_session(session));
        }
        let key = self.keys().with_hash(&session.key_hash)?;
        Some(ClientIdentity {
            session: Some(session),
            ..self.of_key(key, now_ms)?
        })
    }

    fn own_key_hash(&self) -> String {
        hash(&self.options().key)
    }

    /// The rights that a client may give to a browser, where `is_person` says whether a person sits at its terminal.
    ///
    /// # Errors
    /// `forbidden`: the client has no key, or belongs to a run, or is itself such a browser, whose session would then have no end.
    pub(crate) fn web_rights(
        &self,
        identity: &ClientIdentity,
        owner: PeerOwner,
        is_person: bool,
        by: Option<&str>,
    ) -> Result<WebRights, Error> {
        let refused = |message: &str| Err(Error::new(ErrorCode::Forbidden, message));
        if identity.session.is_some() {
            return refused(
                "a session of the web page cannot begin another one: use `kirosu web`, or log in with a key",
            );
        }
        if owner == PeerOwner::Run {
            return refused("a program of a run cannot log in to the web page");
        }
        match (&identity.key, identity.access) {
            (Some(key), _) => Ok(WebRights {
                who: key.name.clone(),
                key_hash: key.hash.clone(),
                is_person: false,
            }),
            (None, Access::Admin | Access::Everything) => Ok(WebRights {
                who: by.unwrap_or(ADMIN).into(),
                key_hash: self.own_key_hash(),
                is_person,
            }),
            _ => refused("a login to the web page needs a key"),
        }
    }

    /// Whether the key behind some rights still gives them.
    pub(crate) fn still_gives(&self, rights: &WebRights, now_ms: i64) -> bool {
        is_same_secret(&rights.key_hash, &self.own_key_hash())
            || self
                .keys()
                .with_hash(&rights.key_hash)
                .is_some_and(|key| key.is_valid(now_ms))
    }

    /// A ticket with all rights for the person who has started this process on a terminal, outside of runs. `None`: there is no such person.
    /// Takes milliseconds: it reads about all processes of the machine.
    pub fn ticket_of_operator(&self, who: &str, now_ms: i64) -> Option<WebTicketAnswer> {
        let own = i32::try_from(std::process::id()).ok()?;
        if !process::find(PeerProcess::Id(own)).at_terminal {
            return None;
        }
        let rights = WebRights {
            who: who.into(),
            key_hash: self.own_key_hash(),
            is_person: true,
        };
        self.new_ticket(rights, all_rights(), false, now_ms).ok()
    }

    /// Makes a ticket that gives some rights. `shown`: their names. `same_user`: whether only a browser of the gateway's user may use
    /// it.
    ///
    /// # Errors
    /// `internal`: the system gives no random bytes.
    pub(crate) fn new_ticket(
        &self,
        rights: WebRights,
        shown: Vec<String>,
        same_user: bool,
        now_ms: i64,
    ) -> Result<WebTicketAnswer, Error> {
        let secret = new_secret(WEB_TICKET_PREFIX)?;
        let answer = WebTicketAnswer {
            ticket: SessionSecret(secret.clone()),
            who: rights.who.to_string(),
            rights: shown,
            expires_at: now_ms.saturating_add(TICKET_MS) as f64 / 1000.0,
            url: self.page().map(str::to_owned),
        };
        self.tickets().add(&secret, rights, same_user, now_ms);
        Ok(answer)
    }
}

/// The names of all rights.
pub fn all_rights() -> Vec<String> {
    Right::ALL.map(|right| right.to_string()).to_vec()
}

/// Makes a random secret with this beginning.
///
/// # Errors
/// `internal`: the system gives no random bytes.
pub fn new_secret(prefix: &str) -> Result<String, Error> {
    new_secret_of(prefix).map_err(|error| {
        let message = format!("the system gives no random bytes for a login: {error}");
        Error::internal(Effect::None, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(who: &str) -> WebRights {
        WebRights {
            who: who.into(),
            key_hash: "k".to_owned(),
            is_person: true,
        }
    }

    #[test]
    fn a_ticket_is_used_once_in_its_time_and_by_the_right_user() {
        let tickets = Tickets::default();
        tickets.add("krl_1", rights("ada"), false, 0);
        tickets.add("krl_2", rights("eve"), true, 10);
        assert_eq!(tickets.take("krl_2", false, 10), None);
        assert_eq!(tickets.take("krl_2", true, 10), Some(rights("eve")));
        assert_eq!(tickets.take("krl_2", true, 10), None);
        assert_eq!(tickets.take("krl_3", true, 10), None);
        assert_eq!(tickets.take("krl_1", true, TICKET_MS), None);
        tickets.add("krl_4", rights("ada"), false, 0);
        assert_eq!(
            tickets.take("krl_4", false, TICKET_MS - 1),
            Some(rights("ada"))
        );
    }

    #[test]
    fn the_oldest_of_too_many_tickets_ends() {
        let tickets = Tickets::default();
        for number in 0..=TICKETS {
            tickets.add(&format!("krl_{number}"), rights("ada"), false, 0);
        }
        assert_eq!(tickets.take("krl_0", true, 0), None);
        assert!(tickets.take("krl_1", true, 0).is_some());
    }

    #[test]
    fn a_session_is_valid_until_it_expires_or_is_deleted() {
        let stored = |secret: &str| WebSession {
            hash: hash(secret),
            who: "ada".to_owned(),
            key_hash: "k".to_owned(),
            is_person: true,
            created_ms: 0,
            expires_ms: 100,
        };
        let (one, two) = (stored("krw_1"), stored("krw_2"));
        let sessions = BrowserSessions::default();
        assert!(!sessions.replace([&one, &two].into_iter()));
        let held = sessions.find("krw_1").unwrap();
        assert!(held.is_valid(99) && !held.is_valid(100));
        assert!(sessions.find("krw_3").is_none());
        assert!(!sessions.replace([&one, &two].into_iter()));
        assert!(Arc::ptr_eq(&held, &sessions.find("krw_1").unwrap()));
        assert!(sessions.replace([&two].into_iter()));
        assert!(!held.is_valid(0) && sessions.find("krw_1").is_none());
    }
}
