//! From the settings to what each room is told: plain options, no room knows of the configuration.

use crate::boot::{BootError, Rooms};
use kirosu_config::approval::{ApprovalAction, ApprovalArgs, ApprovalRule};
use kirosu_config::pool::ProviderKind;
use kirosu_config::settings::{Backoff, Durability};
use kirosu_config::{self as config, Fault, Loaded, Pool, Settings};
use kirosu_gateway::{GatewayOptions, HttpOptions, MetricsOptions};
use kirosu_hub::{BindError, HubOptions, Rules};
use kirosu_protocol::budget::{Scope, micros_of};
use kirosu_protocol::client::Endpoint;
use kirosu_protocol::verbs::reserve::ScopeLimit;
use kirosu_protocol::{Limits, RetryPolicy};
use kirosu_providers::{
    Containment, HttpOptions as ServiceOptions, ProviderOptions, RouterOptions, Timeouts,
};
use kirosu_store::StoreOptions;
use kirosu_supervision::{BackoffPolicy, Intensity, Restart};
use kirosu_swarm::{
    Account, Action, ApprovalPolicy, ArgsText, Hooks, PoolOptions, Prices, Rule, RuleText,
    SwarmOptions, Workspace,
};
use serde_json::{Map, Value};
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
            Durability::Full => kirosu_store::Durability::Full,
            Durability::Normal => kirosu_store::Durability::Normal,
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
pub fn instance(settings: &Settings, rooms: Rooms, boot: &str) -> String {
    match rooms {
        Rooms::Pools | Rooms::Gateway => format!("agent {boot}"),
        _ => {
            let path = &settings.store.path;
            path.canonicalize()
                .unwrap_or_else(|_| path.clone())
                .to_string_lossy()
                .into_owned()
        }
    }
}

/// What the swarm is told.
pub fn swarm(
    settings: &Settings,
    endpoint: Endpoint,
    containment: &Containment,
    boot: &str,
) -> Result<SwarmOptions, BootError> {
    let host = host_name();
    Ok(SwarmOptions {
        endpoint,
        key: settings.hub.key.as_ref().map(|key| key.expose().to_owned()),
        pools: pools(settings, containment)?,
        instance: format!("{host}:{boot}"),
        host,
        drain: settings.shutdown.drain,
    })
}

/// What the gateway is told; none where nothing of it is served. Opens its sockets.
pub fn gateway(
    settings: &Settings,
    endpoint: Endpoint,
    rooms: Rooms,
) -> Result<Option<GatewayOptions>, BindError> {
    let (gateway, metrics) = (&settings.gateway, &settings.metrics);
    let key = settings.hub.key.as_ref().map(|key| key.expose().to_owned());
    let listen = |host: &str, port, section| {
        kirosu_hub::bind::tcp(host, port, key.is_some(), section).map(Arc::new)
    };
    let may_serve = rooms != Rooms::Pools;
    let serves_http = may_serve && (gateway.enabled || rooms == Rooms::Gateway);
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
        options.http = Some(HttpOptions {
            socket: listen(&gateway.host, gateway.port, "gateway")?,
            body_bytes: bytes(gateway.body_bytes),
            connections: gateway.connections as usize,
            patience: kirosu_gateway::Patience::default(),
        });
    }
    if serves_metrics {
        options.metrics = Some(MetricsOptions {
            socket: listen(&metrics.host, metrics.port, "metrics")?,
        });
    }
    Ok(Some(options))
}

/// What each pool is told.
pub fn pools(
    settings: &Settings,
    containment: &Containment,
) -> Result<Vec<PoolOptions>, BootError> {
    settings
        .pools
        .iter()
        .map(|pool| self::pool(settings, pool, containment))
        .collect()
}

fn pool(
    settings: &Settings,
    pool: &Pool,
    containment: &Containment,
) -> Result<PoolOptions, BootError> {
    let refuse = |source| BootError::Provider {
        pool: pool.name.clone(),
        source,
    };
    let build = |name: &str, provider: &config::Provider| {
        kirosu_providers::build(&routed(settings, name, provider), containment).map_err(refuse)
    };
    let Some(provider) = settings.provider_of(pool) else {
        // The configuration has checked it; a kind that nobody knows says the same here.
        return Err(refuse(kirosu_providers::BuildError::UnknownKind {
            name: pool.provider.clone(),
            kind: String::new(),
        }));
    };
    let python = settings
        .providers
        .values()
        .zip(settings.providers.keys())
        .find(|(p, _)| p.kind == ProviderKind::Python);
    let supervision = &settings.supervision;
    Ok(PoolOptions {
        python: python
            .map(|(provider, name)| build(name, provider))
            .transpose()?,
        size: pool.size,
        queues: pool.queues.clone(),
        types: pool.types.clone(),
        lease: pool.lease,
        timeouts: Timeouts {
            start: pool.start_timeout,
            silence: pool.silence_timeout,
            total: pool.timeout,
        },
        restart: match pool.restart {
            config::pool::Restart::Permanent => Restart::Permanent,
            config::pool::Restart::Transient => Restart::Transient,
            config::pool::Restart::Temporary => Restart::Temporary,
        },
        backoff: BackoffPolicy {
            initial: supervision.backoff.initial,
            max: supervision.backoff.max,
            factor: supervision.backoff.factor,
            jitter: supervision.backoff.jitter,
            healthy_after: supervision.healthy_after,
        },
        intensity: Intensity {
            restarts: supervision.restarts,
            period: supervision.period,
        },
        workspace: match pool.workspace {
            config::pool::Workspace::Shared => Workspace::Shared,
            config::pool::Workspace::Isolated => Workspace::Isolated,
            config::pool::Workspace::Ephemeral => Workspace::Ephemeral,
            config::pool::Workspace::Worktree => Workspace::Worktree,
        },
        workdir: pool.workdir.clone(),
        base: pool.base.clone(),
        hooks: hooks(&pool.hooks()),
        trust_all_tools: pool.trust_all_tools,
        accept_commands: pool.accept_commands,
        approval: approval(settings).map_err(|faults| BootError::Approval(faults.join("; ")))?,
        workspace_mcp: pool.workspace_mcp.unwrap_or(pool.trust_all_tools),
        may_edit: pool.trust == Some(config::pool::Trust::Edit),
        model: pool.model.clone(),
        env: pairs(&pool.env),
        max_output_bytes: bytes(pool.max_output),
        budgets: budgets(settings, pool),
        reserve: kirosu_protocol::Budget {
            tokens: Some(pool.reserve_tokens),
            micros: Some(micros_of(pool.reserve_usd)),
        },
        accounts: settings
            .providers
            .keys()
            .map(|name| account(settings, name))
            .collect(),
        prices: Arc::new(prices(settings).unwrap_or_default()),
        show_thoughts: pool.show_thoughts,
        containment: Some(containment.clone()),
        ..PoolOptions::new(
            &pool.name,
            build(&pool.provider, provider)?,
            settings.workspaces_dir(),
        )
    })
}

fn hooks(hooks: &config::Hooks) -> Hooks {
    Hooks {
        before: hooks.before.clone(),
        after: hooks.after.clone(),
        timeout: hooks.timeout,
        after_must_succeed: hooks.after_must_succeed,
    }
}

/// The budgets that a pool's runs may count against.
fn budgets(settings: &Settings, pool: &Pool) -> Vec<ScopeLimit> {
    let limit = |scope, budget: config::Budget| ScopeLimit {
        scope,
        limit: kirosu_protocol::Budget {
            tokens: budget.tokens,
            micros: budget.usd.map(micros_of),
        },
        per_seconds: budget.per.as_secs(),
    };
    let hub = Some(settings.budget).filter(|budget| !budget.is_empty());
    let hub = hub.map(|budget| limit(Scope::Hub, budget));
    let own = pool.budget();
    let own = own.map(|budget| limit(Scope::Pool(pool.name.clone()), budget));
    let providers = settings.providers.iter();
    let providers = providers.filter_map(|(name, provider)| {
        let budget = provider.budget()?;
        Some(limit(Scope::Provider(name.clone()), budget))
    });
    hub.into_iter().chain(own).chain(providers).collect()
}

/// The account that a provider belongs to.
fn account(settings: &Settings, provider: &str) -> Account {
    let account = settings.account_of(provider);
    Account {
        provider: provider.to_owned(),
        account: account.name,
        limits: kirosu_swarm::Limits {
            concurrency: account.concurrency,
            requests_per_minute: account.requests_per_minute,
            tokens_per_minute: account.tokens_per_minute,
        },
        model: settings
            .providers
            .get(provider)
            .and_then(|it| it.model.clone()),
    }
}

/// A provider, and for a router those that it chooses among; checked settings have no circle in them.
pub fn routed(settings: &Settings, name: &str, provider: &config::Provider) -> ProviderOptions {
    let members = provider.providers.iter().flatten().filter_map(|member| {
        let found = settings.providers.get(member)?;
        Some((routed(settings, member, found), found.model.clone()))
    });
    let mut options = provider_options(name, provider);
    options.router = RouterOptions {
        members: members.collect(),
        on: provider.on.clone().unwrap_or_default(),
        retry_after_tools: provider.retry_after_tools.unwrap_or_default(),
    };
    options
}

fn provider_options(name: &str, provider: &config::Provider) -> ProviderOptions {
    ProviderOptions {
        name: name.to_owned(),
        kind: match provider.kind {
            ProviderKind::Command => "command".into(),
            ProviderKind::Acp => "acp".into(),
            ProviderKind::OpenAi => "openai".into(),
            ProviderKind::Anthropic => "anthropic".into(),
            ProviderKind::Python => "python".into(),
            ProviderKind::Echo => "echo".into(),
            ProviderKind::Router => "router".into(),
        },
        preset: provider.preset.clone(),
        overrides: overrides(provider),
        argv: provider.command.clone(),
        interpreter: Some(provider.interpreter.clone().into()),
        delay: provider.delay.unwrap_or_default(),
        env: pairs(&provider.env),
        http: service(provider),
        ..ProviderOptions::default()
    }
}

/// What the settings say of a model API.
fn service(provider: &config::Provider) -> ServiceOptions {
    let body = provider.body.as_ref().and_then(Value::as_object);
    ServiceOptions {
        base_url: provider.base_url.clone(),
        api: provider.api.clone(),
        key_env: provider.key_env.clone(),
        key_file: provider.key_file.clone(),
        key_header: provider.key_header.clone(),
        max_tokens: provider.max_tokens,
        headers: pairs(&provider.headers),
        body: body.cloned().unwrap_or_default(),
    }
}

/// What the settings say of a definition, as its table.
fn overrides(provider: &config::Provider) -> Map<String, Value> {
    let list = |list: &Option<Vec<String>>| list.clone().map(Value::from);
    let keys = [
        ("model_args", list(&provider.model_args)),
        ("system_args", list(&provider.system_args)),
        ("resume_args", list(&provider.resume_args)),
        ("extra_args", list(&provider.extra_args)),
        ("trust", provider.trust.clone()),
        ("output", provider.output.clone()),
        ("acp", provider.acp.clone()),
        ("env_pass", list(&provider.env_pass)),
        ("mcp", provider.mcp.clone()),
        (
            "system_file_env",
            provider.system_file_env.clone().map(Value::from),
        ),
        ("stop_signal", provider.stop_signal.clone().map(Value::from)),
        ("version", list(&provider.version)),
        ("install", provider.install.clone().map(Value::from)),
        ("login", provider.login.clone()),
    ];
    let written = keys
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    written.collect()
}

/// What models cost.
///
/// # Errors
/// Every fault, as `MODEL.KEY: sentence`.
fn prices(settings: &Settings) -> Result<Prices, Vec<String>> {
    let table = settings.prices.as_ref().map(Prices::read);
    table.unwrap_or_else(|| Ok(Prices::default()))
}

/// Who decides over tool calls, or what is wrong with the rules, each with its place.
fn approval(settings: &Settings) -> Result<ApprovalPolicy, Vec<String>> {
    let approval = &settings.approval;
    let told = |(place, message)| format!("{place}: {message}");
    let written = approval
        .rules()
        .map_err(|faults| faults.into_iter().map(told).collect::<Vec<_>>())?;
    let (mut rules, mut faults) = (Vec::new(), Vec::new());
    for (index, rule) in written.into_iter().enumerate() {
        match Rule::new(rule_text(rule)) {
            Ok(rule) => rules.push(rule),
            Err(fault) => faults.push(format!("rule[{index}].{fault}")),
        }
    }
    match faults.is_empty() {
        true => Ok(ApprovalPolicy::new(approval.wait, rules)),
        false => Err(faults),
    }
}

fn rule_text(rule: ApprovalRule) -> RuleText {
    RuleText {
        name: rule.name,
        action: match rule.action {
            ApprovalAction::Allow => Action::Allow,
            ApprovalAction::Deny => Action::Deny,
            ApprovalAction::Ask => Action::Ask,
        },
        tool: rule.tool,
        kind: rule.kind,
        pool: rule.pool,
        args: rule.args.map(|args| match args {
            ApprovalArgs::All(pattern) => ArgsText::All(pattern),
            ApprovalArgs::Each(each) => ArgsText::Each(each),
        }),
    }
}

/// What is wrong with the definitions of providers and the prices: `config` knows their keys, only the providers' room what is in them.
pub fn definition_faults(loaded: &Loaded) -> Vec<Fault> {
    let mut faults = Vec::new();
    let providers = loaded.settings.providers.iter();
    for (name, provider) in providers {
        for fault in provider_options(name, provider).faults() {
            let (key, message) = fault.split_once(": ").unwrap_or(("command", &fault));
            // What lies below a key of the settings came from where that key was written.
            let top = key.split(['.', '[']).next().unwrap_or(key);
            let origin = loaded.origins.get(&format!("providers.{name}.{top}"));
            faults.push(Fault {
                key: format!("providers.{name}.{key}"),
                origin: origin.cloned(),
                message: message.to_owned(),
            });
        }
    }
    for fault in approval(&loaded.settings).err().into_iter().flatten() {
        let (key, message) = fault.split_once(": ").unwrap_or(("rule", &fault));
        faults.push(Fault {
            key: format!("approval.{key}"),
            origin: loaded.origins.get("approval.rule").cloned(),
            message: message.to_owned(),
        });
    }
    for fault in prices(&loaded.settings).err().into_iter().flatten() {
        let (key, message) = fault.split_once(": ").unwrap_or(("", &fault));
        faults.push(Fault {
            key: format!("prices.{key}"),
            origin: loaded.origins.get("prices").cloned(),
            message: message.to_owned(),
        });
    }
    faults
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
