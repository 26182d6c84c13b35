//! Whether the hub answers: a `hello` as any client says it, over the socket that clients use.

use kirosu_protocol::client::{CallError, Client, ClientOptions, Endpoint};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// A hub that has not answered by then is not going to.
const LONGEST: Duration = Duration::from_secs(30);
/// Pause after an attempt that failed, as on a hub that is full at once.
const PAUSE: Duration = Duration::from_millis(200);

/// The hub listens but does not answer.
#[derive(Debug, thiserror::Error)]
#[error("the hub listens on {address} but does not answer there: {source}")]
pub struct NoAnswer {
    address: SocketAddr,
    source: CallError,
}

/// Waits until the hub that listens on this address has answered a `hello`, for half a minute at most.
///
/// # Errors
/// Why the last attempt failed.
pub async fn answers(address: SocketAddr, key: Option<&str>) -> Result<(), NoAnswer> {
    let begun = tokio::time::Instant::now();
    loop {
        let options = ClientOptions {
            key: key.map(str::to_owned),
            ..ClientOptions::default()
        };
        let host = reachable(address.ip()).to_string();
        match Client::connect(Endpoint::Tcp(host, address.port()), options).await {
            Ok(_) => return Ok(()),
            Err(source) if begun.elapsed() >= LONGEST => return Err(NoAnswer { address, source }),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// "Every address" is where a hub listens, not where it can be reached.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}
