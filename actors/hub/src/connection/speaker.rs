//! The rights of a connection's client: its key or certificate is checked before the parameters of a request are read.

use crate::hub::Hub;
use crate::identity::{ClientIdentity, PeerOwner};
use kirosu_protocol::accept::read_known;
use kirosu_protocol::access::is_same_secret;
use kirosu_protocol::{BadLine, Error, ErrorCode, Frame, Limits, Method, RawId, Request};
use kirosu_tls::Fingerprint;
use std::sync::Arc;

/// A line that is not a request, or whose key is wrong.
pub(super) enum Unread {
    Bad(BadLine),
    NoKey(BadLine),
    WrongKey(BadLine),
    /// A program of a run has sent the hub's own key.
    KeyOfHub(BadLine),
}

/// A line that is a request.
pub(super) struct ReadLine {
    pub id: RawId,
    pub jsonrpc: bool,
    /// Its method. `None` if there is none of its name.
    pub method: Option<Method>,
    /// The party for which it speaks.
    pub identity: Arc<ClientIdentity>,
    /// `None` means that `accept` clauses must be compiled first.
    pub request: Option<Result<Request, Error>>,
}

/// The facts about a connection's client that decide its rights.
pub(super) struct Speaker {
    pub hub: Hub,
    pub owner: PeerOwner,
    pub identity: Option<Arc<ClientIdentity>>,
    /// That of its TLS handshake.
    pub certificate: Option<Fingerprint>,
    /// Unix milliseconds.
    pub now_ms: i64,
}

impl Speaker {
    /// The refusal of a request with a wrong key, or without one.
    fn unauthorized(&self, has_key: bool) -> Error {
        let error = ClientIdentity::unknown(self.owner);
        match self.certificate.filter(|_| !has_key) {
            None => error,
            Some(certificate) => {
                let message = format!(
                    "the client certificate {certificate} is not a credential of this hub, or not any more: `kirosu key add NAME --role ROLE --certificate FILE` adds it"
                );
                Error { message, ..error }
            }
        }
    }

    /// Checks the key and the right, and reads the parameters of a request. The key comes first: a client without it learns
    /// nothing, and costs little.
    pub fn read(&self, frame: Frame<'_>, limits: &Limits) -> Result<ReadLine, Unread> {
        let is_guess = frame.auth.as_deref().is_some_and(|token| !token.is_empty());
        let identity = match frame.auth.as_deref() {
            Some(token) => self
                .hub
                .identify(token, self.owner, self.now_ms)
                .map(Arc::new),
            None => self.identity.clone(),
        };
        let (id, jsonrpc) = (frame.id, frame.jsonrpc);
        let identity = match identity {
            Some(identity) if identity.is_valid(self.now_ms) => identity,
            // Its token is right, but its time is over.
            Some(identity) if identity.run.is_some() => {
                let error = identity.ended();
                return Err(Unread::Bad(BadLine { id, jsonrpc, error }));
            }
            _ => {
                let error = self.unauthorized(is_guess);
                let bad = BadLine { id, jsonrpc, error };
                return Err(match frame.auth.as_deref().filter(|_| is_guess) {
                    Some(token) if is_same_secret(token, &self.hub.options().key) => {
                        Unread::KeyOfHub(bad)
                    }
                    Some(_) => Unread::WrongKey(bad),
                    None => Unread::NoKey(bad),
                });
            }
        };
        let (read, is_known) = read_known(|| Request::read(&frame.method, &frame.params, limits));
        let allowed = read.and_then(|request| identity.allow(request));
        // Only what is allowed is compiled; of a request with faults, to find those of its clauses.
        let method = Method::from_name(&frame.method);
        let compiles = match &allowed {
            Ok(_) => true,
            Err(error) => {
                error.code == ErrorCode::InvalidParams
                    && method.is_some_and(|method| identity.may_use(method))
            }
        };
        let request = (is_known || !compiles).then_some(allowed);
        Ok(ReadLine {
            id,
            jsonrpc,
            method,
            identity,
            request,
        })
    }
}
