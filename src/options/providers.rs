//! What each provider is told.

use super::pairs;
use kirosu_config::pool::ProviderKind;
use kirosu_config::{self as config, Settings};
use kirosu_providers::{HttpServiceOptions, ProviderOptions, RouterOptions};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A provider, and for a router those that it chooses among; checked settings have no circle in them.
pub fn routed(settings: &Settings, name: &str, provider: &config::Provider) -> ProviderOptions {
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

/// The model of runs for which neither task nor pool names one: the provider's, else that of its definition. `env`:
/// variables of the pool. Reads the program's own settings.
pub fn model_of(
    name: &str,
    provider: &config::Provider,
    env: &BTreeMap<String, String>,
) -> Option<String> {
    if provider.model.is_some() || provider.kind != ProviderKind::Command {
        return provider.model.clone();
    }
    let definition = provider_options(name, provider).definition().ok()?;
    let own = |name: &str| env.get(name).or_else(|| provider.env.get(name)).cloned();
    definition.default_model(|name| own(name).or_else(|| std::env::var(name).ok()))
}

pub(super) fn provider_options(name: &str, provider: &config::Provider) -> ProviderOptions {
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
        argv: from_here(&provider.command),
        interpreter: Some(program(&provider.interpreter).into()),
        delay: provider.delay.unwrap_or_default(),
        env: pairs(&provider.env),
        http: service(provider),
        ..ProviderOptions::default()
    }
}

/// A command whose program, where it is a relative path, counts from the working directory of this process, as every path
/// of the settings: a run has another one, and its program must be the one that the probe has seen.
fn from_here(command: &[String]) -> Vec<String> {
    let mut command = command.to_vec();
    if let Some(first) = command.first_mut() {
        *first = program(first);
    }
    command
}

/// A program by its whole path, where it is a path. `{workdir}/...` is one in the folder of each run.
fn program(program: &str) -> String {
    if !program.contains('/') || program.starts_with('{') {
        return program.to_owned();
    }
    let whole = std::path::absolute(program).ok();
    whole
        .and_then(|path| path.to_str().map(str::to_owned))
        .unwrap_or_else(|| program.to_owned())
}

/// What the settings say of a model API.
fn service(provider: &config::Provider) -> HttpServiceOptions {
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
