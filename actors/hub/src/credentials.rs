//! The keys of clients, in memory. The writer replaces them within the commit that changes them, before it is answered.

use kirosu_protocol::access::is_same_secret;
use kirosu_protocol::{AccessRole, AccessScope};
use kirosu_store::Credential;
use kirosu_tls::Fingerprint;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The last use of a key is stored at most this often.
const USE_INTERVAL_MS: i64 = 60_000;

/// A key. Connections hold it as long as they speak for it.
#[derive(Debug)]
pub struct LiveKey {
    /// Its name.
    pub name: Arc<str>,
    /// Its role.
    pub role: AccessRole,
    /// Its limits.
    pub scope: AccessScope,
    /// Unix milliseconds. `None` means that it does not expire.
    pub expires_ms: Option<i64>,
    /// The stored hash of its secret, or of its certificate.
    pub hash: String,
    revoked: AtomicBool,
    /// The last use that was stored or is about to be, in Unix milliseconds.
    used_ms: AtomicI64,
}

impl PartialEq for LiveKey {
    fn eq(&self, other: &LiveKey) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for LiveKey {}

impl LiveKey {
    /// Reads a stored credential. `None` if a later version has stored a role or limits that this one does not know: such a key
    /// has no rights here.
    fn read(stored: &Credential) -> Option<LiveKey> {
        let known = AccessRole::from_name(&stored.role);
        let scope = serde_json::from_str(&stored.scope).ok();
        let (Some(role), Some(scope)) = (known, scope) else {
            tracing::warn!(
                name = stored.name,
                "a key has a role or limits that this version does not know; it is refused"
            );
            return None;
        };
        Some(LiveKey {
            name: stored.name.as_str().into(),
            role,
            scope,
            expires_ms: stored.expires_ms,
            hash: stored.hash.clone(),
            revoked: AtomicBool::new(stored.revoked_ms.is_some()),
            used_ms: AtomicI64::new(stored.used_ms.unwrap_or(i64::MIN)),
        })
    }

    /// Whether it gives rights at a time in Unix milliseconds.
    pub fn is_valid(&self, now_ms: i64) -> bool {
        !self.revoked.load(Ordering::Relaxed) && self.expires_ms.is_none_or(|at| now_ms < at)
    }

    /// Ends its validity. Returns whether it was not revoked before.
    fn revoke(&self) -> bool {
        !self.revoked.swap(true, Ordering::Relaxed)
    }

    /// Records a use. Returns whether it must be stored: the last stored one is a minute ago.
    pub fn note_use(&self, now_ms: i64) -> bool {
        let before = self.used_ms.load(Ordering::Relaxed);
        let is_due = now_ms.saturating_sub(before) >= USE_INTERVAL_MS;
        if is_due {
            self.used_ms.store(now_ms, Ordering::Relaxed);
        }
        is_due
    }
}

/// The keys, shared by the writer and the connections. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Keys(Arc<Mutex<Vec<Arc<LiveKey>>>>);

impl Keys {
    /// Takes over the stored keys. Connections keep the keys that are still there. Returns those that are revoked since the
    /// last call.
    pub fn replace<'a>(&self, stored: impl Iterator<Item = &'a Credential>) -> Vec<Arc<LiveKey>> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *keys);
        let mut revoked = Vec::new();
        for stored in stored {
            let known = before.iter().position(|key| key.hash == stored.hash);
            let Some(at) = known else {
                keys.extend(LiveKey::read(stored).map(Arc::new));
                continue;
            };
            let key = before.swap_remove(at);
            if stored.revoked_ms.is_some() && key.revoke() {
                revoked.push(key.clone());
            }
            keys.push(key);
        }
        // Those that were deleted.
        revoked.extend(before.into_iter().filter(|key| key.revoke()));
        revoked
    }

    /// The key with this secret, valid or not.
    pub fn find(&self, secret: &str) -> Option<Arc<LiveKey>> {
        self.with_hash(&hash(secret))
    }

    /// The key that is this certificate, valid or not.
    pub fn of_certificate(&self, certificate: Fingerprint) -> Option<Arc<LiveKey>> {
        self.with_hash(&certificate_hash(certificate))
    }

    /// The key with this stored hash, valid or not.
    pub fn with_hash(&self, hash: &str) -> Option<Arc<LiveKey>> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // All hashes are compared, each in constant time: the time reveals nothing about a key.
        let mut found = None;
        for key in keys.iter() {
            if is_same_secret(&key.hash, hash) {
                found = Some(key);
            }
        }
        found.cloned()
    }
}

/// SHA-256 of a secret, in hex. A secret is 32 random bytes, which cannot be found by trying: a slow hash would not make it
/// safer, and each request may carry a key.
pub fn hash(secret: &str) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(secret.as_bytes()) {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The hash that is stored for a client's certificate: its fingerprint. Its prefix distinguishes it from the hash of a secret,
/// so that a certificate, which is public, cannot be sent as one.
pub fn certificate_hash(certificate: Fingerprint) -> String {
    certificate.to_string()
}

/// The fingerprint behind a stored hash. `None` if it is that of a secret.
pub fn certificate_of(hash: &str) -> Option<&str> {
    hash.contains(':').then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(name: &str, secret: &str) -> Credential {
        Credential {
            name: name.to_owned(),
            role: "enqueue".to_owned(),
            hash: hash(secret),
            scope: r#"{"queues":["q"]}"#.to_owned(),
            created_ms: 0,
            expires_ms: None,
            used_ms: None,
            revoked_ms: None,
        }
    }

    #[test]
    fn a_key_is_valid_until_it_expires_is_revoked_or_deleted() {
        let keys = Keys::default();
        let (mut ci, ada) = (stored("ci", "krs_ci"), stored("ada", "krs_ada"));
        ci.expires_ms = Some(100);
        assert!(keys.replace([&ci, &ada].into_iter()).is_empty());
        let found = keys.find("krs_ci").unwrap();
        assert_eq!((&*found.name, found.role), ("ci", AccessRole::Enqueue));
        assert_eq!(found.scope.queues, ["q"]);
        assert!(found.is_valid(99) && !found.is_valid(100));
        assert!(keys.find("krs_other").is_none());
        let held = keys.find("krs_ada").unwrap();
        let revoked = Credential {
            revoked_ms: Some(5),
            ..ada
        };
        for newly in [1, 0] {
            let ended = keys.replace([&ci, &revoked].into_iter());
            assert_eq!(ended.len(), newly);
        }
        assert!(!held.is_valid(0));
        assert!(Arc::ptr_eq(&held, &keys.find("krs_ada").unwrap()));
        assert_eq!(keys.replace([&revoked].into_iter()).len(), 1);
        assert!(!found.is_valid(99) && keys.find("krs_ci").is_none());
    }

    #[test]
    fn a_role_or_limit_of_a_later_version_gives_no_rights() {
        let keys = Keys::default();
        let mut later = stored("later", "krs_later");
        later.role = "auditor".to_owned();
        keys.replace([&later].into_iter());
        assert!(keys.find("krs_later").is_none());
    }

    #[test]
    fn a_use_is_stored_once_a_minute() {
        let keys = Keys::default();
        keys.replace([&stored("ci", "krs_ci")].into_iter());
        let key = keys.find("krs_ci").unwrap();
        let due = [0, 59_999, 60_000, 60_001].map(|now| key.note_use(now));
        assert_eq!(due, [true, false, true, false]);
    }
}
