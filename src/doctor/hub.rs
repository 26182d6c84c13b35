//! The hub: whether one answers, and if not, whether one could start.

use super::{Finding, Level};
use crate::cli::drain::DRAINS;
use crate::cli::pause::paused;
use crate::cli::show::text::one_line;
use kirosu_config::Loaded;
use kirosu_protocol::client::{CallError, Client, ClientOptions, ConnectionState, Endpoint};
use kirosu_protocol::verbs::pause::ALL;
use kirosu_protocol::verbs::pools::{PoolInfo, PoolsParams};
use kirosu_protocol::verbs::stats::StatsParams;
use kirosu_protocol::{ErrorCode, Stats};
use std::io::ErrorKind;
use std::net::{TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

const AREA: &str = "Hub";
/// A hub on this or a near machine answers in a fraction of it.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn findings(loaded: &Loaded, endpoint: Option<&Endpoint>) -> Vec<Finding> {
    let hub = &loaded.settings.hub;
    let mut findings = Vec::new();
    match endpoint {
        None => findings.push(
            Finding::note(
                AREA,
                "address",
                "port 0: any free one, so that it cannot be looked for",
            )
            .advise("name the port that it got, with --port"),
        ),
        Some(endpoint) => {
            let (seen, more) = ask(loaded, endpoint).await;
            let nobody_there = seen.level != Level::Ok;
            findings.push(seen);
            findings.extend(more);
            // A hub listens at both.
            if nobody_there && matches!(endpoint, Endpoint::Unix(_)) && hub.port != 0 {
                let tcp = Endpoint::Tcp(hub.host.as_str().into(), hub.port);
                findings.push(nobody(&tcp.to_string(), &tcp, ErrorKind::NotFound));
            }
        }
    }
    let everywhere = !is_loopback(&hub.host);
    findings.push(match (&hub.key, everywhere) {
        (Some(_), _) => Finding::ok(AREA, "key", "clients must show one"),
        (None, false) => Finding::ok(
            AREA,
            "key",
            "none: all users of this machine may speak to it",
        ),
        // The settings refuse this to a hub that starts.
        (None, true) => Finding::note(AREA, "key", format!("none for {}", hub.host))
            .advise("set hub.key_file or KIRO_SWARM_KEY: a hub beyond loopback needs one"),
    });
    findings
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "::1" || host == "[::1]" || host.starts_with("127.")
}

/// A pool of a hub that answers, where it takes fewer tasks than it could, or none.
fn pool(pool: &PoolInfo) -> Option<Finding> {
    let note = pool.note.clone().unwrap_or_default();
    let finding = |message: String| Finding::note(AREA, format!("pool {}", pool.name), message);
    match pool.state.as_str() {
        "running" | "draining" => None,
        state => {
            let advice = "put right what is named, or wait: the pool tries again by itself";
            Some(finding(format!("{state}: {note}")).advise(advice))
        }
    }
}

/// Why a hub that answers hands out no tasks, or not those of all queues.
fn held_back(stats: &Stats) -> Vec<Finding> {
    let mut findings = Vec::new();
    if stats.draining {
        let advice = "restart it when you want tasks to run again: kirosu shutdown, then kirosu up (or systemctl restart kirosu)";
        findings.push(Finding::note(AREA, "drain", DRAINS).advise(advice));
    }
    if !stats.paused.is_empty() {
        let advice = match stats.paused.as_slice() {
            [one] if one != ALL => format!("kirosu resume {}", one_line(one)),
            [all, ..] if all == ALL => "kirosu resume".to_owned(),
            _ => "kirosu resume QUEUE, or kirosu resume for all of them".to_owned(),
        };
        let message = format!("{}: no task of these is started", paused(&stats.paused));
        findings.push(Finding::note(AREA, "queues", message).advise(advice));
    }
    findings
}

/// The hub's own report; why it hands out no tasks, and its pools.
async fn ask(loaded: &Loaded, endpoint: &Endpoint) -> (Finding, Vec<Finding>) {
    let key = loaded.settings.hub.key.as_ref();
    let options = ClientOptions {
        key: key.map(|key| key.expose().to_owned()),
        // One attempt is enough.
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
                "takes connections, and does not answer as a hub",
            );
            let advice = "end what listens there, or set another hub.port";
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
            more = held_back(&stats);
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
            format!("answers, and does not take our key: {refusal}"),
        )
        .advise("give the hub's key: KIRO_SWARM_KEY, hub.key_file or --key-file"),
        CallError::Unreachable { source, .. } => nobody(name, endpoint, source.kind()),
        other => Finding::problem(AREA, name, other.to_string())
            .advise("end what listens there, or set another hub.port"),
    }
}

/// Nobody answers: could a hub start there?
fn nobody(name: &str, endpoint: &Endpoint, why: ErrorKind) -> Finding {
    let start = "start one: kirosu up";
    match endpoint {
        Endpoint::Tcp(host, port) => {
            let address = (&**host, *port).to_socket_addrs();
            let free = address.and_then(|mut all| match all.next() {
                Some(address) => TcpListener::bind(address),
                None => Err(ErrorKind::AddrNotAvailable.into()),
            });
            match free.map_err(|why| why.kind()) {
                Ok(_) => Finding::note(AREA, name, "no hub runs; the port is free").advise(start),
                Err(ErrorKind::AddrInUse) => {
                    Finding::problem(AREA, name, "no hub answers, and the port is taken")
                        .advise("end what has it, or set another hub.port")
                }
                Err(ErrorKind::PermissionDenied) => Finding::problem(
                    AREA,
                    name,
                    "no hub runs, and this user may not listen there",
                )
                .advise("set a hub.port of 1024 or above"),
                Err(_) => Finding::problem(AREA, name, format!("no hub can be reached: {why}"))
                    .advise("start it there, or correct hub.host and hub.port"),
            }
        }
        _ if why == ErrorKind::PermissionDenied => Finding::problem(
            AREA,
            name,
            "the socket is there, and this user may not use it",
        )
        .advise("run this as its user, or join its group"),
        _ => Finding::note(AREA, name, "no hub runs").advise(start),
    }
}
