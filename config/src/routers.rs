//! Checks of routers and accounts: which providers a router chooses from, and which providers share limits.

use std::collections::BTreeMap;

use kirosu_protocol::settings::ROUTER_CLASSES;

use crate::schema::with_nearest;
use crate::settings::{ProviderKind, ProviderSection, Settings};

/// Keys of a router.
const ROUTER: &[&str] = &["providers", "on", "retry_after_tools"];

/// Keys of an account.
const ACCOUNT: &[&str] = &[
    "account",
    "concurrency",
    "requests_per_minute",
    "tokens_per_minute",
];

/// Calls `refuse` with the key and the message of every fault.
pub(crate) fn check(settings: &Settings, refuse: &mut dyn FnMut(String, String)) {
    for (name, provider) in &settings.providers {
        let is_router = provider.kind == ProviderKind::Router;
        let (wrong, message) = match is_router {
            true => (
                ACCOUNT,
                "belongs to the providers that the router chooses among",
            ),
            false => (ROUTER, "is only for kind router"),
        };
        if is_router {
            router(settings, name, provider, refuse);
        }
        let values = serde_json::to_value(provider).unwrap_or_default();
        for word in wrong.iter().filter(|word| !values[**word].is_null()) {
            refuse(key(name, word), message.to_owned());
        }
    }
    contradictions(settings, refuse);
}

fn key(provider: &str, key: &str) -> String {
    format!("providers.{provider}.{key}")
}

fn router(
    settings: &Settings,
    name: &str,
    router: &ProviderSection,
    refuse: &mut dyn FnMut(String, String),
) {
    let members = router.providers.as_deref().unwrap_or_default();
    let mut refuse_members = |message| refuse(key(name, "providers"), message);
    if members.is_empty() {
        refuse_members(
            "has to name at least one provider for kind router, the first choice first".to_owned(),
        );
    }
    for (at, member) in members.iter().enumerate() {
        match settings.providers.get(member) {
            None => refuse_members(undefined(settings, member)),
            Some(it) if it.kind == ProviderKind::Python => refuse_members(format!(
                "{member} runs prompts as code and cannot replace another provider"
            )),
            Some(_) if members[..at].contains(member) => {
                refuse_members(format!("names {member} twice"));
            }
            Some(_) => {}
        }
    }
    if let Some(circle) = circle(settings, name) {
        refuse_members(format!("goes in a circle: {}", circle.join(", ")));
    }
    for word in router.on.iter().flatten() {
        if !ROUTER_CLASSES.contains(&word.as_str()) {
            let message = format!("{word} is no failure at which a router moves on");
            let known = ROUTER_CLASSES.iter().copied();
            refuse(key(name, "on"), with_nearest(&message, word, known));
        }
    }
}

/// The message for a provider that is not defined.
pub(crate) fn undefined(settings: &Settings, name: &str) -> String {
    let known = settings.providers.keys().map(String::as_str);
    with_nearest(&format!("no provider {name} is defined"), name, known)
}

/// The providers on a path from a router back to itself. `None` means that there is no such path.
fn circle(settings: &Settings, start: &str) -> Option<Vec<String>> {
    fn walk<'a>(settings: &'a Settings, at: &'a str, path: &mut Vec<&'a str>) -> bool {
        let members = settings.providers.get(at);
        for next in members
            .into_iter()
            .flat_map(|it| it.providers.iter().flatten())
        {
            if path.first() == Some(&next.as_str()) {
                return true;
            }
            // A circle without `start`, which is reported for its own routers.
            if path.contains(&next.as_str()) {
                continue;
            }
            path.push(next);
            if walk(settings, next, path) {
                return true;
            }
            path.pop();
        }
        false
    }
    let mut path = vec![start];
    walk(settings, start, &mut path).then(|| {
        path.push(start);
        path.into_iter().map(str::to_owned).collect()
    })
}

/// Refuses limits of one account that differ between its providers.
fn contradictions(settings: &Settings, refuse: &mut dyn FnMut(String, String)) {
    let mut first: BTreeMap<(&str, &str), (&str, u64)> = BTreeMap::new();
    for (name, provider) in &settings.providers {
        let account = settings.account_of(name);
        let limits = [
            ("concurrency", provider.concurrency.map(u64::from)),
            (
                "requests_per_minute",
                provider.requests_per_minute.map(u64::from),
            ),
            ("tokens_per_minute", provider.tokens_per_minute),
        ];
        for (word, limit) in limits {
            let Some(limit) = limit else { continue };
            let (other, before) = *first.entry((account, word)).or_insert((name, limit));
            if before != limit {
                let message = format!(
                    "the account {account} is shared with {other}, which says {before}: say it once"
                );
                refuse(key(name, word), message);
            }
        }
    }
}
