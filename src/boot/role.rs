//! Roles of a process: the parts of the tree that it runs.

use kirosu_config::{ProviderKind, Settings};
use kirosu_protocol::task::TYPE_PYTHON;

/// The parts that a process runs. Every role but [`Role::Pools`] also runs a gateway if the settings enable one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `kirosu hub`: a hub without pools.
    Hub,
    /// `kirosu up`: a hub and the configured pools.
    HubAndPools,
    /// `kirosu agent`: pools for a hub in another process.
    Pools,
    /// `kirosu api`: a gateway for a hub in another process.
    Gateway,
}

impl Role {
    pub fn has_hub(self) -> bool {
        matches!(self, Role::Hub | Role::HubAndPools)
    }

    pub(super) fn has_pools(self) -> bool {
        matches!(self, Role::Pools | Role::HubAndPools)
    }
}

/// For pools whose hub is in another process: a pool whose provider runs prompts as code gets only tasks of type `python`, which
/// that hub hands out if it has opted in. This process cannot know whether it has.
///
/// # Errors
/// Such a pool names another type.
pub fn keep_code_to_python_tasks(settings: &mut Settings) -> Result<(), String> {
    let is_code = |name: &str| {
        let provider = settings.providers.get(name);
        provider.is_some_and(|provider| provider.kind == ProviderKind::Python)
    };
    let code: Vec<bool> = settings
        .pools
        .iter()
        .map(|it| is_code(&it.provider))
        .collect();
    for (pool, _) in settings
        .pools
        .iter_mut()
        .zip(code)
        .filter(|(_, code)| *code)
    {
        if let Some(other) = pool.types.iter().find(|name| *name != TYPE_PYTHON) {
            return Err(format!(
                "pool {}: its provider {} runs prompts as code, so its types may only name {TYPE_PYTHON}, not {other}",
                pool.name, pool.provider
            ));
        }
        pool.types = vec![TYPE_PYTHON.to_owned()];
    }
    Ok(())
}
