//! Signs that an agent program is logged in.

use kirosu_config::PoolSection;
use kirosu_providers::definition::{Definition, LoginSign};

/// The signs in words, and whether they are good; `None` if there is no way to know.
pub(super) fn words(
    definition: &Definition,
    env: &[(String, String)],
    pools: &[&PoolSection],
) -> (String, Option<bool>) {
    let var = |name: &str| {
        let of_pool = pools.iter().find_map(|pool| pool.env.get(name)).cloned();
        let own = env.iter().rev().find(|(known, _)| known == name);
        of_pool
            .or_else(|| own.map(|(_, value)| value.clone()))
            .or_else(|| std::env::var(name).ok())
    };
    match definition.login.find(var) {
        LoginSign::Found(sign) if sign.contains('/') => {
            (format!("probably logged in ({sign} exists)"), Some(true))
        }
        LoginSign::Found(sign) => (format!("has a key ({sign} is set)"), Some(true)),
        LoginSign::None(places) => (
            format!("no sign of a login (none of {})", places.join(", ")),
            Some(false),
        ),
        LoginSign::Unknown => ("its login cannot be checked".to_owned(), None),
    }
}
