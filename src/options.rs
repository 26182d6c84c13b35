//! From the settings to what each room is told: plain options, no room knows of the configuration.

use kirosu_config::Settings;
use kirosu_config::settings::{Backoff, Durability};
use kirosu_hub::HubOptions;
use kirosu_protocol::{Limits, RetryPolicy};
use kirosu_store::StoreOptions;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The wall clock in Unix milliseconds.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
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

/// What the store is told.
pub fn store(settings: &Settings) -> StoreOptions {
    StoreOptions {
        durability: match settings.store.durability {
            Durability::Full => kirosu_store::Durability::Full,
            Durability::Normal => kirosu_store::Durability::Normal,
        },
        wal_limit_bytes: settings.store.wal_limit,
        retry_default: retry(&settings.retry),
        lease_ms_default: millis(settings.lease.default),
        restart_grace_ms: millis(settings.lease.heartbeat_grace),
        strict_expiry: settings.lease.strict_expiry,
        ..StoreOptions::new(&settings.store.path, now_ms())
    }
}

fn retry(backoff: &Backoff) -> RetryPolicy {
    RetryPolicy { initial_ms: millis(backoff.initial), max_ms: millis(backoff.max), factor: backoff.factor }
}

/// A duration in milliseconds.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}
