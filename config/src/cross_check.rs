//! Checks of values against each other.

use std::net::IpAddr;
use std::time::Duration;

use kirosu_protocol::settings::TrustLevel;

use crate::bounds;
use crate::fault::ConfigFault;
use crate::notify;
use crate::origin::{Origin, Origins};
use crate::routers::{self, undefined};
use crate::settings::{DEFINITION, HubPort, PoolSection, ProviderKind, ProviderSection, Settings};
use crate::tls;

/// Longest path of a Unix socket in bytes, without the closing zero (unix(7)).
const SOCKET_PATH: usize = 107;

/// Keys of a model API.
const SERVICE: &[&str] = &[
    "base_url",
    "api",
    "key_env",
    "key_file",
    "key_header",
    "max_tokens",
    "body",
];

/// Characters of the shortest key with which a hub listens beyond loopback, and of the shortest one that it takes from its data
/// folder.
pub(crate) const SHORTEST_KEY: usize = 16;
/// Characters below which such a key causes a warning.
pub(crate) const SHORT_KEY: usize = 32;

/// Adds a fault for every contradiction between keys. A fault that follows from an earlier one is left out.
pub(crate) fn check(settings: &Settings, origins: &Origins, faults: &mut Vec<ConfigFault>) {
    let mut checker = Checker {
        origins,
        faults: Vec::new(),
    };
    checker.hub(settings);
    checker.ranges(settings);
    checker.approval(settings);
    checker.budgets(settings);
    for (name, provider) in &settings.providers {
        checker.provider(name, provider);
    }
    routers::check(settings, &mut |key, message| checker.refuse(&key, message));
    for pool in &settings.pools {
        checker.pool(settings, pool);
    }
    for target in &settings.targets {
        notify::check(target, &mut |key, message| checker.refuse(&key, message));
    }
    extend(faults, checker.faults);
}

/// Adds the faults that do not follow from an earlier one.
pub(crate) fn extend(faults: &mut Vec<ConfigFault>, more: Vec<ConfigFault>) {
    let blamed: Vec<String> = faults.iter().map(|fault| fault.key.clone()).collect();
    let new = |fault: &ConfigFault| !blamed.iter().any(|earlier| follows(earlier, &fault.key));
    faults.extend(more.into_iter().filter(new));
}

/// Whether a fault of the second key may follow from one of the first: both are in the same pool or provider, or are the
/// same key, or the hub's key is missing because it was refused.
fn follows(earlier: &str, later: &str) -> bool {
    let scope = |key: &str| -> String {
        let parts: Vec<&str> = key.split('.').collect();
        match parts[..] {
            [section @ ("pool" | "providers" | "notify"), name, ..] => format!("{section}.{name}"),
            ["hub", "key" | "key_file"] => "hub.host".to_owned(),
            _ => key.to_owned(),
        }
    };
    scope(earlier) == scope(later)
}

/// The number of characters of the hub's key.
pub(crate) fn key_length(settings: &Settings) -> Option<usize> {
    let key = settings.hub.key.as_ref()?;
    Some(key.expose().chars().count())
}

pub(crate) fn listens_beyond_loopback(settings: &Settings) -> bool {
    let (gateway, metrics) = (&settings.gateway, &settings.metrics);
    settings.hub.port != HubPort::Off && !is_loopback(&settings.hub.host)
        || gateway.enabled && !is_loopback(&gateway.host)
        || metrics.enabled && !is_loopback(&metrics.host)
}

/// Whether only this machine can reach the address.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

struct Checker<'a> {
    origins: &'a Origins,
    faults: Vec<ConfigFault>,
}

impl Checker<'_> {
    fn refuse(&mut self, key: &str, message: impl Into<String>) {
        self.faults
            .push(ConfigFault::new(key, self.origins.get(key), message));
    }

    fn hub(&mut self, settings: &Settings) {
        let hub = &settings.hub;
        let (gateway, metrics) = (&settings.gateway, &settings.metrics);
        let has_port = hub.port != HubPort::Off;
        if !has_port && hub.socket.is_none() && settings.default_socket.is_none() {
            self.refuse(
                "hub.port",
                "\"off\" leaves the hub without an address: set hub.socket to the path of a Unix socket",
            );
        }
        for (key, message) in tls::faults(settings) {
            self.refuse(&key, message);
        }
        for (section, host, listens, is_secure) in [
            (
                "hub",
                &hub.host,
                has_port,
                hub.plain_beyond_loopback || hub.tls_certificate.is_some(),
            ),
            (
                "gateway",
                &gateway.host,
                gateway.enabled,
                gateway.plain_beyond_loopback || gateway.tls_certificate.is_some(),
            ),
            (
                "metrics",
                &metrics.host,
                metrics.enabled,
                metrics.plain_beyond_loopback || metrics.tls_certificate.is_some(),
            ),
        ] {
            if !listens || is_loopback(host) {
                continue;
            }
            let key = &format!("{section}.host");
            if let Some(length) = key_length(settings).filter(|length| *length < SHORTEST_KEY) {
                self.refuse(
                    key,
                    format!(
                        "refusing to listen beyond loopback ({host}) with a key of {length} characters, which can be guessed: set one of at least {SHORT_KEY} random characters"
                    ),
                );
            }
            if hub.key.is_none() {
                self.refuse(
                    key,
                    format!(
                        "refusing to listen beyond loopback ({host}) without a key: set KIRO_SWARM_KEY or [hub] key_file"
                    ),
                );
            } else if !is_secure {
                self.refuse(
                    key,
                    format!(
                        "refusing to listen beyond loopback ({host}) without TLS: set tls_certificate and tls_key in [{section}] (`kirosu tls new` makes both), or plain_beyond_loopback = true there if a tunnel or proxy protects the connections"
                    ),
                );
            }
        }
        let length = hub.socket.as_ref().map_or(0, |path| path.as_os_str().len());
        if length > SOCKET_PATH {
            let message =
                format!("a path of {length} bytes: at most {SOCKET_PATH} are allowed for a socket");
            self.refuse("hub.socket", message);
        }
        if !settings.providers.contains_key(&settings.agent.provider) {
            let message = undefined(settings, &settings.agent.provider);
            self.refuse("agent.provider", message);
        }
    }

    fn ranges(&mut self, settings: &Settings) {
        let lease = &settings.lease;
        if lease.min > lease.max {
            let max = humantime::format_duration(lease.max);
            self.refuse("lease.min", format!("longer than lease.max ({max})"));
        } else {
            self.lease("lease.default", lease.default, settings);
        }
        let limits = &settings.limits;
        if limits.prompt_bytes > limits.line_bytes {
            self.refuse(
                "limits.prompt_bytes",
                "more than limits.line_bytes: a prompt has to fit in one line",
            );
        }
        if limits.in_flight_per_connection > limits.in_flight_total {
            self.refuse(
                "limits.in_flight_per_connection",
                "more than limits.in_flight_total",
            );
        }
        let (retry, supervision) = (&settings.retry, &settings.supervision);
        for (section, initial, max) in [
            ("retry", retry.initial, retry.max),
            ("supervision", supervision.initial, supervision.max),
        ] {
            if initial > max {
                let message = format!("longer than {section}.max");
                self.refuse(&format!("{section}.initial"), message);
            }
        }
        let sessions: u64 = settings.pools.iter().map(|pool| u64::from(pool.size)).sum();
        if sessions >= u64::from(limits.connections) {
            let message =
                format!("the pools' {sessions} sessions need a connection each: allow more");
            self.refuse("limits.connections", message);
        }
    }

    fn approval(&mut self, settings: &Settings) {
        let rules = &settings.approval.rule;
        for (index, rule) in rules.iter().enumerate() {
            if rules[..index].iter().any(|other| other.name == rule.name) {
                let key = format!("approval.rule[{index}].name");
                let message = "a second rule of this name; names are unique";
                let origin = self.origins.get("approval.rule");
                self.faults.push(ConfigFault::new(key, origin, message));
            }
        }
    }

    fn lease(&mut self, key: &str, length: Duration, settings: &Settings) {
        let (min, max) = (settings.lease.min, settings.lease.max);
        if !(min..=max).contains(&length) {
            let [length, min, max] = [length, min, max].map(humantime::format_duration);
            let message = format!("{length} is outside lease.min to lease.max ({min} to {max})");
            self.refuse(key, message);
        }
    }

    fn provider(&mut self, name: &str, provider: &ProviderSection) {
        let key = |key: &str| format!("providers.{name}.{key}");
        // The file may change the kind of a built-in provider. The keys of its preset are then not a fault.
        let origins = self.origins;
        let written = |key: &str| {
            origins
                .get(key)
                .is_some_and(|origin| *origin != Origin::Default)
        };
        let is_program = provider.kind.is_program();
        if is_program && provider.command.is_empty() && provider.preset.is_none() {
            self.refuse(
                &key("command"),
                "has to be set for kinds command and acp without a preset: [\"program\", \"argument\"]",
            );
        }
        if provider.acp.is_some() && provider.kind == ProviderKind::Command {
            self.refuse(&key("acp"), "is only for kind acp");
        }
        if !is_program {
            for name in ["preset", "command"]
                .iter()
                .chain(DEFINITION)
                .filter(|name| written(&key(name)))
            {
                // `command = []` is the default.
                let is_default = *name == "command" && provider.command.is_empty();
                if is_default || (*name == "preset" && provider.kind.is_service()) {
                    continue;
                }
                self.refuse(&key(name), "is only for kinds command and acp");
            }
        }
        if !provider.kind.is_service() {
            for name in SERVICE.iter().filter(|name| written(&key(name))) {
                self.refuse(&key(name), "is only for kinds openai and anthropic");
            }
            for name in provider.headers.keys() {
                let name = key(&format!("headers.{name}"));
                self.refuse(&name, "is only for kinds openai and anthropic");
            }
        }
        if provider.delay.is_some() && provider.kind != ProviderKind::Echo {
            self.refuse(&key("delay"), "is only for kind echo");
        }
        self.variables(&format!("providers.{name}"), provider.env.keys());
    }

    fn pool(&mut self, settings: &Settings, pool: &PoolSection) {
        let key = |key: &str| format!("pool.{}.{key}", pool.name);
        let provider = settings.provider_of(pool);
        // If the default provider is missing, one fault is enough for all pools that use it.
        if provider.is_none() && pool.provider != settings.agent.provider {
            self.refuse(&key("provider"), undefined(settings, &pool.provider));
        }
        if pool.queues.is_empty() {
            self.refuse(&key("queues"), "names no queue: at least one is needed");
        }
        if pool.types.iter().any(|kind| kind == "human") {
            self.refuse(
                &key("types"),
                "cannot hold human: such tasks wait for a person and are never leased",
            );
        }
        self.lease(&key("lease"), pool.lease, settings);
        self.variables(&format!("pool.{}", pool.name), pool.env.keys());
        let all = pool.trust == Some(TrustLevel::All);
        if pool.trust.is_some() && all != pool.trust_all_tools {
            let word = if all { "false" } else { "true" };
            let message = format!(
                "contradicts trust_all_tools = {word}, which means {}: keep one of the two",
                if all { "less than all" } else { "all" }
            );
            self.refuse(&key("trust"), message);
        }
        bounds::check(pool, &mut |key, message| self.refuse(&key, message));
        let runs_code = provider.is_some_and(|provider| provider.kind == ProviderKind::Python)
            || pool.types.iter().any(|kind| kind == "python");
        if runs_code {
            self.trust(settings, pool);
        }
    }

    /// Refuses budgets of pools and providers without a limit. The section `[budget]` may have none.
    fn budgets(&mut self, settings: &Settings) {
        let pools = settings.pools.iter();
        let pools = pools.map(|it| (format!("pool.{}.budget", it.name), it.budget()));
        let providers = settings.providers.iter();
        let providers =
            providers.map(|(name, it)| (format!("providers.{name}.budget"), it.budget()));
        for (key, budget) in pools.chain(providers) {
            if budget.is_some_and(|budget| budget.is_empty()) {
                self.refuse(&key, "it limits nothing: give tokens or usd");
            }
        }
    }

    fn trust(&mut self, settings: &Settings, pool: &PoolSection) {
        let own = format!("pool.{}.trust_all_tools", pool.name);
        let missing: Vec<&str> = [
            ("hub.trust_all_tools", settings.hub.trust_all_tools),
            (own.as_str(), pool.trust_all_tools),
        ]
        .into_iter()
        .filter_map(|(key, set)| (!set).then_some(key))
        .collect();
        if !missing.is_empty() {
            let message = format!(
                "refusing to run the code of tasks: set {} to true if everyone who can enqueue may run code here",
                missing.join(" and ")
            );
            self.refuse(&own, message);
        }
    }

    fn variables<'n>(&mut self, prefix: &str, names: impl Iterator<Item = &'n String>) {
        for name in names.filter(|name| name.is_empty() || name.contains(['=', '\0'])) {
            self.refuse(
                &format!("{prefix}.env.{name}"),
                "not a name that a variable can have",
            );
        }
    }
}
