//! Options of the swarm and its pools.

use super::policy::{permissions, prices};
use super::providers::{model_of, routed};
use super::{bytes, host_name, pairs};
use crate::boot::BootError;
use kirosu_config::{
    PoolSection, ProviderKind, ProviderSection, SILENCE_TIMEOUT, START_TIMEOUT, SessionRestart,
    Settings,
};
use kirosu_protocol::ScopeLimit;
use kirosu_protocol::access::new_secret;
use kirosu_protocol::budget::{Scope, micros_of};
use kirosu_protocol::client::Endpoint;
use kirosu_protocol::settings::TrustLevel;
use kirosu_protocol::verbs::hello::SessionSecret;
use kirosu_providers::{Cgroups, Containment, Timeouts};
use kirosu_supervision::{BackoffPolicy, Intensity, Restart};
use kirosu_swarm::{AccountOptions, AgentAddress, AgentHub, PoolOptions, SwarmOptions};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The options of the swarm.
///
/// # Errors
/// A pool cannot be built.
pub fn swarm(
    settings: &Settings,
    endpoint: Endpoint,
    agent_hub: Option<AgentAddress>,
    containment: &Containment,
    boot: &str,
) -> Result<SwarmOptions, BootError> {
    let host = host_name();
    Ok(SwarmOptions {
        endpoint,
        key: settings.client_key(),
        agent_hub: agent_hub
            .zip(own_program())
            .map(|(at, program)| AgentHub { at, program }),
        pools: pools(settings, containment)?,
        instance: format!("{host}:{boot}"),
        session_secret: SessionSecret(new_secret()?),
        host,
        drain: settings.shutdown.drain,
    })
}

/// The path of this program. `None`: it was removed, and agents cannot start it.
fn own_program() -> Option<String> {
    let program = std::env::current_exe().ok()?;
    Some(program.to_str()?.to_owned())
}

/// The options of each pool.
///
/// # Errors
/// A provider cannot be built, a permission rule cannot be compiled, or this system cannot bound the runs of a pool as its
/// settings require.
pub fn pools(
    settings: &Settings,
    containment: &Containment,
) -> Result<Vec<PoolOptions>, BootError> {
    let pool = |pool: &PoolSection| {
        let built = self::pool(settings, pool, containment)?;
        let enforced = built.bounds.check(Cgroups::of_this_process());
        enforced.map_err(|why| BootError::Bounds {
            pool: pool.name.clone(),
            why,
        })?;
        Ok(built)
    };
    settings.pools.iter().map(pool).collect()
}

fn pool(
    settings: &Settings,
    pool: &PoolSection,
    containment: &Containment,
) -> Result<PoolOptions, BootError> {
    let refuse = |source| BootError::Provider {
        pool: pool.name.clone(),
        source,
    };
    let bounds = super::bounds(settings, pool).map_err(|why| BootError::Bounds {
        pool: pool.name.clone(),
        why,
    })?;
    let bounds = Arc::new(bounds);
    let bounded = containment.bounded(bounds.clone());
    let build = |name: &str, provider: &ProviderSection| {
        kirosu_providers::build(&routed(settings, name, provider), &bounded).map_err(refuse)
    };
    let Some(provider) = settings.provider_of(pool) else {
        // The load has refused such settings; this is the error for the case that it did not.
        return Err(refuse(kirosu_providers::BuildError::UnknownKind {
            name: pool.provider.clone(),
            kind: String::new(),
        }));
    };
    let mut providers = settings.providers.iter();
    let python = providers.find(|(_, provider)| provider.kind == ProviderKind::Python);
    let supervision = &settings.supervision;
    Ok(PoolOptions {
        python: python
            .map(|(name, provider)| build(name, provider))
            .transpose()?,
        size: pool.size,
        queues: pool.queues.clone(),
        types: pool.types.clone(),
        lease: pool.lease,
        timeouts: timeouts(pool, provider.kind, provider.preset.is_some()),
        restart: match pool.restart {
            SessionRestart::Permanent => Restart::Permanent,
            SessionRestart::Transient => Restart::Transient,
            SessionRestart::Temporary => Restart::Temporary,
        },
        backoff: BackoffPolicy {
            initial: supervision.initial,
            max: supervision.max,
            factor: supervision.factor,
            jitter: supervision.jitter,
            healthy_after: supervision.healthy_after,
        },
        intensity: Intensity {
            restarts: supervision.restarts,
            period: supervision.period,
        },
        workspace: pool.workspace,
        workdir: pool.workdir.clone(),
        base: pool.base.clone(),
        hooks: pool.hooks(),
        trust_all_tools: pool.trust_all_tools,
        accept_commands: pool.accept_commands,
        approval: permissions(settings).map_err(|faults| BootError::Approval(faults.join("; ")))?,
        run_token: pool.run_token,
        workspace_mcp: pool.workspace_mcp.unwrap_or(pool.trust_all_tools),
        may_edit: pool.trust == Some(TrustLevel::Edit),
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
        bounds,
        ..PoolOptions::new(
            &pool.name,
            build(&pool.provider, provider)?,
            settings.workspaces_dir(),
        )
    })
}

/// The default of `breaker`. An agent program or a model API that fails every task at once is broken. A program without a
/// preset that prints text may fail for reasons of the tasks.
fn default_breaker(settings: &Settings, provider: &ProviderSection) -> u32 {
    let has_rules = || {
        let format = provider.output.as_ref().and_then(|it| it.get("format"));
        format.is_some_and(|format| format != "text")
    };
    let is_on = match provider.kind {
        ProviderKind::Acp | ProviderKind::OpenAi | ProviderKind::Anthropic => true,
        ProviderKind::Command => provider.preset.is_some() || has_rules(),
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

/// The budgets that a pool's runs may count against.
fn budgets(settings: &Settings, pool: &PoolSection) -> Vec<ScopeLimit> {
    let others = |it: &ScopeLimit| matches!(&it.scope, Scope::Pool(name) if *name != pool.name);
    let all = all_budgets(settings).into_iter();
    all.filter(|it| !others(it)).collect()
}

/// All budgets of the settings.
pub fn all_budgets(settings: &Settings) -> Vec<ScopeLimit> {
    let hub = Some(&settings.budget).filter(|budget| !budget.is_empty());
    let hub = hub.map(|budget| budget.limit(Scope::Hub));
    let pools = settings.pools.iter();
    let pools = pools.filter_map(|pool| {
        let budget = pool.budget()?;
        Some(budget.limit(Scope::Pool(pool.name.clone())))
    });
    let providers = settings.providers.iter();
    let providers = providers.filter_map(|(name, provider)| {
        let budget = provider.budget()?;
        Some(budget.limit(Scope::Provider(name.clone())))
    });
    hub.into_iter().chain(pools).chain(providers).collect()
}

/// The time limits of a pool's runs. A program with a preset prints while it works, so a long silence means that it hangs. A
/// command without one may be silent for as long as it runs.
fn timeouts(pool: &PoolSection, kind: ProviderKind, has_preset: bool) -> Timeouts {
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

/// The limits of the time to the first output and of silence. Zero means no limit, `None` means the default. A limit of
/// silence that the pool sets counts from the start of the run, unless the pool also sets a limit of the start.
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
        (start, _) => limit(start, START_TIMEOUT),
    };
    (start, limit(silence, SILENCE_TIMEOUT))
}

/// The account of a provider.
fn account(settings: &Settings, provider: &str) -> AccountOptions {
    AccountOptions {
        provider: provider.to_owned(),
        account: settings.account_of(provider).to_owned(),
        limits: settings.account_limits(provider),
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
            // The limit of silence counts from the start.
            (None, own, true, (None, own)),
            (own, own, false, (own, own)),
        ] {
            let found = silences(start, silence, is_agent);
            assert_eq!(found, expected, "{start:?} {silence:?} {is_agent}");
        }
    }
}
