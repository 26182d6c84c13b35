//! The party for which a connection speaks, and its rights.

use crate::credentials::LiveKey;
use crate::key_limits;
use crate::run_access;
use crate::runs::LiveRuns;
use crate::web::LiveSession;
use kirosu_protocol::settings::Keyless;
use kirosu_protocol::{AccessRole, Error, ErrorCode, Method, Request, Right, TaskRun};
use kirosu_store::{Principal, run_is_over};
use std::sync::Arc;

/// The owner of the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerOwner {
    /// This process.
    Internal,
    /// A process of the hub's user on this machine.
    Own,
    /// A process of that user which belongs to a run: it has the run's token.
    Run,
    /// A process of another user of this machine.
    Other,
    /// A process of this machine that had closed its connection before its user could be found out.
    Gone,
    /// A process elsewhere, or one that is not known.
    Unknown,
}

/// The party for which a connection or a single request speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The name for records: of its key, or [`ADMIN`], [`KEYLESS`] or [`INTERNAL`].
    pub who: Arc<str>,
    /// Its rights.
    pub access: Access,
    /// Its key, unless it is the hub's own or it has none.
    pub key: Option<Arc<LiveKey>>,
    /// The run whose token it is.
    pub run: Option<LiveRun>,
    /// The session of the browser that sends its requests.
    pub session: Option<Arc<LiveSession>>,
}

/// A run, and the live ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveRun {
    /// The run.
    pub run: TaskRun,
    live: LiveRuns,
}

/// The rights of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A part of this process: every right.
    Internal,
    /// Every right, for clients of the hub's own user if the settings say so.
    Everything,
    /// The hub's key: every right, that of a person only at a terminal of the hub's user.
    Admin,
    /// A client that sends no key: the methods of the Python version, in their meaning there.
    Keyless,
    /// A credential's role.
    Role(AccessRole),
    /// A run: its own task and those below it.
    Run,
}

/// The party with the hub's own key.
pub const ADMIN: &str = "admin";
/// A client without a key.
pub const KEYLESS: &str = "keyless";
/// A part of this process.
pub const INTERNAL: &str = "kirosu";
/// All runs together.
const RUNS: &str = "runs";
/// A client with a wrong key.
pub const UNKNOWN: &str = "unknown";

/// The methods of the Python version.
const WITHOUT_KEY: [Method; 8] = [
    Method::Enqueue,
    Method::Lease,
    Method::Ack,
    Method::List,
    Method::Stats,
    Method::RetryFailed,
    Method::Approve,
    Method::Shutdown,
];

impl ClientIdentity {
    /// An identity by its name.
    pub fn new(who: impl Into<Arc<str>>, access: Access) -> ClientIdentity {
        let who = who.into();
        let (key, run, session) = (None, None, None);
        ClientIdentity {
            who,
            access,
            key,
            run,
            session,
        }
    }

    /// The identity of a run.
    pub fn of_run(run: TaskRun, live: LiveRuns) -> ClientIdentity {
        ClientIdentity {
            run: Some(LiveRun { run, live }),
            ..ClientIdentity::new(format!("run of task {}", run.task_id), Access::Run)
        }
    }

    /// The identity of a client with a key.
    pub fn of_key(key: Arc<LiveKey>) -> ClientIdentity {
        ClientIdentity {
            who: key.name.clone(),
            access: Access::Role(key.role),
            key: Some(key),
            run: None,
            session: None,
        }
    }

    /// The identity of a browser with a session of the hub's own key.
    pub fn of_session(session: Arc<LiveSession>) -> ClientIdentity {
        let access = match session.is_person {
            true => Access::Everything,
            false => Access::Role(AccessRole::Admin),
        };
        ClientIdentity {
            session: Some(session.clone()),
            ..ClientIdentity::new(session.who.clone(), access)
        }
    }

    /// The party with which it shares what each party may use: its own name, or that of all runs.
    pub fn party(&self) -> Arc<str> {
        match self.run {
            Some(_) => RUNS.into(),
            None => self.who.clone(),
        }
    }

    /// The name of its key, if that is one of an agent host.
    pub fn work_key(&self) -> Option<Arc<str>> {
        let is_work = self.access == Access::Role(AccessRole::Work);
        is_work.then(|| self.who.clone())
    }

    /// Whether it has rights at a time in Unix milliseconds: its key is neither revoked nor expired, its run is not over.
    pub fn is_valid(&self, now_ms: i64) -> bool {
        self.key.as_ref().is_none_or(|key| key.is_valid(now_ms))
            && self.session.as_ref().is_none_or(|it| it.is_valid(now_ms))
            && self.run.as_ref().is_none_or(|it| it.live.has(it.run))
    }

    /// When it ends by itself, in Unix milliseconds.
    pub fn expires_ms(&self) -> Option<i64> {
        let of_key = self.key.as_ref().and_then(|key| key.expires_ms);
        let of_session = self.session.as_ref().map(|session| session.expires_ms);
        of_key.into_iter().chain(of_session).min()
    }

    /// The refusal of a request when the identity is not valid any more.
    pub fn ended(&self) -> Error {
        match &self.run {
            Some(it) => run_is_over(it.run.task_id),
            None => Error::unauthorized(),
        }
    }

    /// The party for the audit trail, with the address of its connection.
    pub fn principal(&self, peer: &str) -> Principal {
        Principal {
            who: self.who.to_string(),
            role: match (&self.run, &self.key) {
                (Some(_), _) => Some("run".to_owned()),
                (None, Some(key)) => Some(key.role.to_string()),
                (None, None) => self.session.as_ref().map(|_| ADMIN.to_owned()),
            },
            peer: peer.to_owned(),
        }
    }

    /// Allows a request, with the identity's own name in the place of the one that it claims.
    ///
    /// # Errors
    /// `forbidden`: the identity lacks a right, or the request is beyond the limits of its key.
    pub fn allow(&self, mut request: Request) -> Result<Request, Error> {
        self.check(&request)?;
        if let Some(key) = &self.key {
            key_limits::apply(key, &mut request)?;
        } else if self.session.is_some() {
            key_limits::set_name(&self.who, &mut request);
        }
        Ok(request)
    }

    /// The identity of a client that sends no key.
    pub fn keyless(owner: PeerOwner, keyless: Keyless) -> Option<ClientIdentity> {
        let access = match (owner, keyless) {
            (PeerOwner::Internal, _) => {
                return Some(ClientIdentity::new(INTERNAL, Access::Internal));
            }
            (PeerOwner::Own, Keyless::All) => Access::Everything,
            (PeerOwner::Own, Keyless::Owner | Keyless::AnyLocalUser)
            | (PeerOwner::Other | PeerOwner::Gone, Keyless::AnyLocalUser) => Access::Keyless,
            _ => return None,
        };
        Some(ClientIdentity::new(KEYLESS, access))
    }

    /// Refuses a request for which the identity lacks a right.
    ///
    /// # Errors
    /// `forbidden`, with the missing right as `data.right`.
    fn check(&self, request: &Request) -> Result<(), Error> {
        let method = request.method();
        let role = match self.access {
            // Whether `Admin` decides as a person is found out when the request starts.
            Access::Internal | Access::Everything | Access::Admin => return Ok(()),
            Access::Keyless if WITHOUT_KEY.contains(&method) && !is_report(request) => {
                return Ok(());
            }
            Access::Keyless if is_introduction(request) => return Ok(()),
            Access::Keyless => None,
            Access::Role(role) => Some(role),
            // `run_access::bind` decides when the request starts.
            Access::Run => return Ok(()),
        };
        let missing = request
            .rights()
            .find(|right| !role.is_some_and(|role| role.has(*right)));
        match missing {
            None => Ok(()),
            Some(Right::Person) if self.key.is_none() && self.session.is_some() => {
                Err(Self::needs_person(method))
            }
            Some(right) => Err(forbidden(method, right, role)),
        }
    }

    /// Whether it may use a method with some parameters.
    pub fn may_use(&self, method: Method) -> bool {
        match self.access {
            Access::Internal | Access::Everything | Access::Admin => true,
            Access::Keyless => WITHOUT_KEY.contains(&method),
            Access::Role(role) => role.has(method.right()),
            Access::Run => run_access::serves(method),
        }
    }

    /// Whether a request needs to know whether a person has sent it.
    pub fn must_be_person(&self, request: &Request) -> bool {
        let gives_right_on = matches!(request, Request::WebTicket(_));
        self.access == Access::Admin
            && (gives_right_on || request.rights().any(|right| right == Right::Person))
    }

    /// The name of its role for clients.
    pub fn role(&self) -> &'static str {
        match self.access {
            Access::Internal | Access::Everything | Access::Admin => ADMIN,
            Access::Keyless => KEYLESS,
            Access::Role(role) => role.as_str(),
            Access::Run => "run",
        }
    }

    /// Its rights, but for what some methods allow it besides. Of the hub's own key without that of a person, which depends on the
    /// client's process.
    pub fn rights(&self) -> Vec<String> {
        let has = |right: &Right| match self.access {
            Access::Internal | Access::Everything => true,
            Access::Admin => *right != Right::Person,
            Access::Keyless | Access::Run => *right == Right::Connect,
            Access::Role(role) => role.has(*right),
        };
        let rights = Right::ALL.into_iter().filter(has);
        rights.map(|right| right.to_string()).collect()
    }
}

impl ClientIdentity {
    /// The refusal of a decision that a client without a key, or a program with the hub's key, may not make.
    pub fn needs_person(method: Method) -> Error {
        let message = format!(
            "`{}` decides in a person's name: send it from a terminal of the hub's user on the hub's machine (`kirosu web` there opens a page \
             that may), or with a key of the role `person` (`kirosu key add NAME --role person`)",
            method.name()
        );
        Error::new(ErrorCode::Forbidden, message)
            .with_data(serde_json::json!({ "right": Right::Person.as_str() }))
    }

    /// The refusal of a client without a valid key.
    pub fn unknown(owner: PeerOwner) -> Error {
        if owner != PeerOwner::Run {
            return Error::unauthorized();
        }
        let message = "this program belongs to a run of Kirosu, which has access by its token only: send the variable KIROSU_TOKEN as `auth_token`, \
                       or a key that was made for the program (`kirosu key add`)";
        Error::new(ErrorCode::Unauthorized, message)
    }
}

/// Whether a client introduces itself, without a session, or asks whether the hub answers.
fn is_introduction(request: &Request) -> bool {
    match request {
        Request::Hello(params) => params.session_id.is_none(),
        Request::Ping(_) => true,
        _ => false,
    }
}

/// Whether a worker reports facts that only an agent host may report.
fn is_report(request: &Request) -> bool {
    match request {
        Request::Ack(params) => params
            .acks
            .iter()
            .any(|ack| ack.accepted || ack.usage.is_some()),
        _ => false,
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
            let error = ClientIdentity::new("x", access)
                .check(&request)
                .unwrap_err();
            assert_eq!(error.code, ErrorCode::Forbidden);
            error.data.unwrap()["right"].as_str().unwrap().to_owned()
        };
        let observe = Access::Role(AccessRole::Observe);
        let list = Request::Pools(PoolsParams::default());
        assert_eq!(ClientIdentity::new("x", observe).check(&list), Ok(()));
        let probe = PoolsParams {
            probe: Some("codex".into()),
            ..PoolsParams::default()
        };
        assert_eq!(refused(observe, Request::Pools(probe)), "admin");
        assert_eq!(refused(Access::Keyless, list), "observe");
        let stats = Request::Stats(StatsParams {});
        assert_eq!(
            ClientIdentity::new("x", Access::Keyless).check(&stats),
            Ok(())
        );
    }

    #[test]
    fn without_a_key_the_owner_of_the_process_and_the_settings_decide() {
        use PeerOwner::{Gone, Internal, Other, Own, Unknown};
        let access = |owner, keyless| ClientIdentity::keyless(owner, keyless).map(|it| it.access);
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
        assert_eq!(access(Gone, Keyless::AnyLocalUser), Some(Access::Keyless));
        assert_eq!(access(Gone, Keyless::Owner), None);
    }
}
