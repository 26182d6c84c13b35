//! The credentials, as the writer keeps them in memory.

use kirosu_protocol::{Error, ErrorCode};
use std::collections::BTreeMap;

/// The most credentials, with the revoked ones whose rows in the audit trail are kept.
const LIMIT: usize = 1000;

/// A client's key, without its secret. The store does not interpret role and scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its unique name, which the audit trail and decisions record.
    pub name: String,
    /// The name of its role.
    pub role: String,
    /// SHA-256 of the secret, in hex; or the fingerprint of the client's certificate.
    pub hash: String,
    /// Its limits, as JSON.
    pub scope: String,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds. `None` means that it does not expire.
    pub expires_ms: Option<i64>,
    /// Unix milliseconds, exact to a minute. `None` means that it was never used.
    pub used_ms: Option<i64>,
    /// Unix milliseconds. `None` means that it is not revoked.
    pub revoked_ms: Option<i64>,
}

impl Credential {
    /// Whether it gives rights at a time in Unix milliseconds.
    pub fn is_valid(&self, now_ms: i64) -> bool {
        self.revoked_ms.is_none() && self.expires_ms.is_none_or(|at| now_ms < at)
    }

    /// Whether it ended before a time in Unix milliseconds.
    fn ended_before(&self, at_ms: i64) -> bool {
        let end = self.revoked_ms.into_iter().chain(self.expires_ms).min();
        end.is_some_and(|end| end < at_ms)
    }
}

/// All credentials by name.
#[derive(Debug, Default)]
pub(crate) struct Credentials(BTreeMap<String, Credential>);

impl Credentials {
    pub fn new(all: Vec<Credential>) -> Credentials {
        let by_name = all.into_iter().map(|it| (it.name.clone(), it));
        Credentials(by_name.collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Credential> {
        self.0.values()
    }

    /// Checks whether a credential may be added.
    ///
    /// # Errors
    /// Its name or its certificate is in use, also by one that is revoked: the audit trail must not confuse two. Or there are too
    /// many.
    pub fn check_new(&self, new: &Credential) -> Result<(), Error> {
        if self.0.contains_key(&new.name) {
            let message = format!(
                "there is a key `{}`, or was one whose records are kept; choose another name",
                new.name
            );
            return Err(Error::new(ErrorCode::WrongState, message));
        }
        if let Some(same) = self.0.values().find(|known| known.hash == new.hash) {
            let state = match same.revoked_ms {
                Some(_) => ", which is revoked",
                None => "",
            };
            let message = format!(
                "this certificate is that of the key `{}`{state}; make another one",
                same.name
            );
            return Err(Error::new(ErrorCode::WrongState, message));
        }
        if self.0.len() >= LIMIT {
            let message = format!(
                "there are {LIMIT} keys, which is the most; revoked ones count until their audit records are deleted"
            );
            return Err(Error::new(ErrorCode::TooLarge, message));
        }
        Ok(())
    }

    pub fn insert(&mut self, new: Credential) {
        self.0.insert(new.name.clone(), new);
    }

    /// The credential of a name.
    ///
    /// # Errors
    /// There is none.
    pub fn get_mut(&mut self, name: &str) -> Result<&mut Credential, Error> {
        self.0.get_mut(name).ok_or_else(|| {
            let message = format!("there is no key `{name}`; `kirosu key list` lists the keys");
            Error::new(ErrorCode::NotFound, message)
        })
    }

    /// The names of the credentials that ended before a time in Unix milliseconds.
    pub fn ended_before(&self, at_ms: i64) -> Vec<String> {
        let ended = self.iter().filter(|it| it.ended_before(at_ms));
        ended.map(|it| it.name.clone()).collect()
    }

    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(name: &str, expires_ms: Option<i64>, revoked_ms: Option<i64>) -> Credential {
        Credential {
            name: name.to_owned(),
            role: "observe".to_owned(),
            hash: format!("hash of {name}"),
            scope: "{}".to_owned(),
            created_ms: 0,
            expires_ms,
            used_ms: None,
            revoked_ms,
        }
    }

    #[test]
    fn a_credential_is_valid_until_it_expires_or_is_revoked() {
        assert!(credential("a", None, None).is_valid(i64::MAX));
        assert!(credential("a", Some(5), None).is_valid(4));
        assert!(!credential("a", Some(5), None).is_valid(5));
        assert!(!credential("a", None, Some(9)).is_valid(4));
    }

    #[test]
    fn ended_ones_are_found_by_their_earlier_end() {
        let all = Credentials::new(vec![
            credential("both", Some(9), Some(3)),
            credential("expired", Some(3), None),
            credential("live", Some(9), None),
            credential("lasting", None, None),
        ]);
        assert_eq!(all.ended_before(3), [""; 0]);
        assert_eq!(all.ended_before(4), ["both", "expired"]);
    }

    #[test]
    fn a_name_is_used_once_and_the_number_is_bounded() {
        let numbered = (0..LIMIT - 1).map(|number| credential(&number.to_string(), None, Some(1)));
        let mut all = Credentials::new(numbered.collect());
        let taken = all.check_new(&credential("7", None, None)).unwrap_err();
        assert_eq!(taken.code, ErrorCode::WrongState);
        let last = credential("last", None, None);
        all.check_new(&last).unwrap();
        all.insert(last);
        let full = all.check_new(&credential("more", None, None)).unwrap_err();
        assert_eq!(full.code, ErrorCode::TooLarge);
    }
}
