//! From the settings to what each room is told: plain options, no room knows of the configuration.

mod faults;
mod policy;
mod pools;
mod providers;

pub use faults::definition_faults;
pub use pools::{pools, swarm};
pub use providers::{model_of, routed};

use crate::boot::Role;
use kirosu_config::Settings;
use kirosu_config::settings::{Backoff, Durability};
use kirosu_gateway::{GatewayOptions, HttpServerOptions, MetricsOptions};
use kirosu_hub::{BindError, HubOptions, Rules};
use kirosu_protocol::client::Endpoint;
use kirosu_protocol::{Limits, RetryPolicy};
use kirosu_store::StoreOptions;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The wall clock in Unix milliseconds.
pub fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What the hub is told.
pub fn hub(settings: &Settings) -> HubOptions {
    HubOptions {
        host: Some(settings.hub.host.clone()),
        port: settings.hub.port,
        socket: settings.hub.socket.clone(),
        key: settings.hub.key.as_ref().map(|key| key.expose().to_owned()),
        trust_all_tools: settings.hub.trust_all_tools,
        limits: limits(settings),
        session_grace: settings.lease.session_grace,
        retention: settings.store.retention,
        readers: settings.store.readers as usize,
        backup_dir: settings.data_dir.join("backups"),
        store_path: settings.store.path.clone(),
    }
}

/// Sizes, counts and ranges.
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
        max_tasks_per_lease: limits.max_tasks_per_lease,
        lease_ms_min: millis(lease.min),
        lease_ms_max: millis(lease.max),
        lease_ms_default: millis(lease.default),
        wait_ms_max: millis(limits.wait_seconds_max),
        batch: limits.batch as usize,
        ..Limits::default()
    }
}

/// The rules that may change while the hub runs.
pub fn rules(settings: &Settings) -> Rules {
    Rules {
        session_grace: settings.lease.session_grace,
        retention: settings.store.retention,
        retry: retry(&settings.retry),
        retry_jitter: settings.retry.jitter,
        strict_expiry: settings.lease.strict_expiry,
    }
}

/// What the store is told.
pub fn store(settings: &Settings) -> StoreOptions {
    StoreOptions {
        durability: match settings.store.durability {
            Durability::Full => kirosu_store::SyncMode::Full,
            Durability::Normal => kirosu_store::SyncMode::Normal,
        },
        wal_limit_bytes: settings.store.wal_limit,
        retry_default: retry(&settings.retry),
        retry_jitter: settings.retry.jitter,
        lease_ms_default: millis(settings.lease.default),
        restart_grace_ms: millis(settings.lease.heartbeat_grace),
        strict_expiry: settings.lease.strict_expiry,
        ..StoreOptions::new(&settings.store.path, now_ms())
    }
}

/// How long the processes of an earlier run get to end when they are found at the start.
pub const KILL_GRACE: Duration = Duration::from_secs(2);

/// Names this house among others on the machine, for the processes it starts. That of a house with a store is the same
/// after a restart, so that it can end what a killed life of its own has left; the store's lock sees to it that no two
/// have the same. Agents alone have no lock: each start has a name of its own.
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

/// What the gateway is told; none where nothing of it is served. Opens its sockets.
pub fn gateway(
    settings: &Settings,
    endpoint: Endpoint,
    role: Role,
) -> Result<Option<GatewayOptions>, BindError> {
    let (gateway, metrics) = (&settings.gateway, &settings.metrics);
    let key = settings.hub.key.as_ref().map(|key| key.expose().to_owned());
    let listen = |host: &str, port, section| {
        kirosu_hub::bind::tcp(host, port, key.is_some(), section).map(Arc::new)
    };
    let may_serve = role != Role::Pools;
    let serves_http = may_serve && (gateway.enabled || role == Role::Gateway);
    let serves_metrics = may_serve && metrics.enabled;
    if !serves_http && !serves_metrics {
        return Ok(None);
    }
    let mut options = GatewayOptions {
        endpoint,
        key: key.clone(),
        http: None,
        metrics: None,
    };
    if serves_http {
        options.http = Some(HttpServerOptions {
            socket: listen(&gateway.host, gateway.port, "gateway")?,
            body_bytes: bytes(gateway.body_bytes),
            connections: gateway.connections as usize,
            timeouts: kirosu_gateway::HttpTimeouts::default(),
        });
    }
    if serves_metrics {
        options.metrics = Some(MetricsOptions {
            socket: listen(&metrics.host, metrics.port, "metrics")?,
        });
    }
    Ok(Some(options))
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<(String, String)> {
    map.iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// This machine's name, as people see it behind a worker's.
fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

fn retry(backoff: &Backoff) -> RetryPolicy {
    RetryPolicy {
        initial_ms: millis(backoff.initial),
        max_ms: millis(backoff.max),
        factor: backoff.factor,
    }
}

/// A duration in milliseconds.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}
