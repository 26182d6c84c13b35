//! Delivery by a request over HTTP, as the Standard Webhooks specification says.

use crate::DeliveryFailure;
use crate::options::Address;
use crate::sign::SigningSecret;
use kirosu_providers::{http_client, http_reason, read_secret};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A webhook. The client is made at the first delivery.
pub(crate) struct Webhook {
    pub address: Address,
    pub plain: bool,
    pub secret_env: Option<String>,
    pub secret_file: Option<PathBuf>,
    pub timeout: Duration,
    pub client: Option<Client>,
}

impl Webhook {
    /// Sends an event. `at`: Unix seconds.
    pub async fn deliver(
        &mut self,
        id: &str,
        body: Vec<u8>,
        at: u64,
    ) -> Result<(), DeliveryFailure> {
        let url = url(&self.address, self.plain).map_err(DeliveryFailure::new)?;
        let signature = self.signature(id, &body, at).await;
        let signature = signature.map_err(DeliveryFailure::new)?;
        let client = match self.client.take() {
            Some(client) => client,
            None => http_client(&url).map_err(DeliveryFailure::new)?,
        };
        let client = self.client.insert(client);
        let mut request = client
            .post(url.clone())
            .timeout(self.timeout)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", at.to_string());
        if let Some(signature) = signature {
            request = request.header("webhook-signature", signature);
        }
        match request.body(body).send().await {
            Ok(response) => judge(&response, &shown(&url)),
            Err(error) if error.is_timeout() => Err(DeliveryFailure::new(format!(
                "{} did not answer within {}",
                shown(&url),
                humantime::format_duration(self.timeout)
            ))),
            Err(error) => Err(DeliveryFailure::new(format!(
                "cannot reach {}: {}",
                shown(&url),
                http_reason(&error)
            ))),
        }
    }

    async fn signature(&self, id: &str, body: &[u8], at: u64) -> Result<Option<String>, String> {
        let secret = read_secret(self.secret_env.as_deref(), self.secret_file.as_deref()).await;
        let Some(secret) = secret.map_err(|why| format!("no secret for the signature: {why}"))?
        else {
            return Ok(None);
        };
        let secret = SigningSecret::parse(&secret)?;
        Ok(Some(secret.sign(id, at, body)))
    }
}

/// The address of a webhook.
///
/// # Errors
/// It is missing, or no address that may be used: a sentence without the address.
pub(crate) fn url(address: &Address, plain: bool) -> Result<Url, String> {
    let (text, place) = match address {
        Address::Url(url) => (url.clone(), "url".to_owned()),
        Address::Env(name) => (
            std::env::var(name).unwrap_or_default().trim().to_owned(),
            format!("the variable {name} (url_env)"),
        ),
    };
    if text.is_empty() {
        return Err(format!(
            "{place} has no address; set it where kirosu is started"
        ));
    }
    check_address(&text, plain).map_err(|why| format!("the address in {place} {why}"))
}

/// Checks the address of a webhook. `plain`: whether it may be without TLS beyond loopback.
///
/// # Errors
/// The rest of a sentence that begins with the address; it does not contain it.
pub fn check_address(url: &str, plain: bool) -> Result<Url, String> {
    let url = Url::parse(url).map_err(|error| format!("is no address: {error}"))?;
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = bare
        .parse::<std::net::IpAddr>()
        .map_or(bare.eq_ignore_ascii_case("localhost"), |it| {
            it.is_loopback()
        });
    match url.scheme() {
        _ if host.is_empty() => Err("has no host".to_owned()),
        "https" => Ok(url),
        "http" if is_loopback || plain => Ok(url),
        "http" => Err(
            "has to begin with https beyond loopback, or every machine on the way can read the events (plain_beyond_loopback = true allows it)".to_owned(),
        ),
        other => Err(format!("has to begin with https, not with {other}")),
    }
}

/// The address without path, user and query, which may be secrets.
pub(crate) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

fn judge(response: &Response, shown: &str) -> Result<(), DeliveryFailure> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let hint = match status {
        StatusCode::GONE => {
            ": it wants no further events; remove the target, or correct its address"
        }
        _ if status.is_redirection() => {
            ": redirects are not followed, set the address to where this one leads"
        }
        _ => "",
    };
    Err(DeliveryFailure {
        why: format!("{shown} answered {}{hint}", status.as_u16()),
        retry_after: response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| retry_after(value.to_str().ok()?, SystemTime::now())),
        is_final: status == StatusCode::GONE,
    })
}

/// Reads `Retry-After`: seconds, or a date.
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    match text.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let at = httpdate::parse_http_date(text.trim()).ok()?;
            Some(at.duration_since(now).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_tls_beyond_loopback() {
        for good in [
            "https://example.org/a",
            "http://127.0.0.1:9/a",
            "http://[::1]:9",
            "http://localhost",
        ] {
            assert!(check_address(good, false).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://example.org", "https beyond loopback"),
            ("ftp://example.org", "not with ftp"),
            ("example.org", "no address"),
        ] {
            let error = check_address(bad, false).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
        assert!(check_address("http://example.org", true).is_ok());
    }

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        let url = Url::parse("https://u:p@hooks.example.org:8443/T1/secret?token=x").unwrap();
        assert_eq!(shown(&url), "https://hooks.example.org:8443");
    }

    #[test]
    fn a_receiver_names_a_pause_in_seconds_or_as_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        let date = "Sun, 06 Nov 1994 08:50:37 GMT";
        assert_eq!(retry_after(date, now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after("soon", now), None);
    }
}
