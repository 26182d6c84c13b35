//! Admission of browsers at the web page: their logins, and the requests with the cookie of a session.

use super::guard::{
    ForeignRequest, HttpAdmission, RequestHeads, foreign_page, is_loopback, needs_token,
    refuse_foreign,
};
use crate::options::HttpPeer;
use crate::rest::HttpError;
use actix_web::http::Method;

/// Refuses a request for another host than this machine, if the gateway listens for this machine only: it may be one of a web
/// page whose own host name was changed to this machine's address.
pub(super) fn own_host<'a>(
    heads: &RequestHeads<'a>,
    is_of_machine: bool,
) -> Result<HttpAdmission<'a>, HttpError> {
    let host = heads
        .host
        .filter(|host| is_of_machine && !is_loopback(host));
    refuse_foreign(host.map(ForeignRequest::Host)).map(|()| HttpAdmission::Own)
}

/// Admits a request to log in or out. Its key or ticket is in its body.
pub(super) fn by_login<'a>(
    heads: &RequestHeads<'a>,
    is_of_machine: bool,
) -> Result<HttpAdmission<'a>, HttpError> {
    if heads.peer == HttpPeer::Run {
        return Err(needs_token());
    }
    match heads.session {
        Some(_) if heads.method == Method::DELETE => by_session(heads)?,
        _ => refuse_foreign(foreign_page(heads.host, heads.origin, heads.fetch_site))?,
    }
    own_host(heads, is_of_machine)
}

/// Checks a request that carries the cookie of a session. A browser sends it with the requests of pages at all ports of the host.
pub(super) fn by_session(heads: &RequestHeads<'_>) -> Result<(), HttpError> {
    if heads.peer == HttpPeer::Run {
        return Err(needs_token());
    }
    refuse_foreign(foreign_page(heads.host, heads.origin, heads.fetch_site))?;
    if heads.method.is_safe() {
        return Ok(());
    }
    let is_of_page = heads.origin.is_some() || heads.fetch_site == Some("same-origin");
    match heads.csrf == Some("1") && is_of_page {
        true => Ok(()),
        false => Err(HttpError::forbidden(
            "refusing a change with the cookie of a session: it needs the header X-Kirosu-Csrf: 1, and Origin or Sec-Fetch-Site of this page",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::guard::admit;
    use super::*;
    use crate::state::GatewayKey;

    const PAGE: RequestHeads<'static> = RequestHeads {
        path: "/tasks",
        method: &Method::POST,
        key: None,
        authorization: None,
        session: Some("krw_1"),
        csrf: Some("1"),
        host: Some("localhost:8000"),
        origin: Some("http://localhost:8000"),
        fetch_site: Some("same-origin"),
        peer: HttpPeer::Own,
        certificate: None,
    };

    fn key(is_required: bool) -> GatewayKey {
        GatewayKey {
            own: Some("own".into()),
            is_required,
        }
    }

    fn refused(heads: &RequestHeads<'_>, is_required: bool) -> Option<String> {
        let refusal = admit(heads, &key(is_required)).err();
        refusal.map(|refusal| refusal.error.message)
    }

    #[test]
    fn a_change_of_the_own_page_is_admitted_with_its_header_only() {
        for is_required in [false, true] {
            let admitted = admit(&PAGE, &key(is_required)).unwrap();
            assert_eq!(admitted, HttpAdmission::Session("krw_1"));
            let one_of_both = [
                RequestHeads {
                    origin: None,
                    ..PAGE
                },
                RequestHeads {
                    fetch_site: None,
                    ..PAGE
                },
            ];
            for heads in one_of_both {
                assert_eq!(refused(&heads, is_required), None, "{heads:?}");
            }
            for heads in [
                RequestHeads { csrf: None, ..PAGE },
                RequestHeads {
                    csrf: Some("0"),
                    ..PAGE
                },
                RequestHeads {
                    origin: None,
                    fetch_site: None,
                    ..PAGE
                },
                RequestHeads {
                    origin: None,
                    fetch_site: Some("none"),
                    ..PAGE
                },
                RequestHeads {
                    origin: Some("http://localhost:3000"),
                    fetch_site: Some("same-site"),
                    ..PAGE
                },
                RequestHeads {
                    origin: Some("http://localhost:3000"),
                    fetch_site: None,
                    ..PAGE
                },
                RequestHeads {
                    origin: Some("null"),
                    fetch_site: None,
                    ..PAGE
                },
            ] {
                assert!(refused(&heads, is_required).is_some(), "{heads:?}");
            }
        }
    }

    #[test]
    fn reading_needs_no_header_but_is_refused_to_other_pages_of_the_host_and_to_runs() {
        let reading = RequestHeads {
            method: &Method::GET,
            csrf: None,
            origin: None,
            ..PAGE
        };
        for fetch_site in [None, Some("same-origin"), Some("none")] {
            let heads = RequestHeads {
                fetch_site,
                ..reading
            };
            assert_eq!(refused(&heads, false), None, "{heads:?}");
        }
        for fetch_site in ["same-site", "cross-site"] {
            let heads = RequestHeads {
                fetch_site: Some(fetch_site),
                ..reading
            };
            assert!(refused(&heads, true).is_some(), "{heads:?}");
        }
        let of_run = RequestHeads {
            peer: HttpPeer::Run,
            ..reading
        };
        assert!(refused(&of_run, true).unwrap().contains("KIROSU_TOKEN"));
        let rebound = RequestHeads {
            host: Some("evil.example"),
            ..reading
        };
        assert!(refused(&rebound, false).unwrap().contains("evil.example"));
        // A proxy on another machine, with a key that is set.
        let by_proxy = RequestHeads {
            host: Some("kirosu.example"),
            peer: HttpPeer::Other,
            ..reading
        };
        assert_eq!(refused(&by_proxy, true), None);
    }

    #[test]
    fn a_key_in_a_header_counts_more_than_the_cookie() {
        let both = RequestHeads {
            key: Some("krs_1"),
            csrf: None,
            ..PAGE
        };
        assert_eq!(
            admit(&both, &key(false)).unwrap(),
            HttpAdmission::Key("krs_1")
        );
    }

    #[test]
    fn a_login_is_refused_to_other_pages_and_to_runs_and_a_logout_needs_the_header() {
        let login = RequestHeads {
            path: "/session",
            session: None,
            csrf: None,
            ..PAGE
        };
        let from_shell = RequestHeads {
            origin: None,
            fetch_site: None,
            ..login
        };
        for heads in [login, from_shell] {
            assert_eq!(refused(&heads, false), None, "{heads:?}");
            assert_eq!(refused(&heads, true), None, "{heads:?}");
        }
        for heads in [
            RequestHeads {
                origin: Some("http://evil.example"),
                ..login
            },
            RequestHeads {
                origin: None,
                fetch_site: Some("cross-site"),
                ..login
            },
            RequestHeads {
                peer: HttpPeer::Run,
                ..login
            },
        ] {
            assert!(refused(&heads, true).is_some(), "{heads:?}");
        }
        let logout = RequestHeads {
            method: &Method::DELETE,
            session: Some("krw_1"),
            ..login
        };
        assert!(refused(&logout, true).unwrap().contains("X-Kirosu-Csrf"));
        assert_eq!(
            refused(
                &RequestHeads {
                    csrf: Some("1"),
                    ..logout
                },
                true
            ),
            None
        );
    }

    #[test]
    fn the_files_of_the_page_are_for_everyone_but_not_under_another_name_of_this_machine() {
        let file = RequestHeads {
            path: "/page/app.js",
            method: &Method::GET,
            session: None,
            origin: None,
            fetch_site: Some("cross-site"),
            ..PAGE
        };
        assert_eq!(refused(&file, false), None);
        let rebound = RequestHeads {
            host: Some("evil.example"),
            ..file
        };
        assert!(refused(&rebound, false).is_some());
        assert_eq!(refused(&rebound, true), None);
        assert_eq!(
            refused(
                &RequestHeads {
                    peer: HttpPeer::Other,
                    ..rebound
                },
                false
            ),
            None
        );
    }
}
