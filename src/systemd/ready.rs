//! The readiness check of the hub: a `hello` over the socket that clients use.

use kirosu_protocol::client::{CallError, Client, ClientOptions, Endpoint};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Time after which a failed attempt is the last one.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Delay after a failed attempt, as on a hub that already has the maximum number of connections.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// The hub listens but does not answer.
#[derive(Debug, thiserror::Error)]
#[error("the hub listens on {address} but does not answer there: {source}")]
pub struct NoAnswer {
    address: String,
    source: CallError,
}

/// Waits until the hub at this endpoint has answered a `hello`, for at most 30 s.
///
/// # Errors
/// The hub has not answered in time. The error has the cause of the last failed attempt.
pub async fn wait_for_hub(endpoint: &Endpoint, key: Option<&str>) -> Result<(), NoAnswer> {
    let begun = tokio::time::Instant::now();
    loop {
        let options = ClientOptions {
            key: key.map(str::to_owned),
            ..ClientOptions::default()
        };
        match Client::connect(endpoint.clone(), options).await {
            Ok(_) => return Ok(()),
            Err(source) if begun.elapsed() >= TIMEOUT => {
                let address = endpoint.to_string();
                return Err(NoAnswer { address, source });
            }
            Err(_) => tokio::time::sleep(RETRY_DELAY).await,
        }
    }
}

/// The address to connect to for this listening address: the loopback address for "all addresses".
pub fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}
