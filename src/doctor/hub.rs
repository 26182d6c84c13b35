//! The hub: whether it answers, and if not, whether it could start.

use super::{Finding, Level};
use crate::cli::drain::DRAINS;
use crate::cli::pause::paused;
use crate::terminal::text::one_line;
use kirosu_config::{HubPort, Loaded};
use kirosu_protocol::client::{
    CallError, Client, ClientOptions, ConnectionState, Endpoint, ForeignServer,
};
use kirosu_protocol::{ALL_QUEUES, ErrorCode, PoolInfo, PoolsParams, Stats, StatsParams};
use kirosu_tls::Fingerprint;
use std::io::ErrorKind;
use std::net::{TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

const AREA: &str = "Hub";
/// Time limit for one connection or request; a near hub answers in a fraction of it.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn findings(loaded: &Loaded, endpoint: Option<&Endpoint>) -> Vec<Finding> {
    let hub = &loaded.settings.hub;
    let mut findings = Vec::new();
    match endpoint {
        None => findings.push(
            Finding::note(
                AREA,
                "address",
                "the settings name no address at which the hub can be found (port 0 is any free one, \"off\" needs a socket)",
            )
            .advise("name the port of the running hub with --port, or its socket with --socket"),
        ),
        Some(endpoint) => {
            let (seen, more) = examine(loaded, endpoint).await;
            let is_absent = seen.level != Level::Ok;
            findings.push(seen);
            findings.extend(more);
            // A hub listens on both addresses.
            if is_absent
                && matches!(endpoint.address(), Endpoint::Unix(_))
                && let Some(port @ 1..) = hub.port.number()
            {
                let tcp = Endpoint::Tcp(hub.host.as_str().into(), port);
                findings.push(no_hub(&tcp.to_string(), &tcp, ErrorKind::NotFound));
            }
        }
    }
    findings.extend(tls(loaded));
    let everywhere = hub.port != HubPort::Off && !is_loopback(&hub.host);
    findings.push(match (&hub.key, everywhere) {
        (Some(_), _) => Finding::ok(AREA, "key", "clients need a key"),
        (None, false) => Finding::ok(
            AREA,
            "key",
            "not set: programs of the hub's user can use it; the hub makes a key for them in its data folder",
        ),
        // A hub without a key refuses to start on such an address.
        (None, true) => Finding::note(AREA, "key", format!("none for {}", hub.host)).advise(
            "set hub.key_file or KIRO_SWARM_KEY: a hub that listens beyond loopback needs a key",
        ),
    });
    findings
}

/// The certificate of a hub on this machine.
fn tls(loaded: &Loaded) -> Option<Finding> {
    let path = loaded.settings.hub.tls_certificate.as_ref()?;
    let name = path.display().to_string();
    Some(match Fingerprint::of_file(path) {
        Ok(fingerprint) => Finding::ok(
            AREA,
            "TLS",
            format!("{name} has the fingerprint {fingerprint}"),
        ),
        Err(fault) => Finding::problem(AREA, "TLS", fault.message)
            .advise("correct hub.tls_certificate, or make a certificate: kirosu tls new"),
    })
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "::1" || host == "[::1]" || host.starts_with("127.")
}

/// A finding about a pool that does not run all its agents.
fn pool(pool: &PoolInfo) -> Option<Finding> {
    let note = pool.note.clone().unwrap_or_default();
    let finding = |message: String| Finding::note(AREA, format!("pool {}", pool.name), message);
    match pool.state.as_str() {
        "running" | "draining" => None,
        state => {
            let advice = "fix the named cause, or wait: the pool tries again by itself";
            Some(finding(format!("{state}: {note}")).advise(advice))
        }
    }
}

/// Findings about a hub that leases no tasks, or not those of all queues.
fn not_leasing(stats: &Stats) -> Vec<Finding> {
    let mut findings = Vec::new();
    if stats.draining {
        let advice = "restart it when you want tasks to run again: kirosu shutdown, then kirosu up (or systemctl restart kirosu)";
        findings.push(Finding::note(AREA, "drain", DRAINS).advise(advice));
    }
    if !stats.paused.is_empty() {
        let advice = match stats.paused.as_slice() {
            [one] if one != ALL_QUEUES => format!("kirosu resume {}", one_line(one)),
            [all, ..] if all == ALL_QUEUES => "kirosu resume".to_owned(),
            _ => "kirosu resume QUEUE, or kirosu resume for all of them".to_owned(),
        };
        let message = format!("{}: no task of these is started", paused(&stats.paused));
        findings.push(Finding::note(AREA, "queues", message).advise(advice));
    }
    findings
}

/// The hub's own report, the reasons why it leases no tasks, and its pools.
async fn examine(loaded: &Loaded, endpoint: &Endpoint) -> (Finding, Vec<Finding>) {
    let options = ClientOptions {
        key: loaded.settings.client_key(),
        // The pause is longer than the time limit, so there is only one attempt.
        delays: Arc::new(|| Box::new(std::iter::repeat(10 * PATIENCE))),
        connect_timeout: PATIENCE,
        request_timeout: PATIENCE,
        ..ClientOptions::default()
    };
    let connected = tokio::time::timeout(PATIENCE, Client::connect(endpoint.clone(), options));
    let name = endpoint.to_string();
    let client = match connected.await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return (away(&name, endpoint, &error), Vec::new()),
        Err(_) => {
            let finding = Finding::problem(
                AREA,
                &name,
                "accepts connections but does not answer like a hub",
            );
            let advice = "stop the program that listens there, or set another hub.port";
            return (finding.advise(advice), Vec::new());
        }
    };
    let version = match &*client.state().borrow() {
        ConnectionState::Connected(hello) => hello.version.clone(),
        _ => String::new(),
    };
    let figures = client.request(&StatsParams {}).await;
    let pools = client.request(&PoolsParams::default()).await;
    client.close();
    let own = env!("CARGO_PKG_VERSION");
    let mut more = Vec::new();
    let finding = match figures {
        Ok(answer) => {
            let stats = answer.stats;
            more = not_leasing(&stats);
            let message = format!(
                "kirosu {version} answers: {} queued, {} at work, {} failed",
                stats.queued, stats.leased, stats.failed
            );
            match version == own {
                true => Finding::ok(AREA, &name, message),
                false => Finding::note(AREA, &name, format!("{message}; this command is {own}"))
                    .advise("restart the hub after an upgrade: systemctl restart kirosu"),
            }
        }
        Err(error) => Finding::problem(AREA, &name, error.to_string()),
    };
    let pools = pools.map(|answer| answer.pools).unwrap_or_default();
    more.extend(pools.iter().filter_map(pool));
    (finding, more)
}

fn away(name: &str, endpoint: &Endpoint, error: &CallError) -> Finding {
    match error {
        CallError::Refused(refusal) if refusal.code == ErrorCode::Unauthorized => Finding::problem(
            AREA,
            name,
            format!("answers, but refuses this key: {refusal}"),
        )
        .advise("give the hub's key: KIRO_SWARM_KEY, hub.key_file or --key-file"),
        CallError::Unreachable { source, .. } if kirosu_tls::explain(source).is_some() => {
            Finding::problem(AREA, name, error.to_string())
        }
        CallError::Unreachable { source, .. } if ForeignServer::is_source_of(source) => {
            Finding::problem(AREA, name, source.to_string())
                .advise("stop that program, or set another hub.port or hub.socket")
        }
        CallError::Unreachable { source, .. } => no_hub(name, endpoint, source.kind()),
        other => Finding::problem(AREA, name, other.to_string())
            .advise("stop the program that listens there, or set another hub.port"),
    }
}

/// A finding about an address where no hub answers: whether a hub could start there.
fn no_hub(name: &str, endpoint: &Endpoint, why: ErrorKind) -> Finding {
    let start = "start one: kirosu up";
    match endpoint.address() {
        Endpoint::Tcp(host, port) | Endpoint::Tls(host, port, _) => {
            let address = (&**host, *port).to_socket_addrs();
            let free = address.and_then(|mut all| match all.next() {
                Some(address) => TcpListener::bind(address),
                None => Err(ErrorKind::AddrNotAvailable.into()),
            });
            match free.map_err(|why| why.kind()) {
                Ok(_) => Finding::note(AREA, name, "no hub runs; the port is free").advise(start),
                Err(ErrorKind::AddrInUse) => Finding::problem(
                    AREA,
                    name,
                    "no hub answers, and another program uses the port",
                )
                .advise("stop that program, or set another hub.port"),
                Err(ErrorKind::PermissionDenied) => Finding::problem(
                    AREA,
                    name,
                    "no hub runs, and this user may not listen there",
                )
                .advise("set a hub.port of 1024 or above"),
                Err(_) => Finding::problem(AREA, name, format!("no hub can be reached: {why}"))
                    .advise("start the hub on that machine, or correct hub.host and hub.port"),
            }
        }
        _ if why == ErrorKind::PermissionDenied => {
            Finding::problem(AREA, name, "this user may not use the socket")
                .advise("run this as its user, or join its group")
        }
        _ => Finding::note(AREA, name, "no hub runs").advise(start),
    }
}
