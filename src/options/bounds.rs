//! The bounds of a pool's runs, from its settings.

use kirosu_config::{PoolSection, size_text};
use kirosu_providers::{RunBounds, RunLimits};

/// The bounds of the runs of a pool. Whether this system can enforce them is [`RunBounds::check`].
pub fn bounds(pool: &PoolSection) -> RunBounds {
    RunBounds {
        limits: RunLimits {
            memory: pool.memory,
            cpu: pool.cpu.map(thousandths),
            processes: pool.processes,
        },
        memory_text: pool.memory.map(size_text).unwrap_or_default(),
        pool: pool.name.clone(),
    }
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
