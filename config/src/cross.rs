//! Checks of values against each other.

use std::net::IpAddr;
use std::time::Duration;

use crate::budget::{Budget, per_fault};
use crate::fault::Fault;
use crate::hooks::Hooks;
use crate::origin::{Origin, Origins};
use crate::pool::{Pool, Provider, ProviderKind, Trust, Workspace};
use crate::routes;
use crate::schema::with_nearest;
use crate::settings::{Backoff, Settings};

/// Longest path of a Unix socket in bytes, its closing zero not counted (unix(7)).
const SOCKET_PATH: usize = 107;

/// Keys that say how a command is called.
const DEFINITION: &[&str] = &[
    "preset",
    "command",
    "model_args",
    "system_args",
    "resume_args",
    "extra_args",
    "trust",
    "output",
    "acp",
    "env_pass",
    "mcp",
    "system_file_env",
    "stop_signal",
    "version",
    "install",
    "login",
];

/// Keys that say how a model API is asked.
const SERVICE: &[&str] = &[
    "base_url",
    "api",
    "key_env",
    "key_file",
    "key_header",
    "max_tokens",
    "body",
];

/// Adds a fault for everything that does not fit together. What follows from an earlier fault is left out.
pub(crate) fn check(settings: &Settings, origins: &Origins, faults: &mut Vec<Fault>) {
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
    routes::check(settings, &mut |key, message| checker.refuse(&key, message));
    for pool in &settings.pools {
        checker.pool(settings, pool);
    }
    extend(faults, checker.faults);
}

/// Adds what does not follow from an earlier fault.
pub(crate) fn extend(faults: &mut Vec<Fault>, more: Vec<Fault>) {
    let blamed: Vec<String> = faults.iter().map(|fault| fault.key.clone()).collect();
    let new = |fault: &Fault| !blamed.iter().any(|earlier| follows(earlier, &fault.key));
    faults.extend(more.into_iter().filter(new));
}

/// Whether a fault of the second key may come of one of the first: both in the same pool or provider, the same key, or
/// a missing hub key where the key itself was refused.
fn follows(earlier: &str, later: &str) -> bool {
    let thing = |key: &str| -> String {
        let parts: Vec<&str> = key.split('.').collect();
        match parts[..] {
            [section @ ("pool" | "providers"), name, ..] => format!("{section}.{name}"),
            ["hub", "key" | "key_file"] => "hub.host".to_owned(),
            _ => key.to_owned(),
        }
    };
    thing(earlier) == thing(later)
}

/// Combinations that are allowed and yet hardly meant.
pub(crate) fn warnings(settings: &Settings, origins: &Origins) -> Vec<String> {
    let line = settings.limits.line_bytes;
    let told = |key: String, what: String| {
        let place = origins.get(&key).map(|origin| format!(" ({origin})"));
        format!("{key}{} {what}", place.unwrap_or_default())
    };
    let mut warnings = Vec::new();
    for pool in &settings.pools {
        if pool.trust_all_tools && !settings.hub.trust_all_tools {
            warnings.push(told(
                format!("pool.{}.trust_all_tools", pool.name),
                "has no effect on python tasks: hub.trust_all_tools is false; agent programs of the pool do get their trust-all arguments".into(),
            ));
        }
        if pool.base.is_some() && pool.workspace != Workspace::Worktree {
            warnings.push(told(
                format!("pool.{}.base", pool.name),
                "has no effect: it is for workspace = \"worktree\"".into(),
            ));
        }
        if pool.max_output > line {
            warnings.push(told(
                format!("pool.{}.max_output", pool.name),
                format!("is more than limits.line_bytes ({line} bytes): a longer result cannot be sent to the hub, and its task fails"),
            ));
        }
    }
    warnings
}

/// Whether only this machine can reach what listens there.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

struct Checker<'a> {
    origins: &'a Origins,
    faults: Vec<Fault>,
}

impl Checker<'_> {
    fn refuse(&mut self, key: &str, message: impl Into<String>) {
        self.faults
            .push(Fault::new(key, self.origins.get(key), message));
    }

    fn hub(&mut self, settings: &Settings) {
        let hub = &settings.hub;
        let (gateway, metrics) = (&settings.gateway, &settings.metrics);
        for (key, host, listens) in [
            ("hub.host", &hub.host, true),
            ("gateway.host", &gateway.host, gateway.enabled),
            ("metrics.host", &metrics.host, metrics.enabled),
        ] {
            if listens && !is_loopback(host) && hub.key.is_none() {
                self.refuse(
                    key,
                    format!(
                        "refusing to listen beyond loopback ({host}) without a key: set KIRO_SWARM_KEY or [hub] key_file"
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
            self.refuse(
                "agent.provider",
                undefined(settings, &settings.agent.provider),
            );
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
        self.backoff("retry", &settings.retry);
        self.backoff("supervision", &settings.supervision.backoff);
        let sessions: u64 = settings.pools.iter().map(|pool| u64::from(pool.size)).sum();
        if sessions >= u64::from(limits.connections) {
            let message =
                format!("the pools' {sessions} sessions need a connection each: allow more");
            self.refuse("limits.connections", message);
        }
    }

    fn approval(&mut self, settings: &Settings) {
        for (place, message) in settings.approval.rules().err().into_iter().flatten() {
            let origin = self.origins.get("approval.rule");
            self.faults
                .push(Fault::new(format!("approval.{place}"), origin, message));
        }
    }

    fn backoff(&mut self, section: &str, backoff: &Backoff) {
        if backoff.initial > backoff.max {
            self.refuse(
                &format!("{section}.initial"),
                format!("longer than {section}.max"),
            );
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

    fn provider(&mut self, name: &str, provider: &Provider) {
        let key = |key: &str| format!("providers.{name}.{key}");
        // A built-in command that stands under another kind was not meant by anyone.
        let origins = self.origins;
        let written = |key: &str| {
            origins
                .get(key)
                .is_some_and(|origin| *origin != Origin::Default)
        };
        match (provider.kind, provider.command.is_empty()) {
            (ProviderKind::Command | ProviderKind::Acp, true) if provider.preset.is_none() => {
                self.refuse(
                    &key("command"),
                    "has to be set for kinds command and acp without a preset: [\"program\", \"argument\"]",
                );
            }
            _ => {}
        }
        if provider.acp.is_some() && provider.kind == ProviderKind::Command {
            self.refuse(&key("acp"), "is only for kind acp");
        }
        if !matches!(provider.kind, ProviderKind::Command | ProviderKind::Acp) {
            for name in DEFINITION.iter().filter(|name| written(&key(name))) {
                // Written out, the default says nothing.
                let says_nothing = *name == "command" && provider.command.is_empty();
                if says_nothing || (*name == "preset" && provider.kind.is_service()) {
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

    fn pool(&mut self, settings: &Settings, pool: &Pool) {
        let key = |key: &str| format!("pool.{}.{key}", pool.name);
        let provider = settings.provider_of(pool);
        // A pool on the usual provider needs no fault of its own when that one is missing.
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
        self.hooks(pool);
        let all = pool.trust == Some(Trust::All);
        if pool.trust.is_some() && all != pool.trust_all_tools {
            let word = if all { "false" } else { "true" };
            let message = format!(
                "contradicts trust_all_tools = {word}, which means {}: keep one of the two",
                if all { "less than all" } else { "all" }
            );
            self.refuse(&key("trust"), message);
        }
        let runs_code = provider.is_some_and(|provider| provider.kind == ProviderKind::Python)
            || pool.types.iter().any(|kind| kind == "python");
        if runs_code {
            self.trust(settings, pool);
        }
    }

    fn budgets(&mut self, settings: &Settings) {
        if let Some(why) = per_fault(settings.budget.per) {
            self.refuse("budget.per", why);
        }
        let of_pools = settings.pools.iter();
        let of_pools = of_pools.map(|pool| (format!("pool.{}.budget", pool.name), &pool.budget));
        let of_providers = settings.providers.iter();
        let of_providers =
            of_providers.map(|(name, it)| (format!("providers.{name}.budget"), &it.budget));
        for (key, table) in of_pools.chain(of_providers) {
            let faults = table.as_ref().map(Budget::read).and_then(Result::err);
            for (below, message) in faults.into_iter().flatten() {
                let name = match below.as_str() {
                    "" => key.clone(),
                    below => format!("{key}.{below}"),
                };
                self.faults
                    .push(Fault::new(name, self.origins.get(&key), message));
            }
        }
    }

    fn hooks(&mut self, pool: &Pool) {
        let key = |key: &str| format!("pool.{}.{key}", pool.name);
        let faults = pool.hooks.as_ref().map(Hooks::read).and_then(Result::err);
        for (below, message) in faults.into_iter().flatten() {
            let origin = self.origins.get(&key("hooks"));
            let name = format!("{}.{below}", key("hooks"));
            self.faults.push(Fault::new(name, origin, message));
        }
    }

    fn trust(&mut self, settings: &Settings, pool: &Pool) {
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

fn undefined(settings: &Settings, name: &str) -> String {
    let known = settings.providers.keys().map(String::as_str);
    with_nearest(&format!("no provider {name} is defined"), name, known)
}
