//! The HTTP client, and the meaning of its errors.

use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Client, Url};

use super::Unready;
use crate::outcome::FailureKind;
use crate::shortage;

/// A service that does not accept the connection in this time is unreachable.
const CONNECT: Duration = Duration::from_secs(10);
/// Detects a peer that disappeared, also without a silence timeout.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// A client that is made at its first use, because the platform's root certificates take a while to read.
#[derive(Default)]
pub(super) struct LazyClient(OnceLock<Client>);

impl LazyClient {
    /// The client, made at the first call.
    ///
    /// # Errors
    /// When the system's root certificates cannot be read, or the machine lacks a resource.
    pub(super) fn get(&self, url: &Url) -> Result<&Client, Unready> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        // A failure is not kept: the missing certificates may be installed in the meantime.
        let made = build(is_here(url)).map_err(|error| Unready {
            class: match shortage::within(&error) {
                true => FailureKind::Shortage,
                false => FailureKind::Missing,
            },
            why: format!(
                "cannot set up HTTP: {}; are the roots of TLS installed (ca-certificates)?",
                reason(&error)
            ),
        })?;
        Ok(self.0.get_or_init(|| made))
    }
}

fn build(is_here: bool) -> reqwest::Result<Client> {
    // Only the first call installs it; a later error means that it is already installed.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = Client::builder()
        .user_agent(concat!("kirosu/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .tcp_keepalive(KEEPALIVE)
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        // One connection per answer: a kept connection may be closed by its server just when it is used again (some close
        // after 5 s), and a handshake is cheap compared with an answer.
        .pool_max_idle_per_host(0);
    match is_here {
        // A service on this machine is reached without a proxy and without TLS.
        true => builder.no_proxy().tls_certs_only([]).build(),
        false => builder.build(),
    }
}

fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = bare
        .parse::<std::net::IpAddr>()
        .map_or(bare.eq_ignore_ascii_case("localhost"), |it| {
            it.is_loopback()
        });
    is_loopback && url.scheme() == "http"
}

/// The innermost error. The outer ones only add the place.
pub(super) fn reason(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
