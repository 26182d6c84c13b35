use super::{Case, crate_folder};
use crate::SupervisionSection;

fn profile(name: &str) -> Case {
    let path = crate_folder().join("profiles").join(format!("{name}.toml"));
    Case::new(&std::fs::read_to_string(path).unwrap())
}

/// Restarts of a session that crashes at once, each time, at the quickest the jitter allows: the most in any window.
fn most_restarts(supervision: &SupervisionSection) -> u32 {
    let (mut elapsed, mut wait, mut restarts) = (0.0, supervision.initial.as_secs_f64(), 0);
    loop {
        elapsed += wait * (1.0 - supervision.jitter);
        if elapsed > supervision.period.as_secs_f64() {
            return restarts;
        }
        restarts += 1;
        wait = (wait * supervision.factor).min(supervision.max.as_secs_f64());
    }
}

#[test]
fn each_loads_and_never_gives_up_on_a_provider_that_is_down() {
    for name in ["interactive", "batch", "monitor"] {
        let loaded = profile(name).load();
        assert!(loaded.warnings.is_empty(), "{name}: {:?}", loaded.warnings);
        let settings = loaded.settings;
        assert!(!settings.pools.is_empty(), "{name}");
        assert!(
            most_restarts(&settings.supervision) <= settings.supervision.restarts,
            "{name}"
        );
        // Each is meant to be taken as it is, on top of a provider of one's own choice.
        let echo = profile(name).env("KIRO_PROVIDER", "echo").settings();
        assert!(
            echo.pools.iter().all(|pool| pool.provider == "echo"),
            "{name}"
        );
    }
    let defaults = Case::new("").settings().supervision;
    assert!(most_restarts(&defaults) <= defaults.restarts);
}
