//! The sessions of browsers, as the writer keeps them in memory.

use std::collections::BTreeMap;

/// The most sessions of one key; a further one ends the oldest. So a key that logs in again and again bounds its own sessions only.
const PER_KEY: usize = 20;

/// The session of a browser that is logged in, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSession {
    /// SHA-256 of the secret, in hex.
    pub hash: String,
    /// The name for records.
    pub who: String,
    /// The hash of the key whose rights it has, or of the hub's own.
    pub key_hash: String,
    /// Whether it decides as a person. Of the hub's own key: that of a client has the role for it, or not.
    pub is_person: bool,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds.
    pub expires_ms: i64,
}

/// All sessions by the hash of their secret.
#[derive(Debug, Default)]
pub(crate) struct WebSessions(BTreeMap<String, WebSession>);

impl WebSessions {
    pub fn new(all: Vec<WebSession>) -> WebSessions {
        let by_hash = all.into_iter().map(|it| (it.hash.clone(), it));
        WebSessions(by_hash.collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = &WebSession> {
        self.0.values()
    }

    /// The hashes of the sessions that end when this one begins: those that have expired, and the oldest of its key above the limit.
    pub fn ended_by(&self, new: &WebSession) -> Vec<String> {
        let (mut ended, mut same) = (Vec::new(), Vec::new());
        for known in self.0.values() {
            if known.expires_ms <= new.created_ms {
                ended.push(known.hash.clone());
            } else if known.key_hash == new.key_hash {
                same.push((known.created_ms, &known.hash));
            }
        }
        same.sort_unstable();
        let above = (same.len() + 1).saturating_sub(PER_KEY);
        ended.extend(same.into_iter().take(above).map(|(_, hash)| hash.clone()));
        ended
    }

    pub fn insert(&mut self, new: WebSession) {
        self.0.insert(new.hash.clone(), new);
    }

    /// Returns whether there was one.
    pub fn remove(&mut self, hash: &str) -> bool {
        self.0.remove(hash).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(hash: &str, key: &str, created_ms: i64) -> WebSession {
        WebSession {
            hash: hash.to_owned(),
            who: "ada".to_owned(),
            key_hash: key.to_owned(),
            is_person: false,
            created_ms,
            expires_ms: created_ms + 100,
        }
    }

    #[test]
    fn a_new_session_ends_those_that_have_expired_and_the_oldest_of_its_key() {
        let mut all = WebSessions::default();
        all.insert(session("expired", "other", 0));
        all.insert(session("live", "other", 1));
        let numbered = (0..PER_KEY as i64).rev();
        for number in numbered {
            all.insert(session(&format!("s{number:02}"), "k", 50 + number));
        }
        assert_eq!(all.ended_by(&session("new", "k", 100)), ["expired", "s00"]);
        assert_eq!(all.ended_by(&session("new", "third", 100)), ["expired"]);
        assert!(all.remove("s00") && !all.remove("s00"));
        assert_eq!(all.ended_by(&session("new", "k", 100)), ["expired"]);
        assert_eq!(all.ended_by(&session("new", "k", 99)), [""; 0]);
    }
}
