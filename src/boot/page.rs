//! The address of the web page that this process serves, and the link that is shown at the start.

use crate::systemd::reachable;
use crate::{options, terminal};
use kirosu_config::Settings;
use kirosu_gateway::GatewayHandle;
use kirosu_hub::Hub;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;

/// The address of the page, which ends with `/`. `None`: this process does not serve it.
pub(super) fn url(settings: &Settings, gateway: Option<&GatewayHandle>) -> Option<String> {
    let address = gateway?.http?;
    let address = SocketAddr::new(reachable(address.ip()), address.port());
    let scheme = scheme(settings.gateway.tls().is_some(), "http", "https");
    Some(format!("{scheme}://{address}/"))
}

/// Shows the page's address to a person at a terminal: to the one who has started a hub there with a ticket that logs in once.
/// It is not a line of the log: a log is kept, and others may read it.
pub(super) fn show(settings: &Settings, gateway: Option<&GatewayHandle>, hub: Option<&Hub>) {
    let mut out = std::io::stderr();
    let Some(url) = url(settings, gateway).filter(|_| out.is_terminal()) else {
        return;
    };
    let who = terminal::user_name().unwrap_or_else(|| "operator".to_owned());
    let ticket = hub.and_then(|hub| hub.ticket_of_operator(&who, options::now_ms()));
    let line = match ticket {
        Some(ticket) => format!(
            "web page: {} (logs in once, within five minutes; `kirosu web` makes another link)\n",
            ticket.link(&url)
        ),
        None => format!("web page: {url} (`kirosu web` makes a link that logs in)\n"),
    };
    // A closed terminal must not keep the process from serving.
    let _ = out.write_all(line.as_bytes());
}

pub(super) fn scheme(is_secure: bool, plain: &'static str, tls: &'static str) -> &'static str {
    if is_secure { tls } else { plain }
}
