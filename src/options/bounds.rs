//! The bounds of a pool's runs, from its settings.

use kirosu_config::{OWN_KEY_FILE, PoolSection, SandboxMode, Settings, size_text};
use kirosu_providers::{RunBounds, RunLimits, RunUser, Sandbox};
use std::path::PathBuf;

/// The bounds of the runs of a pool. Whether this system can enforce them is [`RunBounds::check`].
///
/// # Errors
/// The user does not exist.
pub fn bounds(settings: &Settings, pool: &PoolSection) -> Result<RunBounds, String> {
    let user = pool.user.as_deref().map(RunUser::named).transpose()?;
    let user = user.flatten();
    Ok(RunBounds {
        limits: RunLimits {
            memory: pool.memory,
            cpu: pool.cpu.map(thousandths),
            processes: pool.processes,
        },
        sandbox: sandbox(settings, pool, user.as_ref()),
        user,
        memory_text: pool.memory.map(size_text).unwrap_or_default(),
        pool: pool.name.clone(),
    })
}

fn sandbox(settings: &Settings, pool: &PoolSection, user: Option<&RunUser>) -> Option<Sandbox> {
    if pool.sandbox == SandboxMode::Off {
        return None;
    }
    let home = match user {
        Some(user) => Some(user.home.clone()),
        None => std::env::var_os("HOME").map(PathBuf::from),
    };
    let whole = |path: &PathBuf| match (path.strip_prefix("~"), &home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.clone(),
    };
    let mut ports: Vec<u16> = settings.hub.port.number().into_iter().collect();
    if settings.gateway.enabled {
        ports.push(settings.gateway.port);
    }
    Some(Sandbox {
        write: pool.sandbox_write.iter().map(whole).collect(),
        hidden: own_files(settings),
        network: pool.sandbox_network,
        ports,
    })
}

/// The files of Kirosu itself, whole paths: the data folder, and what the settings place elsewhere.
fn own_files(settings: &Settings) -> Vec<PathBuf> {
    let store = &settings.store.path;
    let beside = |suffix: &str| {
        let mut path = store.clone().into_os_string();
        path.push(suffix);
        PathBuf::from(path)
    };
    let providers = settings.providers.values();
    let mut files = vec![
        settings.data_dir.clone(),
        settings.data_dir.join(OWN_KEY_FILE),
    ];
    files.extend(["", "-wal", "-shm", "-journal", ".lock"].map(beside));
    files.extend(settings.hub.key_file.clone());
    files.extend(settings.hub.socket.clone());
    files.extend(settings.default_socket.clone());
    files.extend(settings.log.file.clone());
    files.extend(settings.hub.tls_key.clone());
    files.extend(settings.hub.tls_client_key.clone());
    files.extend(settings.gateway.tls_key.clone());
    files.extend(providers.filter_map(|it| it.key_file.clone()));
    files
        .into_iter()
        .map(|path| std::path::absolute(&path).unwrap_or(path))
        .collect()
}

/// Thousandths of a core. The settings allow 0.01 to 1024 cores.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn thousandths(cores: f64) -> u32 {
    (cores * 1000.0).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_rounded_to_thousandths() {
        assert_eq!([1.5, 0.01, 1024.0].map(thousandths), [1500, 10, 1_024_000]);
    }
}
