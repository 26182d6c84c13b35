//! The party for which a connection speaks, and its rights.

use kirosu_protocol::settings::Keyless;
use kirosu_protocol::{AccessRole, Error, ErrorCode, Method, Request, Right};
use std::sync::Arc;

/// The owner of the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerOwner {
    /// This process.
    Internal,
    /// A process of the hub's user on this machine.
    Own,
    /// A process of another user of this machine.
    Other,
    /// A process elsewhere, or one that is not known.
    Unknown,
}

/// The party for which a connection or a single request speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name for records: of the credential, or `keyless`.
    pub who: Arc<str>,
    /// Its rights.
    pub access: Access,
}

/// The rights of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A part of this process: every right.
    Internal,
    /// Every right, for the hub's key, and for clients of its own user that send none if the settings say so.
    Everything,
    /// A client that sends no key: the methods of the Python version, in their meaning there.
    Keyless,
    /// A credential's role.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the hub has no credentials yet")
    )]
    Role(AccessRole),
}

/// The methods of the Python version.
const KEYLESS: [Method; 8] = [
    Method::Enqueue,
    Method::Lease,
    Method::Ack,
    Method::List,
    Method::Stats,
    Method::RetryFailed,
    Method::Approve,
    Method::Shutdown,
];

impl Identity {
    /// An identity by its name.
    pub fn new(who: impl Into<Arc<str>>, access: Access) -> Identity {
        let who = who.into();
        Identity { who, access }
    }

    /// The identity of a client that sends no key.
    pub fn keyless(owner: PeerOwner, keyless: Keyless) -> Option<Identity> {
        let access = match (owner, keyless) {
            (PeerOwner::Internal, _) => return Some(Identity::new("kirosu", Access::Internal)),
            (PeerOwner::Own, Keyless::All) => Access::Everything,
            (PeerOwner::Own, Keyless::Owner | Keyless::AnyLocalUser)
            | (PeerOwner::Other, Keyless::AnyLocalUser) => Access::Keyless,
            _ => return None,
        };
        Some(Identity::new("keyless", access))
    }

    /// Refuses a request for which the identity lacks a right.
    ///
    /// # Errors
    /// `forbidden`, with the missing right as `data.right`.
    pub fn check(&self, request: &Request) -> Result<(), Error> {
        let method = request.method();
        let role = match self.access {
            Access::Internal | Access::Everything => return Ok(()),
            Access::Keyless if KEYLESS.contains(&method) => return Ok(()),
            Access::Keyless => None,
            Access::Role(role) => Some(role),
        };
        let missing = request
            .rights()
            .find(|right| !role.is_some_and(|role| role.has(*right)));
        match missing {
            None => Ok(()),
            Some(right) => Err(forbidden(method, right, role)),
        }
    }

    /// Whether it may decide tasks that await approval and permission requests, not only answer `human` tasks.
    pub fn may_approve(&self) -> bool {
        self.access != Access::Keyless
    }
}

impl Identity {
    /// The refusal of a decision that a client without a key may not make.
    pub fn needs_person() -> Error {
        forbidden(Method::Approve, Right::Person, None)
    }
}

fn forbidden(method: Method, right: Right, role: Option<AccessRole>) -> Error {
    let (method, right) = (method.name(), right.as_str());
    let message = match role {
        Some(role) => format!(
            "`{method}` needs the right `{right}`, which a key of the role `{role}` does not have"
        ),
        None => format!(
            "`{method}` needs a key with the right `{right}`: without a key only the methods of the Python version are served; \
             send the key as `auth_token`"
        ),
    };
    Error::new(ErrorCode::Forbidden, message).with_data(serde_json::json!({ "right": right }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_protocol::{PoolsParams, StatsParams};

    #[test]
    fn a_request_needs_the_right_of_its_method_and_of_its_parameters() {
        let refused = |access, request: Request| {
            let error = Identity::new("x", access).check(&request).unwrap_err();
            assert_eq!(error.code, ErrorCode::Forbidden);
            error.data.unwrap()["right"].as_str().unwrap().to_owned()
        };
        let observe = Access::Role(AccessRole::Observe);
        let list = Request::Pools(PoolsParams::default());
        assert_eq!(Identity::new("x", observe).check(&list), Ok(()));
        let probe = PoolsParams {
            probe: Some("codex".into()),
            ..PoolsParams::default()
        };
        assert_eq!(refused(observe, Request::Pools(probe)), "admin");
        assert_eq!(refused(Access::Keyless, list), "observe");
        let stats = Request::Stats(StatsParams {});
        assert_eq!(Identity::new("x", Access::Keyless).check(&stats), Ok(()));
    }

    #[test]
    fn without_a_key_the_owner_of_the_process_and_the_settings_decide() {
        use PeerOwner::{Internal, Other, Own, Unknown};
        let access = |owner, keyless| Identity::keyless(owner, keyless).map(|it| it.access);
        for keyless in [
            Keyless::Off,
            Keyless::Owner,
            Keyless::AnyLocalUser,
            Keyless::All,
        ] {
            assert_eq!(access(Internal, keyless), Some(Access::Internal));
            assert_eq!(access(Unknown, keyless), None);
        }
        assert_eq!(access(Own, Keyless::Off), None);
        assert_eq!(access(Own, Keyless::Owner), Some(Access::Keyless));
        assert_eq!(access(Own, Keyless::AnyLocalUser), Some(Access::Keyless));
        assert_eq!(access(Own, Keyless::All), Some(Access::Everything));
        assert_eq!(access(Other, Keyless::AnyLocalUser), Some(Access::Keyless));
        assert_eq!(access(Other, Keyless::All), None);
    }
}
