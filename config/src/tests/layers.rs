use std::path::Path;
use std::time::Duration;

use super::Case;
use crate::{Flag, HubPort, LoadOptions, Origin, ProviderKind, Purpose, Secret, Settings};
use kirosu_protocol::settings::SyncMode;

#[test]
fn each_layer_overrides_the_one_before_and_is_named_as_origin() {
    let file = "[hub]\nport = 1\n[limits]\nbatch = 5\nnesting = 5";
    let case = Case::new(file)
        .env("KIRO_SWARM_PORT", "2")
        .env("KIROSU_LIMITS__BATCH", "6")
        .env("KIROSU_LEASE__DEFAULT", "90")
        .flag("lease.default", "2m");
    let loaded = case.load();
    let origin = |key: &str| loaded.origins.get(key).unwrap().clone();
    assert_eq!(loaded.settings.hub.port, HubPort::Number(2));
    assert_eq!(origin("hub.port"), Origin::Env("KIRO_SWARM_PORT".into()));
    assert_eq!(loaded.settings.limits.batch, 6);
    assert_eq!(loaded.settings.limits.nesting, 5);
    let path = case.path("kirosu.toml");
    assert_eq!(origin("limits.nesting"), Origin::File { path, line: 5 });
    assert_eq!(loaded.settings.lease.default, Duration::from_secs(120));
    assert_eq!(
        origin("lease.default"),
        Origin::Flag("--lease-default".into())
    );
    assert_eq!(origin("hub.host"), Origin::Default);
    assert_eq!(loaded.origins.get("hub.socket"), None);
}

#[test]
fn a_new_name_overrides_a_historical_one_and_empty_ones_are_ignored() {
    let case = Case::new("")
        .env("KIRO_SWARM_PORT", "2")
        .env("KIROSU_HUB__PORT", "3")
        .env("KIRO_SWARM_HOST", "")
        .env("KIRO_PROVIDER", "codex")
        .env("MITTELO_KIRO_MODEL", "claude-opus")
        .env("KIRO_CODEX_EXTRA_ARGS", r#"-c 'a="b c"' --x=\ y"#);
    let settings = case.settings();
    assert_eq!(
        (settings.hub.port, settings.hub.host.as_str()),
        (HubPort::Number(3), "127.0.0.1")
    );
    assert_eq!(settings.agent.provider, "codex");
    assert_eq!(
        settings.providers["kiro"].model.as_deref(),
        Some("claude-opus")
    );
    let codex = &settings.providers["codex"];
    let extra = ["-c", "a=\"b c\"", "--x= y"].map(str::to_owned);
    assert_eq!(codex.extra_args.as_deref(), Some(extra.as_slice()));
    assert_eq!(codex.model, None);
}

#[test]
fn without_a_file_the_defaults_hold() {
    let case = Case::new("").env("XDG_DATA_HOME", "/data");
    let settings = case.settings();
    assert_eq!(settings.store.path, Path::new("/data/kirosu/kirosu.db"));
    assert_eq!(settings.store.durability, SyncMode::Full);
    assert_eq!(settings.limits.line_bytes, 16 << 20);
    assert_eq!(settings.lease.default, Duration::from_secs(300));
    assert!(settings.pools.is_empty());
    assert_eq!(settings.providers["python"].kind, ProviderKind::Python);
    // Without a home there still is a place for the data.
    let mut options = LoadOptions::with_env([("HOME", "")]);
    options.file = case.options.file.clone();
    let homeless = Settings::load(options).unwrap().settings;
    assert_eq!(homeless.store.path, Path::new("/var/lib/kirosu/kirosu.db"));
}

#[test]
fn pools_get_missing_keys_from_other_sections() {
    let file = r#"
        data_dir = "~/swarm"
        [lease]
        default = "1m"
        [[pool]]
        name = "code-review"
        env = { A = "file", B = "file" }
        [[pool]]
        name = "trial"
        provider = "echo"
        size = 0
    "#;
    let loaded = Case::new(file)
        .env("KIROSU_POOL__CODE_REVIEW__SIZE", "9")
        .env("KIROSU_POOL__CODE_REVIEW__ENV__B", "env")
        .flag("pool.trial.queues", "fast, slow")
        .flag("pool.extra.provider", "echo")
        .load();
    let settings = &loaded.settings;
    let [review, trial, extra] = &settings.pools[..] else {
        panic!(
            "three pools in the order in which they were written: {:?}",
            settings.pools
        );
    };
    assert_eq!((review.size, review.provider.as_str()), (9, "kiro"));
    assert_eq!(review.model.as_deref(), Some("claude-haiku-4.5"));
    assert_eq!(
        (review.env["A"].as_str(), review.env["B"].as_str()),
        ("file", "env")
    );
    assert_eq!(review.lease, Duration::from_secs(60));
    assert_eq!(trial.queues, ["fast", "slow"]);
    assert_eq!((trial.size, trial.model.as_deref()), (0, None));
    assert_eq!((extra.name.as_str(), extra.size), ("extra", 2));
    assert_eq!(settings.store.path, Path::new("/home/me/swarm/kirosu.db"));
    let origin = |key: &str| loaded.origins.get(key).unwrap().to_string();
    assert_eq!(
        origin("pool.code-review.lease"),
        "default, from lease.default"
    );
    assert_eq!(
        origin("pool.code-review.model"),
        "default, from providers.kiro.model"
    );
    assert_eq!(
        origin("pool.code-review.size"),
        "environment KIROSU_POOL__CODE_REVIEW__SIZE"
    );
}

#[test]
fn the_stronger_layer_of_key_and_key_file_counts() {
    let with_file = |more: &str| {
        let case = Case::new("");
        let key_file = case.path("hub.key");
        std::fs::write(&key_file, "from file\n").unwrap();
        let text = format!(
            "[hub]\nkey_file = {:?}\n{more}",
            key_file.display().to_string()
        );
        std::fs::write(case.path("kirosu.toml"), text).unwrap();
        case
    };
    let key = |case: &Case| case.settings().hub.key.map(|key| key.expose().to_owned());
    assert_eq!(key(&with_file("")).as_deref(), Some("from file"));
    assert_eq!(
        key(&with_file("").env("KIRO_SWARM_KEY", "x")).as_deref(),
        Some("x")
    );
    assert_eq!(key(&with_file("").env("KIRO_SWARM_KEY", "")), None);
    let both = with_file("key = \"other\"").faults();
    assert_eq!(both.len(), 1);
    assert!(both[0].contains("keep one of them"), "{both:?}");
    assert_eq!(
        format!("{:?} {}", Secret::new("x"), Secret::new("x")),
        "*** ***"
    );
}

#[test]
fn a_key_file_named_with_the_command_is_read_or_refused() {
    for file in ["/nonexistent/key", "/dev/zero"] {
        let mut case = Case::new("");
        case.options.purpose = Purpose::Client;
        case.options.flags.push(Flag::set("hub.key_file", file));
        let faults = case.faults();
        assert!(faults[0].starts_with("hub.key_file (flag"), "{faults:?}");
    }
}

#[test]
fn a_missing_key_file_stops_a_hub_and_not_a_client() {
    let mut case = Case::new("[hub]\nhost = \"hub.example\"\nkey_file = \"/nonexistent/key\"");
    assert!(case.faults()[0].contains("cannot read the key from /nonexistent/key"));
    case.options.purpose = Purpose::Client;
    let loaded = case.load();
    assert!(loaded.warnings[0].contains("/nonexistent/key"));
    assert_eq!(
        (loaded.settings.hub.host.as_str(), loaded.settings.hub.key),
        ("hub.example", None)
    );
}

#[test]
fn the_file_is_searched_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let make = |place: &str, port: u16| {
        let path = dir.path().join(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("[hub]\nport = {port}")).unwrap();
        path.display().to_string()
    };
    let home = dir.path().join("home").display().to_string();
    let xdg = dir.path().join("xdg").display().to_string();
    let mut options = LoadOptions::with_env([("HOME", home)]);
    options.here = dir.path().join("here");
    let port = |options: &LoadOptions| {
        Settings::load(options.clone())
            .unwrap()
            .settings
            .hub
            .port
            .number()
            .unwrap()
    };
    make("home/.config/kirosu/kirosu.toml", 1);
    assert_eq!(port(&options), 1);
    make("xdg/kirosu/kirosu.toml", 2);
    options.env.push(("XDG_CONFIG_HOME".into(), xdg));
    assert_eq!(port(&options), 2);
    let here = make("here/kirosu.toml", 3);
    let faults = Settings::load(options.clone()).unwrap_err();
    assert!(faults.0[0].is_untrusted(), "{faults}");
    let client = LoadOptions {
        purpose: Purpose::Client,
        ..options.clone()
    };
    assert_eq!(port(&client), 2);
    let named = LoadOptions {
        file: Some(here.into()),
        ..options.clone()
    };
    Settings::load(named).unwrap().trust().unwrap();
    assert_eq!((port(&options), port(&client)), (3, 3));
    // The settings of the user are no less trusted in their own folder.
    let at_home = LoadOptions {
        here: dir.path().join("xdg/kirosu"),
        ..options.clone()
    };
    assert_eq!(port(&at_home), 2);
    options
        .env
        .push(("KIROSU_CONFIG".into(), make("named.toml", 4)));
    assert_eq!(port(&options), 4);
    options.file = Some(make("flag.toml", 5).into());
    assert_eq!(port(&options), 5);
    options.file = Some("/nonexistent/kirosu.toml".into());
    let faults = Settings::load(options).unwrap_err().to_string();
    assert!(
        faults.contains("cannot read /nonexistent/kirosu.toml"),
        "{faults}"
    );
}

#[test]
fn a_file_without_an_end_is_refused() {
    let mut case = Case::new("");
    case.options.file = Some("/dev/zero".into());
    let faults = case.faults().join("\n");
    assert!(
        faults.contains("cannot read /dev/zero: it has more than 4194304 bytes"),
        "{faults}"
    );
    let long = case.path("long.toml");
    let comment = "# a comment\n".repeat(400_000);
    std::fs::write(&long, comment).unwrap();
    case.options.file = Some(long);
    assert!(case.faults()[0].contains("has more than"));
}

#[test]
fn unlikely_combinations_are_warnings() {
    let loaded = Case::new("[[pool]]\nname = \"a\"\ntrust_all_tools = true\nmax_output = \"32 MiB\"\n[hub]\nkey = \"k\"")
        .env("KIROSU_HUB_PORT", "9000")
        .env("KIROSU_TASK_ID", "7")
        .flag("hub.key", "on the command line")
        .load();
    let warnings = loaded.warnings.join("\n");
    for part in [
        "write KIROSU_HUB__PORT",
        "visible to every user",
        "pool.a.trust_all_tools",
        "kirosu.toml:4) is more than limits.line_bytes (16777216 bytes)",
    ] {
        assert!(warnings.contains(part), "{part}: {warnings}");
    }
    assert_eq!(loaded.warnings.len(), 4, "{warnings}");
    assert_eq!(loaded.settings.hub.port, HubPort::Number(8765));
}

#[test]
fn a_built_in_provider_can_be_changed_key_by_key() {
    let file = "[providers.kiro]\nmodel = \"\"\n[providers.codex]\nkind = \"echo\"\n[[pool]]\nname = \"a\"";
    let settings = Case::new(file).settings();
    assert_eq!(settings.providers["kiro"].preset.as_deref(), Some("kiro"));
    assert_eq!(
        (&settings.providers["kiro"].model, &settings.pools[0].model),
        (&None, &None)
    );
    assert_eq!(settings.providers["codex"].kind, ProviderKind::Echo);
}

#[test]
fn trust_all_is_trust_all_tools_by_another_name() {
    let trusts = |keys: &str| {
        let case = Case::new(&format!("[[pool]]\nname = \"a\"\n{keys}"));
        case.settings().pools[0].trust_all_tools
    };
    assert!(trusts("trust = \"all\""));
    assert!(trusts("trust = \"all\"\ntrust_all_tools = true"));
    assert!(!trusts("trust = \"edit\""));
}
