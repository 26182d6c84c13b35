//! Accounts and routers: which providers share what, and which choose among others.

use std::collections::BTreeMap;

use crate::pool::{Provider, ProviderKind};
use crate::schema::with_nearest;
use crate::settings::Settings;

/// The failures at which a router may move on.
pub const ROUTER_CLASSES: &[&str] = &[
    "rate_limited",
    "auth_required",
    "network",
    "missing",
    "provider_error",
    "timeout",
    "crashed",
];

/// The limits of an account.
const LIMITS: &[&str] = &["concurrency", "requests_per_minute", "tokens_per_minute"];

/// What may be done with an account; nothing set, nothing limited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Its name: that of the provider, unless it says otherwise.
    pub name: String,
    /// Runs side by side.
    pub concurrency: Option<u32>,
    /// Runs begun within a minute.
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute.
    pub tokens_per_minute: Option<u64>,
}

impl Settings {
    /// The account of a provider, with the limits that it or another of its providers states.
    #[must_use]
    pub fn account_of(&self, provider: &str) -> Account {
        let name = self.account_name(provider);
        let same = |(other, _): &(&String, &Provider)| self.account_name(other) == name;
        let mut account = Account {
            name: name.to_owned(),
            ..Account::default()
        };
        for (_, it) in self.providers.iter().filter(same) {
            account.concurrency = account.concurrency.or(it.concurrency);
            account.requests_per_minute = account.requests_per_minute.or(it.requests_per_minute);
            account.tokens_per_minute = account.tokens_per_minute.or(it.tokens_per_minute);
        }
        account
    }

    fn account_name<'a>(&'a self, provider: &'a str) -> &'a str {
        let stated = self.providers.get(provider);
        stated
            .and_then(|it| it.account.as_deref())
            .unwrap_or(provider)
    }
}

/// Tells `refuse` the key and the message of everything that does not fit together.
pub(crate) fn check(settings: &Settings, refuse: &mut dyn FnMut(String, String)) {
    for (name, provider) in &settings.providers {
        match provider.kind {
            ProviderKind::Router => router(settings, name, provider, refuse),
            _ => plain(name, provider, refuse),
        }
    }
    contradictions(settings, refuse);
}

fn key(provider: &str, key: &str) -> String {
    format!("providers.{provider}.{key}")
}

fn plain(name: &str, provider: &Provider, refuse: &mut dyn FnMut(String, String)) {
    let stray = [
        ("providers", provider.providers.is_some()),
        ("on", provider.on.is_some()),
        ("retry_after_tools", provider.retry_after_tools.is_some()),
    ];
    for (word, _) in stray.into_iter().filter(|(_, written)| *written) {
        refuse(key(name, word), "is only for kind router".to_owned());
    }
}

fn router(
    settings: &Settings,
    name: &str,
    provider: &Provider,
    refuse: &mut dyn FnMut(String, String),
) {
    let members = provider.providers.as_deref().unwrap_or_default();
    let place = key(name, "providers");
    if members.is_empty() {
        refuse(
            place.clone(),
            "has to name at least one provider for kind router, the first choice first".to_owned(),
        );
    }
    for (at, member) in members.iter().enumerate() {
        match settings.providers.get(member) {
            None => {
                let known = settings.providers.keys().map(String::as_str);
                let message = format!("no provider {member} is defined");
                refuse(place.clone(), with_nearest(&message, member, known));
            }
            Some(it) if it.kind == ProviderKind::Python => {
                refuse(
                    place.clone(),
                    format!("{member} runs prompts as code and cannot stand in for another"),
                );
            }
            Some(_) if members[..at].contains(member) => {
                refuse(place.clone(), format!("names {member} twice"));
            }
            Some(_) => {}
        }
    }
    if let Some(way) = circle(settings, name) {
        refuse(place, format!("goes in a circle: {}", way.join(", ")));
    }
    for word in provider.on.iter().flatten() {
        if !ROUTER_CLASSES.contains(&word.as_str()) {
            let message = format!("{word} is no failure at which a router moves on");
            let known = ROUTER_CLASSES.iter().copied();
            refuse(key(name, "on"), with_nearest(&message, word, known));
        }
    }
    let limits = [
        provider.account.is_some(),
        provider.concurrency.is_some(),
        provider.requests_per_minute.is_some(),
        provider.tokens_per_minute.is_some(),
    ];
    let words = ["account"].iter().chain(LIMITS);
    for (word, _) in words.zip(limits).filter(|(_, written)| *written) {
        refuse(
            key(name, word),
            "belongs to the providers that the router chooses among".to_owned(),
        );
    }
}

/// The way from a router back to itself, where there is one.
fn circle(settings: &Settings, start: &str) -> Option<Vec<String>> {
    fn walk<'a>(settings: &'a Settings, at: &'a str, way: &mut Vec<&'a str>) -> bool {
        let members = settings.providers.get(at);
        for next in members
            .into_iter()
            .flat_map(|it| it.providers.iter().flatten())
        {
            if way.first() == Some(&next.as_str()) {
                return true;
            }
            // Another circle, which is told at its own router.
            if way.contains(&next.as_str()) {
                continue;
            }
            way.push(next);
            if walk(settings, next, way) {
                return true;
            }
            way.pop();
        }
        false
    }
    let mut way = vec![start];
    walk(settings, start, &mut way).then(|| {
        way.push(start);
        way.into_iter().map(str::to_owned).collect()
    })
}

/// Providers of one account that state another limit than each other.
fn contradictions(settings: &Settings, refuse: &mut dyn FnMut(String, String)) {
    let mut stated: BTreeMap<(&str, &str), (&str, u64)> = BTreeMap::new();
    for (name, provider) in &settings.providers {
        let account = settings.account_name(name);
        let limits = [
            provider.concurrency.map(u64::from),
            provider.requests_per_minute.map(u64::from),
            provider.tokens_per_minute,
        ];
        for (word, limit) in LIMITS.iter().zip(limits) {
            let Some(limit) = limit else { continue };
            match stated.get(&(account, *word)) {
                Some((other, before)) if *before != limit => refuse(
                    key(name, word),
                    format!(
                        "the account {account} is shared with {other}, which says {before}: say it once"
                    ),
                ),
                Some(_) => {}
                None => {
                    stated.insert((account, word), (name, limit));
                }
            }
        }
    }
}
