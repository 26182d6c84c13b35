//! HttpAdmission of requests: pure rules over a request's headers.
//!
//! With a key, every request that sends the key is admitted. Without a key, the gateway listens on loopback only, and serves
//! processes of its own user. The remaining attacker is a web page in a browser on this machine: a page whose own host name resolves to 127.0.0.1 (DNS
//! rebinding; its requests have another host), or a page that sends requests across sites (its requests have another
//! origin).

use crate::rest::HttpError;
use kirosu_protocol::access::{SECRET_PREFIX, is_same_secret};
use std::net::IpAddr;

/// Paths without confidential content, for probes and tools without a key.
const OPEN: [&str; 3] = ["/healthz", "/readyz", "/openapi.json"];

/// The headers on which the admission depends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RequestHeads<'a> {
    pub(super) path: &'a str,
    /// `x-kiro-key`
    pub(super) key: Option<&'a str>,
    pub(super) authorization: Option<&'a str>,
    pub(super) host: Option<&'a str>,
    pub(super) origin: Option<&'a str>,
    /// Whether the client belongs to another user, or that is not known.
    pub(super) is_foreign: bool,
}

/// The party for which an admitted request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HttpAdmission<'a> {
    /// That of the gateway's own connection to the hub.
    Own,
    /// That of this key, which the hub must check.
    Key(&'a str),
}

/// Admits a request.
///
/// # Errors
/// 403, with the reason, if the key is wrong or the request is not local.
pub(super) fn admit<'a>(
    heads: &RequestHeads<'a>,
    key: Option<&str>,
) -> Result<HttpAdmission<'a>, HttpError> {
    match (heads.given_key(), key) {
        _ if (key.is_some() || heads.is_foreign) && OPEN.contains(&heads.path) => {
            Ok(HttpAdmission::Own)
        }
        (Some(given), Some(key)) if is_same_secret(given, key) => Ok(HttpAdmission::Own),
        (Some(given), _) if given.starts_with(SECRET_PREFIX) => Ok(HttpAdmission::Key(given)),
        (_, Some(_)) => Err(wrong_key()),
        (_, None) => is_local(heads).map(|()| HttpAdmission::Own),
    }
}

/// The refusal of a wrong key.
pub(super) fn wrong_key() -> HttpError {
    HttpError::forbidden("Invalid KIRO_SWARM_KEY: send the hub's key as header x-kiro-key")
}

impl<'a> RequestHeads<'a> {
    /// The key that the client sends.
    fn given_key(&self) -> Option<&'a str> {
        // The name of the scheme is case-insensitive (RFC 9110).
        let bearer = || {
            let (scheme, token) = self.authorization?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        };
        self.key.or_else(bearer)
    }
}

fn is_local(heads: &RequestHeads<'_>) -> Result<(), HttpError> {
    if heads.is_foreign {
        return Err(HttpError::forbidden(
            "refusing a request of another user of this machine: send the hub's key as header x-kiro-key",
        ));
    }
    match foreign(heads.host, heads.origin) {
        None => Ok(()),
        Some(ForeignRequest::Host(host)) => Err(HttpError::forbidden(format!(
            "refusing a request for host {host}: without a key only requests for localhost are accepted; set KIRO_SWARM_KEY to use another name"
        ))),
        Some(ForeignRequest::Page(origin)) => Err(HttpError::forbidden(format!(
            "refusing a request of the web page {origin}: without a key no other site may use this one; set KIRO_SWARM_KEY"
        ))),
    }
}

/// The reason why a request does not come from a program of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForeignRequest<'a> {
    /// It is for this host, which is not loopback.
    Host(&'a str),
    /// It is of a web page of this origin.
    Page(&'a str),
}

/// Whether a request with these headers `Host` and `Origin` may be one of a web page. `None` means that it is not.
pub(crate) fn foreign<'a>(
    host: Option<&'a str>,
    origin: Option<&'a str>,
) -> Option<ForeignRequest<'a>> {
    if let Some(host) = host.filter(|host| !is_loopback(host)) {
        return Some(ForeignRequest::Host(host));
    }
    let own = host.map(|host| [format!("http://{host}"), format!("https://{host}")]);
    let is_own = |origin: &str| own.iter().flatten().any(|own| own == origin);
    let is_other = |origin: &&str| !is_own(origin);
    origin.filter(is_other).map(ForeignRequest::Page)
}

/// Whether a `Host` header names the loopback interface.
fn is_loopback(host: &str) -> bool {
    let (bare, port) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').unwrap_or((rest, "")),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return false;
    }
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    match bare.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(heads: RequestHeads<'_>, key: Option<&str>) -> Option<String> {
        admit(&heads, key)
            .err()
            .map(|refusal| refusal.error.message)
    }

    #[test]
    fn requests_except_probes_need_the_key() {
        let heads = |path, key, authorization| RequestHeads {
            path,
            key,
            authorization,
            host: Some("any.example"),
            origin: Some("http://other.example"),
            is_foreign: true,
        };
        let key = Some("k1");
        for good in [
            heads("/tasks", Some("k1"), None),
            heads("/mcp", None, Some("Bearer k1")),
            heads("/mcp", None, Some("bearer  k1")),
            heads("/healthz", None, None),
            heads("/readyz", Some("wrong"), None),
        ] {
            assert_eq!(refused(good, key), None, "{good:?}");
        }
        for bad in [
            heads("/tasks", None, None),
            heads("/tasks", Some(""), None),
            heads("/tasks", Some("k11"), None),
            heads("/tasks", Some("k2"), Some("Bearer k1")),
            heads("/stats", None, Some("k1")),
            heads("/stats", None, Some("Basic k1")),
            heads("/healthz/x", None, None),
        ] {
            let why = refused(bad, key).unwrap_or_default();
            assert!(why.contains("Invalid KIRO_SWARM_KEY"), "{bad:?}");
        }
    }

    #[test]
    fn without_a_key_another_user_gets_the_probes_only() {
        let heads = |path, key| RequestHeads {
            path,
            key,
            is_foreign: true,
            ..RequestHeads::default()
        };
        assert_eq!(refused(heads("/healthz", None), None), None);
        let why = refused(heads("/tasks", None), None).unwrap();
        assert!(why.contains("another user"), "{why}");
        assert_eq!(refused(heads("/tasks", Some("krs_1")), None), None);
    }

    #[test]
    fn a_key_of_a_client_is_left_to_the_hub() {
        let heads = |key| RequestHeads {
            path: "/tasks",
            key: Some(key),
            host: Some("any.example"),
            ..RequestHeads::default()
        };
        for own in [Some("k1"), None] {
            let admitted = admit(&heads("krs_1"), own).unwrap();
            assert_eq!(admitted, HttpAdmission::Key("krs_1"));
        }
        assert_eq!(
            admit(&heads("krs_1"), Some("krs_1")).unwrap(),
            HttpAdmission::Own
        );
        assert!(admit(&heads("other"), Some("k1")).is_err());
    }

    #[test]
    fn without_a_key_only_local_requests_are_admitted() {
        let heads = |host, origin| RequestHeads {
            path: "/tasks",
            host,
            origin,
            ..RequestHeads::default()
        };
        for good in [
            heads(None, None),
            heads(Some("localhost"), None),
            heads(Some("LOCALHOST.:8000"), None),
            heads(Some("127.8.0.1:1"), None),
            heads(Some("[::1]:8000"), None),
            heads(Some("localhost:8000"), Some("http://localhost:8000")),
            heads(Some("localhost:8000"), Some("https://localhost:8000")),
        ] {
            assert_eq!(refused(good, None), None, "{good:?}");
        }
        for bad in [
            heads(Some("evil.example:8000"), None),
            heads(Some("localhost.evil.example"), None),
            heads(Some("192.168.1.7:8000"), None),
            heads(Some("[::1].evil.example"), None),
            heads(Some("localhost:80@evil"), None),
            heads(Some(""), None),
            heads(Some("\u{fffd}"), None),
            heads(Some("localhost:8000"), Some("http://localhost:3000")),
            heads(Some("localhost:8000"), Some("http://evil.example")),
            heads(Some("localhost:8000"), Some("null")),
            heads(None, Some("http://localhost:8000")),
        ] {
            assert!(refused(bad, None).is_some(), "{bad:?}");
        }
    }
}
