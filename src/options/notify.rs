//! The targets of notifications: their options, and what the hub knows of them.

use kirosu_config::{NotifySection, Settings};
use kirosu_notify::{Address, NotifyOptions, TargetOptions, Way};
use kirosu_protocol::client::Endpoint;
use kirosu_protocol::{NotifyKind, NotifyTarget, RetryPolicy, millis};
use kirosu_providers::Containment;

/// The options of all targets together.
pub fn notify(
    settings: &Settings,
    endpoint: Endpoint,
    key: String,
    containment: &Containment,
) -> NotifyOptions {
    NotifyOptions {
        endpoint,
        key: Some(key),
        containment: containment.clone(),
        folder: settings.data_dir.clone(),
    }
}

/// The targets, for their deliveries.
pub fn notify_targets(settings: &Settings) -> Vec<TargetOptions> {
    settings.targets.iter().map(target).collect()
}

fn target(target: &NotifySection) -> TargetOptions {
    TargetOptions {
        name: target.name.clone(),
        way: way(target),
        include: target.include.clone(),
        timeout: target.timeout,
        retry: RetryPolicy {
            initial_ms: millis(target.retry_initial),
            max_ms: millis(target.retry_max),
            factor: 2.0,
        },
    }
}

fn way(target: &NotifySection) -> Way {
    match target.kind {
        NotifyKind::Webhook => Way::Webhook {
            // The settings have exactly one of the two.
            address: match (&target.url, &target.url_env) {
                (Some(url), _) => Address::Url(url.clone()),
                (None, name) => Address::Env(name.clone().unwrap_or_default()),
            },
            plain: target.plain_beyond_loopback,
            secret_env: target.secret_env.clone(),
            secret_file: target.secret_file.clone(),
        },
        NotifyKind::Command => Way::Command(target.command.clone()),
        NotifyKind::Desktop => Way::Desktop,
    }
}

/// The targets, for the hub.
pub(super) fn wanted(settings: &Settings) -> Vec<NotifyTarget> {
    let target = |target: &NotifySection| NotifyTarget {
        name: target.name.clone(),
        kind: target.kind,
        events: target.event_bits(),
        queues: target.queues.clone(),
        types: target.types.clone(),
        labels: target.labels.clone(),
    };
    settings.targets.iter().map(target).collect()
}

/// The faults of addresses: the name of the target, and a message.
pub(super) fn faults(settings: &Settings) -> Vec<(String, String)> {
    let fault = |target: &NotifySection| {
        let url = target.url.as_ref()?;
        let why = kirosu_notify::check_address(url, target.plain_beyond_loopback).err()?;
        Some((target.name.clone(), why))
    };
    settings.targets.iter().filter_map(fault).collect()
}
