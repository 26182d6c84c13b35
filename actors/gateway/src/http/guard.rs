//! HttpAdmission of requests: pure rules over a request's headers.
//!
//! With a key, every request that sends the key is admitted. Without a key, the gateway listens on loopback only, and serves
//! processes of its own user that belong to no run. The remaining attacker is a web page in a browser on this machine: a page whose own host name resolves to 127.0.0.1 (DNS
//! rebinding; its requests have another host), or a page that sends requests across sites (its requests have another
//! origin).

use super::session_guard::{by_login, by_session, own_host};
use crate::options::HttpPeer;
use crate::page;
use crate::rest::HttpError;
use crate::state::GatewayKey;
use actix_web::http::Method;
use kirosu_protocol::access::{RUN_TOKEN_PREFIX, SECRET_PREFIX, is_same_secret};
use kirosu_tls::Fingerprint;
use std::net::IpAddr;

/// Paths without confidential content, for probes and tools without a key.
const OPEN: [&str; 7] = [
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/v1/openapi.json",
    "/v1/docs",
    "/v1/docs/docs.js",
    "/v1/docs/docs.css",
];

/// The headers on which the admission depends.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestHeads<'a> {
    pub(super) path: &'a str,
    pub(super) method: &'a Method,
    /// `x-kiro-key`
    pub(super) key: Option<&'a str>,
    pub(super) authorization: Option<&'a str>,
    /// The secret of a session in the cookie.
    pub(super) session: Option<&'a str>,
    /// `x-kirosu-csrf`
    pub(super) csrf: Option<&'a str>,
    pub(super) host: Option<&'a str>,
    pub(super) origin: Option<&'a str>,
    /// `sec-fetch-site`
    pub(super) fetch_site: Option<&'a str>,
    pub(super) peer: HttpPeer,
    /// The certificate of the client's TLS connection.
    pub(super) certificate: Option<Fingerprint>,
}

/// The party for which an admitted request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HttpAdmission<'a> {
    /// That of the gateway's own connection to the hub.
    Own,
    /// A client of the own user that sends no key.
    Keyless,
    /// That of this key, which the hub must check.
    Key(&'a str),
    /// That of this session of a browser, which the hub must check.
    Session(&'a str),
    /// That of this certificate, which the hub must check.
    Certificate(Fingerprint),
}

/// Admits a request.
///
/// # Errors
/// 403, with the reason, if the key is wrong or the request is not local.
pub(super) fn admit<'a>(
    heads: &RequestHeads<'a>,
    key: &GatewayKey,
) -> Result<HttpAdmission<'a>, HttpError> {
    let needs_none = !key.is_required && heads.peer == HttpPeer::Own;
    match (heads.given_key(), key.own.as_deref()) {
        _ if heads.path == page::SESSION_PATH => by_login(heads, needs_none),
        // A link of another site may lead to the page, which has no confidential content.
        _ if page::is_file(heads.path) => own_host(heads, needs_none),
        _ if OPEN.contains(&heads.path) && !needs_none => Ok(HttpAdmission::Own),
        (None, _) if OPEN.contains(&heads.path) => is_local(heads).map(|()| HttpAdmission::Own),
        (Some(given), Some(own)) if is_same_secret(given, own) => match heads.peer {
            HttpPeer::Run => Err(needs_token()),
            _ => Ok(HttpAdmission::Own),
        },
        (Some(given), _) if of_hub(given) => Ok(HttpAdmission::Key(given)),
        (None, _) if let Some(session) = heads.session => {
            own_host(heads, needs_none)?;
            // A browser shows its cookie to servers of other users at other ports of the host.
            if !key.is_required {
                is_local(heads)?;
            }
            by_session(heads).map(|()| HttpAdmission::Session(session))
        }
        (None, _) if heads.certificate.is_some() => by_certificate(heads),
        _ if key.is_required => Err(wrong_key()),
        _ => is_local(heads).map(|()| HttpAdmission::Keyless),
    }
}

fn by_certificate<'a>(heads: &RequestHeads<'a>) -> Result<HttpAdmission<'a>, HttpError> {
    // A browser sends a certificate with the requests of any page.
    refuse_foreign(foreign_page(heads.host, heads.origin, heads.fetch_site))?;
    Ok(heads
        .certificate
        .map_or(HttpAdmission::Keyless, HttpAdmission::Certificate))
}

/// The refusal of a program of a run that sends no token, or the hub's key.
pub(super) fn needs_token() -> HttpError {
    HttpError::forbidden(
        "refusing a program of a run: send the variable KIROSU_TOKEN as header Authorization: Bearer",
    )
}

/// Whether the hub may have made a key: that of a client, or the token of a run.
fn of_hub(key: &str) -> bool {
    [SECRET_PREFIX, RUN_TOKEN_PREFIX]
        .iter()
        .any(|prefix| key.starts_with(prefix))
}

/// The refusal of a certificate that is not a credential.
pub(super) fn unknown_certificate(certificate: Fingerprint) -> HttpError {
    HttpError::forbidden(format!(
        "the client certificate {certificate} is not a credential of this hub: `kirosu key add NAME --role ROLE --certificate FILE` adds it (for the gateway within the hub's process), or send a key as header x-kiro-key"
    ))
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
    if heads.peer == HttpPeer::Run {
        return Err(needs_token());
    }
    if heads.peer != HttpPeer::Own {
        return Err(HttpError::forbidden(
            "refusing a request of another user of this machine: send the hub's key as header x-kiro-key",
        ));
    }
    refuse_foreign(foreign(heads.host, heads.origin, heads.fetch_site))
}

pub(super) fn refuse_foreign(found: Option<ForeignRequest<'_>>) -> Result<(), HttpError> {
    match found {
        None => Ok(()),
        Some(ForeignRequest::Host(host)) => Err(HttpError::forbidden(format!(
            "refusing a request for host {host}: without a key only requests for localhost are accepted; set KIRO_SWARM_KEY to use another name"
        ))),
        Some(ForeignRequest::Page(origin)) => Err(HttpError::forbidden(format!(
            "refusing a request of the web page {origin}: without a key no other site may use this one; set KIRO_SWARM_KEY"
        ))),
        Some(ForeignRequest::Site) => Err(HttpError::forbidden(
            "refusing a request of the web page of another site: without a key no other site may use this one; set KIRO_SWARM_KEY",
        )),
    }
}

/// The reason why a request does not come from a program of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForeignRequest<'a> {
    /// It is for this host, which is not loopback.
    Host(&'a str),
    /// It is of a web page of this origin.
    Page(&'a str),
    /// It is of a page of another site, which is not named.
    Site,
}

/// Whether a request with these headers `Host`, `Origin` and `Sec-Fetch-Site` may be one of a web page. `None` means that it is not.
pub(crate) fn foreign<'a>(
    host: Option<&'a str>,
    origin: Option<&'a str>,
    fetch_site: Option<&'a str>,
) -> Option<ForeignRequest<'a>> {
    if let Some(host) = host.filter(|host| !is_loopback(host)) {
        return Some(ForeignRequest::Host(host));
    }
    foreign_page(host, origin, fetch_site)
}

/// Whether a request with these headers may be one of a web page of another site.
pub(super) fn foreign_page<'a>(
    host: Option<&str>,
    origin: Option<&'a str>,
    fetch_site: Option<&str>,
) -> Option<ForeignRequest<'a>> {
    let own = host.map(|host| [format!("http://{host}"), format!("https://{host}")]);
    let is_own = |origin: &str| own.iter().flatten().any(|own| own == origin);
    let is_other = |origin: &&str| !is_own(origin);
    let page = origin.filter(is_other).map(ForeignRequest::Page);
    // A browser sends no origin with a request for an image or a script (Fetch Metadata, W3C). `none`: typed by the user.
    let is_apart = |site: &&str| !matches!(*site, "same-origin" | "none");
    page.or_else(|| fetch_site.filter(is_apart).map(|_| ForeignRequest::Site))
}

/// Whether a `Host` header names the loopback interface.
pub(super) fn is_loopback(host: &str) -> bool {
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

    const HEADS: RequestHeads<'static> = RequestHeads {
        path: "/tasks",
        method: &Method::POST,
        session: None,
        csrf: None,
        key: None,
        authorization: None,
        host: None,
        origin: None,
        fetch_site: None,
        peer: HttpPeer::Own,
        certificate: None,
    };

    /// A key that clients must send, or that of a hub whose clients may send none.
    fn key(required: Option<&str>) -> GatewayKey {
        GatewayKey {
            own: Some(required.unwrap_or("own").into()),
            is_required: required.is_some(),
        }
    }

    fn refused(heads: RequestHeads<'_>, required: Option<&str>) -> Option<String> {
        admit(&heads, &key(required))
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
            fetch_site: Some("cross-site"),
            peer: HttpPeer::Other,
            ..HEADS
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
            peer: HttpPeer::Other,
            ..HEADS
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
            ..HEADS
        };
        for own in [Some("k1"), None] {
            for key in ["krs_1", "krt_1.2.3"] {
                let admitted = admit(&heads(key), &self::key(own)).unwrap();
                assert_eq!(admitted, HttpAdmission::Key(key));
            }
        }
        let own = key(Some("krs_1"));
        assert_eq!(admit(&heads("krs_1"), &own).unwrap(), HttpAdmission::Own);
        assert!(admit(&heads("other"), &key(Some("k1"))).is_err());
    }

    #[test]
    fn a_certificate_is_left_to_the_hub_but_not_from_a_page_of_another_site() {
        let certificate = Fingerprint::of(b"der");
        let heads = RequestHeads {
            host: Some("kirosu.example"),
            peer: HttpPeer::Other,
            certificate: Some(certificate),
            ..HEADS
        };
        for own in [Some("k1"), None] {
            let admitted = admit(&heads, &key(own)).unwrap();
            assert_eq!(admitted, HttpAdmission::Certificate(certificate));
            let of_page = |origin, fetch_site| RequestHeads {
                origin,
                fetch_site,
                ..heads
            };
            let same = of_page(Some("https://kirosu.example"), Some("same-origin"));
            assert_eq!(refused(same, own), None);
            for other in [
                of_page(Some("https://evil.example"), None),
                of_page(None, Some("cross-site")),
            ] {
                assert!(refused(other, own).is_some(), "{other:?}");
            }
        }
        // A key that is sent counts, and a wrong one is not replaced by the certificate.
        let with_key = RequestHeads {
            key: Some("krs_1"),
            ..heads
        };
        assert_eq!(
            admit(&with_key, &key(Some("k1"))).unwrap(),
            HttpAdmission::Key("krs_1")
        );
        let wrong = RequestHeads {
            key: Some("k2"),
            ..heads
        };
        assert!(refused(wrong, Some("k1")).is_some());
    }

    #[test]
    fn without_a_key_only_local_requests_are_admitted() {
        let heads = |host, origin| RequestHeads {
            path: "/tasks",
            host,
            origin,
            ..HEADS
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

    #[test]
    fn the_hubs_own_key_and_none_are_refused_to_a_program_of_a_run() {
        let of_run = RequestHeads {
            peer: HttpPeer::Run,
            ..HEADS
        };
        let with = |key| RequestHeads {
            key: Some(key),
            ..of_run
        };
        for heads in [of_run, with("own")] {
            assert!(refused(heads, None).unwrap().contains("KIROSU_TOKEN"));
        }
        assert!(
            refused(with("k1"), Some("k1"))
                .unwrap()
                .contains("KIROSU_TOKEN")
        );
        assert_eq!(refused(with("krt_1.1.00"), None), None);
        let own = RequestHeads {
            key: Some("own"),
            ..HEADS
        };
        assert_eq!(admit(&own, &key(None)).unwrap(), HttpAdmission::Own);
        assert_eq!(admit(&HEADS, &key(None)).unwrap(), HttpAdmission::Keyless);
    }

    #[test]
    fn an_image_or_a_link_of_another_site_is_refused_without_a_key() {
        let heads = |fetch_site| RequestHeads {
            host: Some("localhost:8000"),
            fetch_site: Some(fetch_site),
            ..HEADS
        };
        for own in ["same-origin", "none"] {
            assert_eq!(refused(heads(own), None), None, "{own}");
        }
        for other in ["cross-site", "same-site", "?"] {
            assert!(
                refused(heads(other), None)
                    .unwrap()
                    .contains("another site")
            );
        }
        let keyed = RequestHeads {
            key: Some("k1"),
            ..heads("cross-site")
        };
        assert_eq!(refused(keyed, Some("k1")), None);
    }
}
