//! Builds the options of each crate from the settings. The crates themselves do not know the configuration.

mod bounds;
mod faults;
mod notify;
mod policy;
mod pools;
mod providers;
mod tls;

pub use bounds::bounds;
pub use faults::definition_faults;
pub use notify::{notify, notify_targets};
pub use pools::{pools, swarm};
pub use providers::{model_of, routed};
pub use tls::{TlsAcceptors, hub_at};

use crate::boot::{BootError, Role};
use kirosu_config::{HubAddress, Loaded, Origin, Secret, Settings};
use kirosu_gateway::{GatewayOptions, HttpPeer, HttpServerOptions, MetricsOptions};
use kirosu_hub::{BindError, HubOptions, PeerOwner, Protection, Rules};
use kirosu_protocol::client::Endpoint;
use kirosu_protocol::settings::Keyless;
use kirosu_protocol::{Limits, RetryPolicy, millis};
use kirosu_store::StoreOptions;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The wall clock in Unix milliseconds.
pub fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The options of the hub.
pub fn hub(settings: &Settings, key: &Secret, run_secret: Secret) -> HubOptions {
    let unset = match settings.hub.key {
        Some(_) => Keyless::Off,
        None => Keyless::default(),
    };
    HubOptions {
        key: key.expose().to_owned(),
        run_secret: run_secret.expose().to_owned(),
        is_own_key: settings.hub.key.is_none(),
        keyless: settings.hub.keyless.unwrap_or(unset),
        trust_all_tools: settings.hub.trust_all_tools,
        limits: limits(settings),
        rules: rules(settings),
        readers: settings.store.readers as usize,
        backup_dir: settings.data_dir.join("backups"),
        pools: settings
            .pools
            .iter()
            .map(|pool| pool.name.clone())
            .collect(),
        store_path: settings.store.path.clone(),
    }
}

/// The endpoint of the hub for its clients.
///
/// # Errors
/// The settings name no address that a client can use; the message says what to do.
pub fn hub_endpoint(loaded: &Loaded) -> Result<Endpoint, String> {
    let endpoint = match loaded.hub_address()? {
        HubAddress::Unix(path) => Endpoint::Unix(path),
        HubAddress::Tcp(_, 0) => {
            return Err(
                "the settings have port 0 (any free one): name the port that the hub got, with --port"
                    .to_owned(),
            );
        }
        HubAddress::Tcp(host, port) => hub_at(reachable(&host), port, &loaded.settings.hub)?,
    };
    let settings = &loaded.settings;
    // The user has not named this key for this address.
    match settings.hub.key.is_none() && settings.own_key.is_some() {
        true => Ok(Endpoint::OwnUser(Box::new(endpoint))),
        false => Ok(endpoint),
    }
}

/// A hub listens on every address, but clients need one that can be reached.
fn reachable(host: &str) -> &str {
    match host {
        "0.0.0.0" | "" | "*" => "127.0.0.1",
        "::" | "[::]" => "::1",
        host => host,
    }
}

/// The limits of requests and connections.
pub fn limits(settings: &Settings) -> Limits {
    let (limits, lease) = (&settings.limits, &settings.lease);
    Limits {
        line_bytes: bytes(limits.line_bytes),
        nesting: limits.nesting as usize,
        connections: limits.connections as usize,
        in_flight_per_connection: limits.in_flight_per_connection as usize,
        in_flight_total: limits.in_flight_total as usize,
        unread_ms_max: millis(limits.unread_max),
        prompt_bytes: bytes(limits.prompt_bytes),
        metadata_bytes: bytes(limits.metadata_bytes),
        output_bytes: bytes(limits.output_bytes),
        max_tasks_per_lease: limits.max_tasks_per_lease,
        lease_ms_min: millis(lease.min),
        lease_ms_max: millis(lease.max),
        lease_ms_default: millis(lease.default),
        wait_ms_max: millis(limits.wait_seconds_max),
        batch: limits.batch as usize,
        ..Limits::default()
    }
}

/// The rules that a reload changes in a running hub.
pub fn rules(settings: &Settings) -> Rules {
    Rules {
        session_grace: settings.lease.session_grace,
        retention: settings.store.retention,
        audit_retention: settings.store.audit_retention,
        retry: RetryPolicy {
            initial_ms: millis(settings.retry.initial),
            max_ms: millis(settings.retry.max),
            factor: settings.retry.factor,
        },
        retry_jitter: settings.retry.jitter,
        strict_expiry: settings.lease.strict_expiry,
        budgets: pools::all_budgets(settings),
        children: settings.children.rules(),
        notify: Arc::new(notify::wanted(settings)),
        notify_retention: settings.store.notify_retention,
    }
}

/// The options of the store.
pub fn store(settings: &Settings) -> StoreOptions {
    rules(settings).of_store(&StoreOptions {
        durability: settings.store.durability,
        wal_limit_bytes: settings.store.wal_limit,
        lease_ms_default: millis(settings.lease.default),
        restart_grace_ms: millis(settings.lease.heartbeat_grace),
        ..StoreOptions::new(&settings.store.path, now_ms())
    })
}

/// Time that leftover processes of an earlier start have to end before they are killed.
pub const KILL_GRACE: Duration = Duration::from_secs(2);

/// The name of this process instance, given to the processes that it starts. With a store it is the path of the database,
/// the same after a restart, so that a new start can end what a killed one left running; the store's lock makes it unique.
/// Agents without a store have no such lock, so every start has a name of its own.
pub fn instance(settings: &Settings, role: Role, boot: &str) -> String {
    match role {
        Role::Pools | Role::Gateway => format!("agent {boot}"),
        _ => {
            let path = &settings.store.path;
            path.canonicalize()
                .unwrap_or_else(|_| path.clone())
                .to_string_lossy()
                .into_owned()
        }
    }
}

/// The options of the gateway, whose sockets are opened here. `Ok(None)` means that nothing is served.
///
/// # Errors
/// A socket or a certificate cannot be opened.
pub fn gateway(
    loaded: &Loaded,
    endpoint: Endpoint,
    hub_key: Option<String>,
    role: Role,
    acceptors: &mut TlsAcceptors,
) -> Result<Option<GatewayOptions>, BootError> {
    let settings = &loaded.settings;
    let (gateway, metrics) = (&settings.gateway, &settings.metrics);
    let key = settings.hub.key.as_ref().map(|key| key.expose().to_owned());
    let listen = |host: &str, port, section, is_secure| {
        let protection = Protection {
            has_key: key.is_some(),
            is_secure,
        };
        kirosu_hub::bind::tcp(host, port, protection, section).map(Arc::new)
    };
    let may_serve = role != Role::Pools;
    let serves_http = may_serve && (gateway.enabled || role == Role::Gateway);
    let serves_metrics = may_serve && metrics.enabled;
    if !serves_http && !serves_metrics {
        return Ok(None);
    }
    let mut options = GatewayOptions {
        endpoint,
        hub_key,
        key: key.clone(),
        http: None,
        metrics: None,
    };
    if serves_http {
        let tls = acceptors.open("gateway.tls_certificate", gateway.tls())?;
        let is_secure = tls.is_some() || gateway.plain_beyond_loopback;
        let listen = |port| listen(&gateway.host, port, "gateway", is_secure);
        let socket = match listen(gateway.port) {
            Err(BindError::Tcp {
                address, source, ..
            }) if source.kind() == ErrorKind::AddrInUse && takes_free_port(loaded, role) => {
                tracing::warn!(
                    %address,
                    "another program has the gateway's default port, so it takes a free one; `gateway.port` sets one"
                );
                listen(0)?
            }
            socket => socket?,
        };
        options.http = Some(HttpServerOptions {
            socket,
            tls,
            peer: |peer, local| match kirosu_hub::owner_and_run_of_client(peer, local) {
                PeerOwner::Own => HttpPeer::Own,
                PeerOwner::Run => HttpPeer::Run,
                _ => HttpPeer::Other,
            },
            mcp_decisions: gateway.mcp_decisions,
            body_bytes: bytes(gateway.body_bytes),
            connections: gateway.connections as usize,
            timeouts: kirosu_gateway::HttpTimeouts::default(),
        });
    }
    if serves_metrics {
        let tls = acceptors.open("metrics.tls_certificate", metrics.tls())?;
        let is_secure = tls.is_some() || metrics.plain_beyond_loopback;
        options.metrics = Some(MetricsOptions {
            socket: listen(&metrics.host, metrics.port, "metrics", is_secure)?,
            tls,
        });
    }
    Ok(Some(options))
}

/// Whether the gateway may have another port than that of the settings: a hub must not fail because of a port that no layer of the
/// settings has chosen. Clients of `kirosu api` count on its port.
fn takes_free_port(loaded: &Loaded, role: Role) -> bool {
    let is_default = matches!(
        loaded.origins.get("gateway.port"),
        None | Some(Origin::Default)
    );
    is_default && role.has_hub()
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<(String, String)> {
    map.iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The name of this machine, shown with the name of each worker.
fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_config::LoadOptions;

    /// The defaults of the settings and those of the crates are written in two places.
    #[test]
    fn default_settings_are_the_defaults_of_the_crates() {
        let mut options = LoadOptions::with_env([("HOME", "/nonexistent")]);
        options.file = Some("/dev/null".into());
        let settings = Settings::load(options).unwrap().settings;
        assert_eq!(limits(&settings), Limits::default());
        assert_eq!(rules(&settings).retry, RetryPolicy::default());
        let defaults = StoreOptions::new(&settings.store.path, 0);
        // A store without a hub has no workers that reconnect, so its default has no grace.
        let store = StoreOptions {
            now_ms: 0,
            restart_grace_ms: 0,
            ..store(&settings)
        };
        assert_eq!(store, defaults);
    }
}
