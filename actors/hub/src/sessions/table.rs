//! Who is connected and who is away: pure rules, time given: wall time for people to read, monotonic time for deadlines.

use super::endings::Endings;
use kirosu_protocol::verbs::agents::AgentInfo;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// What is known of one session. `N` is how it is reached.
#[derive(Debug)]
struct Entry<N> {
    name: String,
    peer: String,
    since_ms: i64,
    seen_ms: i64,
    connection: Option<(u64, N)>,
    /// When a session that is away counts as lost. Monotonic: nobody is lost because the wall clock was set.
    lost_at: Option<Instant>,
}

/// The sessions of a hub.
#[derive(Debug)]
pub struct SessionTable<N> {
    grace: Duration,
    sessions: BTreeMap<String, Entry<N>>,
    /// Of the sessions that are away, when they count as lost, the next one first.
    away: BTreeSet<(Instant, String)>,
    /// Sessions whose leases are being taken away.
    pub ending: Endings,
}

/// What became of an older life of a session that is opened.
#[derive(Debug, PartialEq)]
pub struct Opened<N> {
    /// Whether the session goes on with its leases.
    pub resumed: bool,
    /// Whether leases of an older incarnation must be taken away.
    pub supersedes: bool,
    /// A connection that held the session until now and has lost it.
    pub superseded: Option<N>,
}

/// Somebody who opens a session.
#[derive(Clone, Debug)]
pub struct SessionHello<N> {
    /// The session's id.
    pub session: String,
    /// A name for people.
    pub name: String,
    /// Where it connects from.
    pub peer: String,
    /// The connection's number.
    pub connection: u64,
    /// How it is reached.
    pub notify: N,
    /// Whether an older life goes on; if not, this is a new incarnation.
    pub resume: bool,
}

impl<N: Clone> SessionTable<N> {
    /// No sessions; one that goes away has `grace` to come back.
    pub fn new(grace: Duration) -> SessionTable<N> {
        SessionTable {
            grace,
            sessions: BTreeMap::new(),
            away: BTreeSet::new(),
            ending: Endings::default(),
        }
    }

    /// Another grace, for sessions that go away from now on.
    pub fn set_grace(&mut self, grace: Duration) {
        self.grace = grace;
    }

    /// A session that held leases when the hub stopped: it is away, and has its grace.
    pub fn seed(&mut self, session: String, name: String, now_ms: i64, now: Instant) {
        if self.sessions.contains_key(&session) {
            return;
        }
        let lost_at = now + self.grace;
        self.away.insert((lost_at, session.clone()));
        let entry = Entry {
            name,
            peer: "away".into(),
            since_ms: now_ms,
            seen_ms: now_ms,
            connection: None,
            lost_at: Some(lost_at),
        };
        self.sessions.insert(session, entry);
    }

    /// A connection says `hello` for a session.
    pub fn open(&mut self, who: SessionHello<N>, now_ms: i64) -> Opened<N> {
        let old = self.sessions.remove(&who.session);
        if let Some(at) = old.as_ref().and_then(|old| old.lost_at) {
            self.away.remove(&(at, who.session.clone()));
        }
        let known = old.is_some();
        let resumed = known && who.resume;
        let since_ms = old
            .as_ref()
            .filter(|_| resumed)
            .map_or(now_ms, |old| old.since_ms);
        let superseded = old
            .and_then(|old| old.connection)
            .filter(|(id, _)| *id != who.connection)
            .map(|(_, notify)| notify);
        let entry = Entry {
            name: who.name,
            peer: who.peer,
            since_ms,
            seen_ms: now_ms,
            connection: Some((who.connection, who.notify)),
            lost_at: None,
        };
        self.sessions.insert(who.session, entry);
        Opened {
            resumed,
            supersedes: !who.resume,
            superseded,
        }
    }

    /// A connection is gone. True when it was the session's present one: the grace begins.
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
        self.away.insert((lost_at, session.to_owned()));
        true
    }

    /// Forgets the sessions whose grace is over, and names them.
    pub fn take_lost(&mut self, now: Instant) -> Vec<String> {
        let mut names = Vec::new();
        while let Some((at, _)) = self.away.first()
            && *at <= now
            && let Some((_, name)) = self.away.pop_first()
        {
            self.sessions.remove(&name);
            names.push(name);
        }
        names
    }

    /// When the next grace is over.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.away.first().map(|(at, _)| *at)
    }

    /// How a session is reached, if it is connected.
    pub fn reach(&self, session: &str) -> Option<&N> {
        self.sessions
            .get(session)?
            .connection
            .as_ref()
            .map(|(_, notify)| notify)
    }

    /// How many there are, and how many of them are connected.
    pub fn count(&self) -> (usize, usize) {
        let connected = |entry: &&Entry<N>| entry.connection.is_some();
        let connected = self.sessions.values().filter(connected).count();
        (self.sessions.len(), connected)
    }

    /// All of them, for `agents`; their leases are for the caller to fill in.
    pub fn agents(&self) -> Vec<AgentInfo> {
        let info = |(id, entry): (&String, &Entry<N>)| AgentInfo {
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

    /// Moments so many milliseconds after now.
    fn times() -> impl Fn(u64) -> Instant {
        let start = Instant::now();
        move |ms| start + Duration::from_millis(ms)
    }

    fn who(connection: u64, resume: bool) -> SessionHello<u64> {
        SessionHello {
            session: "s".into(),
            name: "n".into(),
            peer: "local".into(),
            connection,
            notify: connection,
            resume,
        }
    }

    #[test]
    fn a_session_that_comes_back_in_time_goes_on() {
        let (at, mut table) = (times(), SessionTable::new(GRACE));
        assert!(!table.open(who(1, true), 0).resumed);
        assert!(table.closed("s", 1, 1_000, at(1_000)));
        assert_eq!(table.next_deadline(), Some(at(11_000)));
        assert!(table.take_lost(at(10_999)).is_empty());
        assert!(table.open(who(2, true), 10_999).resumed);
        assert!(table.take_lost(at(99_000)).is_empty());
    }

    #[test]
    fn a_session_that_stays_away_is_lost_once() {
        let (at, mut table) = (times(), SessionTable::new(GRACE));
        table.open(who(1, true), 0);
        table.closed("s", 1, 0, at(0));
        assert_eq!(table.take_lost(at(10_000)), ["s"]);
        assert!(table.take_lost(at(10_000)).is_empty());
        assert!(!table.open(who(2, true), 10_001).resumed);
    }

    #[test]
    fn a_superseded_connection_does_not_end_the_session() {
        let (at, mut table) = (times(), SessionTable::new(GRACE));
        table.open(who(1, true), 0);
        assert_eq!(table.open(who(2, true), 5).superseded, Some(1));
        assert!(!table.closed("s", 1, 10, at(10)));
        assert_eq!(table.reach("s"), Some(&2));
    }

    #[test]
    fn a_new_incarnation_takes_nothing_over() {
        let mut table = SessionTable::new(GRACE);
        table.open(who(1, true), 0);
        let opened = table.open(who(2, false), 5);
        assert_eq!((opened.resumed, opened.supersedes), (false, true));
    }

    #[test]
    fn sessions_of_before_a_restart_have_their_grace() {
        let (at, mut table): (_, SessionTable<u64>) = (times(), SessionTable::new(GRACE));
        table.seed("old".into(), "w".into(), 100, at(100));
        assert_eq!(table.next_deadline(), Some(at(10_100)));
        assert_eq!(table.take_lost(at(10_100)), ["old"]);
    }
}
