//! The connected and the disconnected sessions, as a pure machine. The caller passes the time: wall time for people to read,
//! monotonic time for deadlines.

use super::endings::Endings;
use kirosu_protocol::access::is_same_secret;
use kirosu_protocol::verbs::hello::SessionSecret;
use kirosu_protocol::{AgentInfo, Error, ErrorCode};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// One session. `N` is the recipient of its messages.
#[derive(Debug)]
struct SessionEntry<N> {
    name: String,
    peer: String,
    owner: SessionOwner,
    since_ms: i64,
    seen_ms: i64,
    /// `None` while it is disconnected.
    connection: Option<(u64, N)>,
    /// When a disconnected session is lost. Monotonic, so that no session is lost because the wall clock was set.
    lost_at: Option<Instant>,
}

/// The client that may take a session over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionOwner {
    /// The name of its key, if that has the role `work`. `None`: any other client.
    pub key: Option<Arc<str>>,
    /// The secret that the client has chosen. `None`: none is needed.
    pub secret: Option<SessionSecret>,
}

impl SessionOwner {
    /// Refuses another client than the owner.
    ///
    /// # Errors
    /// `forbidden`, with the remedy.
    fn check(&self, session: &str, other: &SessionOwner) -> Result<(), Error> {
        let refused = |why: &str| {
            let message = format!(
                "the session {session} belongs to another client, {why}; choose another `session_id`"
            );
            Err(Error::new(ErrorCode::Forbidden, message))
        };
        if self.key != other.key {
            return refused("which has another key");
        }
        match (&self.secret, &other.secret) {
            (None, _) => Ok(()),
            (Some(own), Some(given)) if is_same_secret(&given.0, &own.0) => Ok(()),
            (Some(_), _) => refused("and is protected by another `session_secret`"),
        }
    }
}

/// The sessions of a hub.
#[derive(Debug)]
pub struct SessionTable<N> {
    grace: Duration,
    sessions: BTreeMap<String, SessionEntry<N>>,
    /// When each disconnected session is lost, the next one first.
    disconnected: BTreeSet<(Instant, String)>,
    /// Sessions whose leases are being taken away.
    pub ending: Endings,
}

/// The result of a `hello` for a session.
#[derive(Debug, PartialEq)]
pub struct OpenedSession<N> {
    /// Whether the session goes on with its leases.
    pub resumed: bool,
    /// Whether the client is a new incarnation: leases of an older one must be taken away.
    pub is_new_incarnation: bool,
    /// The connection that had the session until now.
    pub superseded: Option<N>,
}

/// A client's `hello` for a session.
#[derive(Clone, Debug)]
pub struct SessionHello<N> {
    /// The session's id.
    pub session: String,
    /// A name for people.
    pub name: String,
    /// The address of its client.
    pub peer: String,
    /// The client.
    pub owner: SessionOwner,
    /// The connection's number.
    pub connection: u64,
    /// The recipient of its messages.
    pub notify: N,
    /// Whether the client resumes the session with its leases. If not, it is a new incarnation.
    pub resume: bool,
}

impl<N: Clone> SessionTable<N> {
    /// No sessions. A session is lost when it stays disconnected for `grace`.
    pub fn new(grace: Duration) -> SessionTable<N> {
        SessionTable {
            grace,
            sessions: BTreeMap::new(),
            disconnected: BTreeSet::new(),
            ending: Endings::default(),
        }
    }

    /// Changes the grace of sessions that disconnect from now on.
    pub fn set_grace(&mut self, grace: Duration) {
        self.grace = grace;
    }

    /// Adds a session that held leases when the hub stopped, under this key of the role `work`. It is disconnected, and its
    /// grace begins. Its secret is not known any more.
    pub fn seed(
        &mut self,
        session: String,
        name: String,
        key: Option<String>,
        now_ms: i64,
        now: Instant,
    ) {
        if self.sessions.contains_key(&session) {
            return;
        }
        let lost_at = now + self.grace;
        self.disconnected.insert((lost_at, session.clone()));
        let entry = SessionEntry {
            name,
            peer: "away".into(),
            owner: SessionOwner {
                key: key.map(Arc::from),
                secret: None,
            },
            since_ms: now_ms,
            seen_ms: now_ms,
            connection: None,
            lost_at: Some(lost_at),
        };
        self.sessions.insert(session, entry);
    }

    /// Opens or resumes a session for a connection.
    ///
    /// # Errors
    /// `forbidden`: the session belongs to another client. Nothing is changed.
    pub fn open(&mut self, hello: SessionHello<N>, now_ms: i64) -> Result<OpenedSession<N>, Error> {
        if let Some(present) = self.sessions.get(&hello.session) {
            present.owner.check(&hello.session, &hello.owner)?;
        }
        let old = self.sessions.remove(&hello.session);
        if let Some(at) = old.as_ref().and_then(|old| old.lost_at) {
            self.disconnected.remove(&(at, hello.session.clone()));
        }
        let known = old.is_some();
        let resumed = known && hello.resume;
        let since_ms = old
            .as_ref()
            .filter(|_| resumed)
            .map_or(now_ms, |old| old.since_ms);
        let superseded = old
            .and_then(|old| old.connection)
            .filter(|(id, _)| *id != hello.connection)
            .map(|(_, notify)| notify);
        let entry = SessionEntry {
            name: hello.name,
            peer: hello.peer,
            owner: hello.owner,
            since_ms,
            seen_ms: now_ms,
            connection: Some((hello.connection, hello.notify)),
            lost_at: None,
        };
        self.sessions.insert(hello.session, entry);
        Ok(OpenedSession {
            resumed,
            is_new_incarnation: !hello.resume,
            superseded,
        })
    }

    /// A connection has closed. Returns true if it had the session: the grace begins.
    pub fn closed(&mut self, session: &str, connection: u64, now_ms: i64, now: Instant) -> bool {
        let Some(entry) = self.sessions.get_mut(session) else {
            return false;
        };
        if entry.connection.as_ref().map(|(id, _)| *id) != Some(connection) {
            return false;
        }
        entry.connection = None;
        entry.seen_ms = now_ms;
        let lost_at = now + self.grace;
        entry.lost_at = Some(lost_at);
        self.disconnected.insert((lost_at, session.to_owned()));
        true
    }

    /// Removes the sessions whose grace is over, and returns their names.
    pub fn take_lost(&mut self, now: Instant) -> Vec<String> {
        let mut names = Vec::new();
        while let Some((at, _)) = self.disconnected.first()
            && *at <= now
            && let Some((_, name)) = self.disconnected.pop_first()
        {
            self.sessions.remove(&name);
            names.push(name);
        }
        names
    }

    /// When the next session is lost. `None` if all are connected.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.disconnected.first().map(|(at, _)| *at)
    }

    /// The recipient of a session's messages. `None` if it is not connected.
    pub fn recipient(&self, session: &str) -> Option<&N> {
        self.sessions
            .get(session)?
            .connection
            .as_ref()
            .map(|(_, notify)| notify)
    }

    /// The number of sessions, and of the connected ones among them.
    pub fn count(&self) -> (usize, usize) {
        let connected = |entry: &&SessionEntry<N>| entry.connection.is_some();
        let connected = self.sessions.values().filter(connected).count();
        (self.sessions.len(), connected)
    }

    /// All sessions, for `agents`. The caller adds their leases.
    pub fn agents(&self) -> Vec<AgentInfo> {
        let info = |(id, entry): (&String, &SessionEntry<N>)| AgentInfo {
            session_id: Some(id.clone()),
            name: entry.name.clone(),
            peer: entry.peer.clone(),
            connected: entry.connection.is_some(),
            leases: Vec::new(),
            since: entry.since_ms as f64 / 1000.0,
            last_seen: entry.seen_ms as f64 / 1000.0,
        };
        self.sessions.iter().map(info).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    /// Converts milliseconds from now into instants.
    fn times() -> impl Fn(u64) -> Instant {
        let start = Instant::now();
        move |ms| start + Duration::from_millis(ms)
    }

    fn hello(connection: u64, resume: bool) -> SessionHello<u64> {
        SessionHello {
            session: "s".into(),
            name: "n".into(),
            peer: "local".into(),
            owner: SessionOwner::default(),
            connection,
            notify: connection,
            resume,
        }
    }

    #[test]
    fn a_session_that_reconnects_in_time_is_resumed() {
        let (at, mut table) = (times(), SessionTable::new(GRACE));
        assert!(!table.open(hello(1, true), 0).unwrap().resumed);
        assert!(table.closed("s", 1, 1_000, at(1_000)));
        assert_eq!(table.next_deadline(), Some(at(11_000)));
        assert!(table.take_lost(at(10_999)).is_empty());
        assert!(table.open(hello(2, true), 10_999).unwrap().resumed);
        assert!(table.take_lost(at(99_000)).is_empty());
    }

    #[test]
    fn a_session_that_stays_disconnected_is_lost_once() {
        let (at, mut table) = (times(), SessionTable::new(GRACE));
        table.open(hello(1, true), 0).unwrap();
        table.closed("s", 1, 0, at(0));
        assert_eq!(table.take_lost(at(10_000)), ["s"]);
        assert!(table.take_lost(at(10_000)).is_empty());
        assert!(!table.open(hello(2, true), 10_001).unwrap().resumed);
    }

    #[test]
    fn a_superseded_connection_does_not_end_the_session() {
        let (at, mut table) = (times(), SessionTable::new(GRACE));
        table.open(hello(1, true), 0).unwrap();
        assert_eq!(table.open(hello(2, true), 5).unwrap().superseded, Some(1));
        assert!(!table.closed("s", 1, 10, at(10)));
        assert_eq!(table.recipient("s"), Some(&2));
    }

    #[test]
    fn a_new_incarnation_resumes_nothing() {
        let mut table = SessionTable::new(GRACE);
        table.open(hello(1, true), 0).unwrap();
        let opened = table.open(hello(2, false), 5).unwrap();
        assert_eq!((opened.resumed, opened.is_new_incarnation), (false, true));
    }

    #[test]
    fn sessions_from_before_a_restart_have_their_grace() {
        let (at, mut table): (_, SessionTable<u64>) = (times(), SessionTable::new(GRACE));
        table.seed("old".into(), "w".into(), None, 100, at(100));
        assert_eq!(table.next_deadline(), Some(at(10_100)));
        assert_eq!(table.take_lost(at(10_100)), ["old"]);
    }

    #[test]
    fn another_client_does_not_take_a_session_over() {
        let (at, mut table) = (times(), SessionTable::new(GRACE));
        let owned = |connection, key: Option<&str>, secret: Option<&str>| SessionHello {
            owner: SessionOwner {
                key: key.map(Arc::from),
                secret: secret.map(|it| SessionSecret(it.to_owned())),
            },
            ..hello(connection, true)
        };
        table.open(owned(1, Some("gpu"), Some("x")), 0).unwrap();
        let others = [
            (None, Some("x")),
            (Some("cpu"), Some("x")),
            (Some("gpu"), None),
            (Some("gpu"), Some("y")),
        ];
        let refuses_all = |table: &mut SessionTable<u64>| {
            for (key, secret) in others {
                let refused = table.open(owned(2, key, secret), 5).unwrap_err();
                assert_eq!(refused.code, ErrorCode::Forbidden, "{key:?} {secret:?}");
                assert!(!format!("{refused:?}").contains("\"x\""));
            }
        };
        refuses_all(&mut table);
        assert_eq!(table.recipient("s"), Some(&1));
        table.closed("s", 1, 10, at(10));
        refuses_all(&mut table);
        let resumed = table.open(owned(3, Some("gpu"), Some("x")), 20).unwrap();
        assert!(resumed.resumed);
        // It is over once it is lost.
        table.closed("s", 3, 30, at(30));
        assert_eq!(table.take_lost(at(20_000)), ["s"]);
        table.open(owned(4, None, None), 20_000).unwrap();
        // Of a session from before a restart the key is known.
        table.seed("old".into(), "w".into(), Some("gpu".into()), 0, at(0));
        let old = |key| SessionHello {
            session: "old".into(),
            ..owned(5, key, Some("z"))
        };
        assert!(table.open(old(None), 0).is_err());
        table.open(old(Some("gpu")), 0).unwrap();
    }
}
