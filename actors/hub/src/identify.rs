//! From a key, a certificate or the token of a run to the party for which a client speaks.

use crate::credentials::LiveKey;
use crate::hub::Hub;
use crate::identity::{ADMIN, Access, ClientIdentity, PeerOwner};
use crate::writer::messages::StoreRecords;
use kirosu_protocol::TaskRun;
use kirosu_protocol::access::{PASSED_ON, RUN_TOKEN_PREFIX, WEB_SESSION_PREFIX, is_same_secret};
use kirosu_protocol::settings::Keyless;
use kirosu_tls::Fingerprint;
use std::sync::Arc;

impl Hub {
    /// The party that sends a key, or the token of a run, at a time in Unix milliseconds.
    pub(crate) fn identify(
        &self,
        token: &str,
        owner: PeerOwner,
        now_ms: i64,
    ) -> Option<ClientIdentity> {
        let options = self.options();
        if token.is_empty() {
            // By an empty key the gateway says that its client, which is of the own user, has sent none.
            let owner = match owner {
                PeerOwner::Internal => PeerOwner::Own,
                owner => owner,
            };
            return ClientIdentity::keyless(owner, options.keyless);
        }
        let (token, is_passed_on) = match token.strip_prefix(PASSED_ON) {
            Some(token) => (token, true),
            None => (token, false),
        };
        if is_passed_on && Fingerprint::is_written(token) {
            // The client has shown to the gateway that it has the private key. Only the gateway in this process is believed that:
            // the certificate itself is public.
            let certificate = token.parse().ok();
            let certificate = certificate.filter(|_| owner == PeerOwner::Internal)?;
            return self.identify_certificate(certificate, now_ms);
        }
        if token.starts_with(WEB_SESSION_PREFIX) && is_passed_on {
            return self.identify_session(token, owner, now_ms);
        }
        if token.starts_with(RUN_TOKEN_PREFIX) {
            let run = self.run_tokens().run(token)?;
            return Some(ClientIdentity::of_run(run, self.live_runs().clone()));
        }
        if let Some(key) = self.keys().find(token) {
            return self.of_key(key, now_ms);
        }
        match (is_same_secret(token, &options.key), owner) {
            (_, PeerOwner::Run) => None,
            (true, PeerOwner::Own) if options.keyless == Keyless::All => {
                Some(ClientIdentity::new(ADMIN, Access::Everything))
            }
            (true, _) => Some(ClientIdentity::new(ADMIN, Access::Admin)),
            // The gateway passes keys of its clients on.
            (false, PeerOwner::Internal) => None,
            (false, _) if is_passed_on || !options.is_own_key => None,
            (false, _) => ClientIdentity::keyless(owner, options.keyless),
        }
    }

    /// The party whose credential is a certificate, at a time in Unix milliseconds.
    pub(crate) fn identify_certificate(
        &self,
        certificate: Fingerprint,
        now_ms: i64,
    ) -> Option<ClientIdentity> {
        self.of_key(self.keys().of_certificate(certificate)?, now_ms)
    }

    pub(crate) fn of_key(&self, key: Arc<LiveKey>, now_ms: i64) -> Option<ClientIdentity> {
        // One that has ended does not make its client one without a key.
        if !key.is_valid(now_ms) {
            return None;
        }
        if key.note_use(now_ms) && self.access_log().used(&key.name, now_ms) {
            self.writer().do_send(StoreRecords);
        }
        Some(ClientIdentity::of_key(key))
    }

    /// Whether agents are at work, so that clients may be programs of runs.
    pub(crate) fn has_live_runs(&self) -> bool {
        !self.live_runs().is_empty()
    }

    /// The token of a run.
    pub(crate) fn run_token(&self, run: TaskRun) -> String {
        self.run_tokens().token(run)
    }
}
