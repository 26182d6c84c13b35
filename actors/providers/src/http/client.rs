//! The client of HTTP, and what its own errors mean.

use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Client, Url};

use super::Unready;
use crate::outcome::FailureKind;
use crate::shortage;

/// A service that does not take the connection in this time is not there.
const CONNECT: Duration = Duration::from_secs(10);
/// A peer that went away without a word is noticed, also where nothing limits the silence.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Made when it is first needed: the roots of the platform take a while to read.
#[derive(Default)]
pub(super) struct LazyClient(OnceLock<Client>);

impl LazyClient {
    /// # Errors
    /// The system's roots of TLS cannot be read, or the machine is short of something.
    pub(super) fn get(&self, url: &Url) -> Result<&Client, Unready> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        // Not kept when it fails: somebody may be installing what is missing.
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
    // A second one is refused, and the first is the same.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = Client::builder()
        .user_agent(concat!("kirosu/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .tcp_keepalive(KEEPALIVE)
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        // One connection an answer: a kept one is closed by its server just when it is used again (some wait 5 s only),
        // and one more handshake is nothing beside an answer.
        .pool_max_idle_per_host(0);
    match is_here {
        // What is on this machine is asked neither through a proxy nor with TLS.
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

/// The innermost reason; the outer ones only repeat where it happened.
pub(super) fn reason(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
