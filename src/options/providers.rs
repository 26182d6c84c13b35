//! Options of providers.

use super::pairs;
use kirosu_config::{ProviderKind, ProviderSection, Settings};
use kirosu_providers::{HttpServiceOptions, ProviderOptions, RouterOptions};
use serde_json::Value;
use std::collections::BTreeMap;

/// The options of a provider; a router includes those of its members. Checked settings have no circle of routers.
pub fn routed(settings: &Settings, name: &str, provider: &ProviderSection) -> ProviderOptions {
    let members = provider.providers.iter().flatten().filter_map(|member| {
        let found = settings.providers.get(member)?;
        let model = model_of(member, found, &BTreeMap::new());
        Some((routed(settings, member, found), model))
    });
    let mut options = provider_options(name, provider);
    options.router = RouterOptions {
        members: members.collect(),
        on: provider.on.clone().unwrap_or_default(),
        retry_after_tools: provider.retry_after_tools.unwrap_or_default(),
    };
    options
}

/// The model of runs for which neither task nor pool names one: the provider's, else that of its definition, which may read
/// the program's own settings. `env` holds the variables of the pool.
pub fn model_of(
    name: &str,
    provider: &ProviderSection,
    env: &BTreeMap<String, String>,
) -> Option<String> {
    if provider.model.is_some() || provider.kind != ProviderKind::Command {
        return provider.model.clone();
    }
    let definition = provider_options(name, provider).definition().ok()?;
    let own = |name: &str| env.get(name).or_else(|| provider.env.get(name)).cloned();
    definition.default_model(|name| own(name).or_else(|| std::env::var(name).ok()))
}

pub(super) fn provider_options(name: &str, provider: &ProviderSection) -> ProviderOptions {
    ProviderOptions {
        name: name.to_owned(),
        kind: <&str>::from(provider.kind).to_owned(),
        preset: provider.preset.clone(),
        overrides: provider.overrides(),
        argv: from_here(&provider.command),
        interpreter: Some(program(&provider.interpreter).into()),
        delay: provider.delay.unwrap_or_default(),
        env: pairs(&provider.env),
        http: service(provider),
        ..ProviderOptions::default()
    }
}

/// The command with an absolute path of its program. A relative path in the settings counts from the working directory of
/// this process, but a run has another one and must start the program that the probe has found.
fn from_here(command: &[String]) -> Vec<String> {
    let mut command = command.to_vec();
    if let Some(first) = command.first_mut() {
        *first = program(first);
    }
    command
}

/// The absolute path of a program that is a path. `{workdir}/...`, in the folder of each run, and names are unchanged.
fn program(program: &str) -> String {
    if !program.contains('/') || program.starts_with('{') {
        return program.to_owned();
    }
    let whole = std::path::absolute(program).ok();
    whole
        .and_then(|path| path.to_str().map(str::to_owned))
        .unwrap_or_else(|| program.to_owned())
}

/// The options of a model API.
fn service(provider: &ProviderSection) -> HttpServiceOptions {
    let body = provider.body.as_ref().and_then(Value::as_object);
    HttpServiceOptions {
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
