//! What the swarm and its pools are told.

use super::policy::{approval, prices};
use super::providers::{model_of, routed};
use super::{bytes, host_name, pairs};
use crate::boot::BootError;
use kirosu_config::pool::ProviderKind;
use kirosu_config::{self as config, Pool, Settings};
use kirosu_protocol::budget::{Scope, micros_of};
use kirosu_protocol::client::Endpoint;
use kirosu_protocol::verbs::reserve::ScopeLimit;
use kirosu_providers::{Containment, Timeouts};
use kirosu_supervision::{BackoffPolicy, Intensity, Restart};
use kirosu_swarm::{AccountOptions, HookOptions, PoolOptions, SwarmOptions, WorkspaceMode};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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
        timeouts: timeouts(pool, provider.kind, provider.preset.is_some()),
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
            config::pool::Workspace::Shared => WorkspaceMode::Shared,
            config::pool::Workspace::Isolated => WorkspaceMode::Isolated,
            config::pool::Workspace::Ephemeral => WorkspaceMode::Ephemeral,
            config::pool::Workspace::Worktree => WorkspaceMode::Worktree,
        },
        workdir: pool.workdir.clone(),
        base: pool.base.clone(),
        hooks: hooks(&pool.hooks()),
        trust_all_tools: pool.trust_all_tools,
        accept_commands: pool.accept_commands,
        approval: approval(settings).map_err(|faults| BootError::Approval(faults.join("; ")))?,
        workspace_mcp: pool.workspace_mcp.unwrap_or(pool.trust_all_tools),
        may_edit: pool.trust == Some(config::pool::Trust::Edit),
        model: pool
            .model
            .clone()
            .or_else(|| model_of(&pool.provider, provider, &pool.env)),
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
        breaker: pool
            .breaker
            .unwrap_or_else(|| default_breaker(settings, provider)),
        containment: Some(containment.clone()),
        ..PoolOptions::new(
            &pool.name,
            build(&pool.provider, provider)?,
            settings.workspaces_dir(),
        )
    })
}

/// Agent programs and model APIs that fail each task at once are broken. A program of one's own that prints text may
/// mean what it says of each task.
fn default_breaker(settings: &Settings, provider: &config::Provider) -> u32 {
    let says_more = || {
        let format = provider.output.as_ref().and_then(|it| it.get("format"));
        format.is_some_and(|format| format != "text")
    };
    let is_on = match provider.kind {
        ProviderKind::Acp | ProviderKind::OpenAi | ProviderKind::Anthropic => true,
        ProviderKind::Command => provider.preset.is_some() || says_more(),
        ProviderKind::Python | ProviderKind::Echo => false,
        ProviderKind::Router => {
            let mut members = provider.providers.iter().flatten();
            members.any(|name| {
                let member = settings.providers.get(name);
                member.is_some_and(|member| default_breaker(settings, member) > 0)
            })
        }
    };
    match is_on {
        true => kirosu_swarm::DEFAULT_BREAKER,
        false => 0,
    }
}

fn hooks(hooks: &config::Hooks) -> HookOptions {
    HookOptions {
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

/// The time limits of a pool's runs. Programs whose output is known print while they work, so that one which prints nothing
/// for long hangs; a command of the user's own may well be silent for as long as it runs.
fn timeouts(pool: &Pool, kind: ProviderKind, has_preset: bool) -> Timeouts {
    let is_agent = match kind {
        ProviderKind::Command => has_preset,
        ProviderKind::Acp | ProviderKind::Router => true,
        _ => false,
    };
    let (start, silence) = silences(pool.start_timeout, pool.silence_timeout, is_agent);
    Timeouts {
        start,
        silence,
        total: pool.timeout,
    }
}

/// The limits of the time to the first output and of silence. Zero means no limit, `None` the default. A limit of silence
/// that the pool sets counts from the start, unless it sets one for that as well.
fn silences(
    start: Option<Duration>,
    silence: Option<Duration>,
    is_agent: bool,
) -> (Option<Duration>, Option<Duration>) {
    let limit = |set: Option<Duration>, default: Duration| match set {
        Some(Duration::ZERO) => None,
        Some(limit) => Some(limit),
        None => is_agent.then_some(default),
    };
    let start = match (start, silence) {
        (None, Some(silence)) if !silence.is_zero() => None,
        (start, _) => limit(start, config::pool::START_TIMEOUT),
    };
    (start, limit(silence, config::pool::SILENCE_TIMEOUT))
}

/// The account that a provider belongs to.
fn account(settings: &Settings, provider: &str) -> AccountOptions {
    let account = settings.account_of(provider);
    AccountOptions {
        provider: provider.to_owned(),
        account: account.name,
        limits: kirosu_swarm::AccountLimits {
            concurrency: account.concurrency,
            requests_per_minute: account.requests_per_minute,
            tokens_per_minute: account.tokens_per_minute,
        },
        model: settings
            .providers
            .get(provider)
            .and_then(|it| model_of(provider, it, &BTreeMap::new())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_have_limits_of_silence_unless_the_pool_says_otherwise() {
        let seconds = |it: u64| Some(Duration::from_secs(it));
        let (off, own) = (seconds(0), seconds(5));
        for (start, silence, is_agent, expected) in [
            (None, None, true, (seconds(600), seconds(1800))),
            (None, None, false, (None, None)),
            (off, off, true, (None, None)),
            (None, off, true, (seconds(600), None)),
            (own, None, true, (own, seconds(1800))),
            // It counts from the start, as it always did.
            (None, own, true, (None, own)),
            (own, own, false, (own, own)),
        ] {
            let found = silences(start, silence, is_agent);
            assert_eq!(found, expected, "{start:?} {silence:?} {is_agent}");
        }
    }
}
