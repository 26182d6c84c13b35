use super::Case;
use crate::ConfigFault;

/// One faulty file, and its one fault: the beginning, and a part of it.
const TABLE: &[(&str, &str, &str)] = &[
    (
        "[hub]\nporrt = 1",
        "hub.porrt (kirosu.toml:2): unknown key",
        "did you mean port?",
    ),
    (
        "[hubb]\nport = 1",
        "hubb (kirosu.toml:1): unknown section",
        "did you mean hub?",
    ),
    (
        "zzz = 1",
        "zzz (kirosu.toml:1): unknown section or key",
        "known are hub, store",
    ),
    ("hub = 3", "hub (kirosu.toml:1)", "write [hub]"),
    (
        "[pool]\nname = \"a\"",
        "pool (kirosu.toml:1)",
        "write [[pool]]",
    ),
    (
        "[hub]\nport = \"x\"",
        "hub.port (kirosu.toml:2)",
        "a whole number from 0 to 65535",
    ),
    (
        "[hub]\nport = 65536",
        "hub.port (kirosu.toml:2): cannot take 65536",
        "65535",
    ),
    (
        "[hub]\nport = \"of\"",
        "hub.port (kirosu.toml:2): cannot take \"of\"",
        "\"off\", or a whole number from 0 to 65535",
    ),
    (
        "[hub]\nport = \"off\"",
        "hub.port (kirosu.toml:2): \"off\" leaves the hub without an address",
        "set hub.socket",
    ),
    (
        "[hub]\nkey = 12345",
        "hub.key (kirosu.toml:2): cannot take this value",
        "one line",
    ),
    (
        "[hub]\nhost = \"\"",
        "hub.host (kirosu.toml:2)",
        "not empty",
    ),
    (
        "[hub]\nhost = \"0.0.0.0\"",
        "hub.host (kirosu.toml:2): refusing to listen",
        "KIRO_SWARM_KEY or [hub] key_file",
    ),
    (
        "[hub]\nhost = \"::\"",
        "hub.host (kirosu.toml:2): refusing to listen",
        "without a key",
    ),
    (
        "[log]\nlevel = \"inof\"",
        "log.level (kirosu.toml:2): cannot take \"inof\"",
        "off, error, warn, info, debug, trace",
    ),
    (
        "data_dir = \"$HOME/x\"",
        "data_dir (kirosu.toml:1): cannot take \"$HOME/x\"",
        "write ~/ for the home directory",
    ),
    (
        "[providers.a]\nkind = \"command\"\ncommand = [\"$HOME/bin/agent\"]",
        "providers.a.command (kirosu.toml:3): cannot take \"$HOME/bin/agent\"",
        "$HOME is not expanded",
    ),
    (
        "[providers.a]\nkind = \"command\"\ncommand = [\"~you/agent\"]",
        "providers.a.command (kirosu.toml:3)",
        "only ~/ is expanded",
    ),
    (
        "[[pool]]\nname = \"a\"\nhooks = { after = [\"${HOME}/x\"] }",
        "pool.a.hooks.after (kirosu.toml:3)",
        "${HOME} is not expanded",
    ),
    (
        "[store]\ndurability = \"of course\"",
        "store.durability (kirosu.toml:2)",
        "one of full, normal",
    ),
    (
        "[store]\nwal_limit = \"1 KiB\"",
        "store.wal_limit (kirosu.toml:2)",
        "a size from 1 MiB to 16 GiB",
    ),
    (
        "[lease]\ndefault = \"2days\"",
        "lease.default (kirosu.toml:2)",
        "a time from 1s to 1day",
    ),
    (
        "[lease]\ndefault = \"soon\"",
        "lease.default (kirosu.toml:2)",
        "\"5m\"",
    ),
    (
        "[lease]\nmax = \"1m\"",
        "lease.default (default)",
        "outside lease.min to lease.max (1s to 1m)",
    ),
    (
        "[lease]\nmin = \"1h\"\nmax = \"1m\"\ndefault = \"1m\"",
        "lease.min (kirosu.toml:2)",
        "longer than lease.max",
    ),
    (
        "[limits]\nprompt_bytes = \"1 GiB\"",
        "limits.prompt_bytes (kirosu.toml:2)",
        "limits.line_bytes",
    ),
    (
        "[limits]\nnesting = 128",
        "limits.nesting (kirosu.toml:2)",
        "a whole number from 1 to 120",
    ),
    (
        "[retry]\njitter = nan",
        "retry.jitter (kirosu.toml:2)",
        "a number from 0 to 1",
    ),
    (
        "[retry]\ninitial = \"1h\"",
        "retry.initial (kirosu.toml:2)",
        "longer than retry.max",
    ),
    (
        "[gateway]\nenabled = true\nhost = \"0.0.0.0\"",
        "gateway.host (kirosu.toml:3)",
        "without a key",
    ),
    (
        "[metrics]\nenabled = true\nhost = \"::\"",
        "metrics.host (kirosu.toml:3)",
        "without a key",
    ),
    (
        "[agent]\nprovider = \"codx\"",
        "agent.provider (kirosu.toml:2)",
        "did you mean codex?",
    ),
    (
        "[[pool]]\nsize = 1",
        "pool[0] (kirosu.toml:1)",
        "needs a key name",
    ),
    (
        "[[pool]]\nname = \"A b\"",
        "pool[0].name (kirosu.toml:2)",
        "a-z",
    ),
    (
        "[[pool]]\nname = \"a\"\nsize = 10001",
        "pool.a.size (kirosu.toml:3)",
        "0 to 10000",
    ),
    (
        "[[notify]]\nname = \"a\"",
        "notify.a.kind: has to be set",
        "one of webhook, command, desktop",
    ),
    (
        "[[notify]]\nevents = []",
        "notify[0] (kirosu.toml:1): needs a key kind",
        "desktop",
    ),
    (
        "[[notify]]\nkind = \"mail\"\nname = \"a\"",
        "notify.a.kind (kirosu.toml:2): cannot take \"mail\"",
        "one of webhook, command, desktop",
    ),
    (
        "[[notify]]\nkind = \"desktop\"\n\n[[notify]]\nkind = \"desktop\"",
        "notify.desktop (kirosu.toml:4): a second target of this name",
        "give it one",
    ),
    (
        "[[notify]]\nkind = \"desktop\"\nevents = [\"fail\"]",
        "notify.desktop.events (kirosu.toml:3): has the unknown word",
        "failed",
    ),
    (
        "[[notify]]\nkind = \"webhook\"",
        "notify.webhook.url: has to be set",
        "url_env",
    ),
    (
        "[[notify]]\nkind = \"command\"",
        "notify.command.command",
        "a program and its arguments",
    ),
    (
        "[[notify]]\nkind = \"desktop\"\nurl = \"https://a\"",
        "notify.desktop.url (kirosu.toml:3): belongs to kind = \"webhook\"",
        "desktop",
    ),
    (
        "[[notify]]\nkind = \"desktop\"\nretry_initial = \"2m\"",
        "notify.desktop.retry_initial (kirosu.toml:3): is longer",
        "retry_max",
    ),
    (
        "[[pool]]\nname = \"a\"\nsise = 1",
        "pool.a.sise (kirosu.toml:3)",
        "did you mean size?",
    ),
    (
        "[[pool]]\nname = \"a\"\nprovider = \"ecko\"",
        "pool.a.provider (kirosu.toml:3)",
        "did you mean echo?",
    ),
    (
        "[[pool]]\nname = \"a\"\nqueues = []",
        "pool.a.queues (kirosu.toml:3)",
        "at least one",
    ),
    (
        "[[pool]]\nname = \"a\"\ntypes = [\"human\"]",
        "pool.a.types (kirosu.toml:3)",
        "never leased",
    ),
    (
        "[[pool]]\nname = \"a\"\nenv = 3",
        "pool.a.env (kirosu.toml:3)",
        "a table of names and texts",
    ),
    (
        "[[pool]]\nname = \"a\"\nenv = { X = 1 }",
        "pool.a.env.X (kirosu.toml:3)",
        "cannot take 1",
    ),
    (
        "[[pool]]\nname = \"a\"\nenv = { \"X=\" = \"\" }",
        "pool.a.env.X=",
        "a variable can have",
    ),
    (
        "[[pool]]\nname = \"a\"\n\n[[pool]]\nname = \"a\"",
        "pool.a (kirosu.toml:4)",
        "the first: kirosu.toml:1",
    ),
    (
        "[[pool]]\nname = \"a\"\nsize = 10000\n[limits]\nconnections = 10",
        "limits.connections (kirosu.toml:5)",
        "10000 sessions",
    ),
    (
        "[[pool]]\nname = \"a\"\nprovider = \"python\"",
        "pool.a.trust_all_tools (default)",
        "hub.trust_all_tools and pool.a.trust_all_tools",
    ),
    (
        "[hub]\ntrust_all_tools = true\n[[pool]]\nname = \"a\"\ntypes = [\"python\"]",
        "pool.a.trust_all_tools",
        "set pool.a.trust_all_tools to true",
    ),
    (
        "[[pool]]\nname = \"a\"\ntrust = \"edit\"\ntrust_all_tools = true",
        "pool.a.trust (kirosu.toml:3)",
        "contradicts trust_all_tools = true",
    ),
    (
        "[[pool]]\nname = \"a\"\ntrust = \"all\"\ntrust_all_tools = false",
        "pool.a.trust (kirosu.toml:3)",
        "contradicts trust_all_tools = false",
    ),
    (
        "[[pool]]\nname = \"a\"\nhooks = { befor = [\"make\"] }",
        "pool.a.hooks.befor (kirosu.toml:3)",
        "did you mean before?",
    ),
    (
        "[[pool]]\nname = \"a\"\nhooks = { before = \"make deps\" }",
        "pool.a.hooks.before (kirosu.toml:3)",
        "a program and its arguments",
    ),
    (
        "[[pool]]\nname = \"a\"\nhooks = { timeout = \"0s\" }",
        "pool.a.hooks.timeout (kirosu.toml:3)",
        "from 1s to 1day",
    ),
    (
        "[budget]\nper = \"7h\"",
        "budget.per (kirosu.toml:2)",
        "a time that divides a day",
    ),
    (
        "[[pool]]\nname = \"a\"\nbudget = { per = \"1h\" }",
        "pool.a.budget (kirosu.toml:3)",
        "it limits nothing",
    ),
    (
        "[providers.claude]\nbudget = { dollars = 2 }",
        "providers.claude.budget.dollars (kirosu.toml:2)",
        "unknown key",
    ),
    (
        "[providers.x]\ncommand = [\"a\"]",
        "providers.x.kind",
        "has to be set: one of command, acp, python, echo",
    ),
    (
        "[providers.x]\nkind = \"command\"",
        "providers.x.command (default)",
        "[\"program\", \"argument\"]",
    ),
    (
        "[providers.x]\nkind = \"echo\"\ncommand = [\"a\"]",
        "providers.x.command (kirosu.toml:3)",
        "only for kinds command and acp",
    ),
    (
        "[providers.\"X y\"]\nkind = \"echo\"",
        "providers.X y (kirosu.toml:1)",
        "a name",
    ),
    (
        "[log]\nformat = 2024-01-01",
        "log.format (kirosu.toml:2)",
        "the date 2024-01-01",
    ),
];

#[test]
fn every_fault_names_key_place_and_what_is_allowed() {
    for (file, start, part) in TABLE {
        let faults = Case::new(file).faults();
        assert_eq!(faults.len(), 1, "{file}\n{faults:?}");
        assert!(faults[0].starts_with(start), "{file}\n{faults:?}");
        assert!(faults[0].contains(part), "{file}\n{faults:?}");
    }
}

#[test]
fn routers_and_accounts_report_all_their_faults() {
    let file = "[providers.any]\nkind = \"router\"\nproviders = [\"claud\", \"codex\", \"python\", \"codex\", \"other\"]\non = [\"netwrok\"]\nconcurrency = 1\n[providers.other]\nkind = \"router\"\nproviders = [\"any\"]\n[providers.none]\nkind = \"router\"\n[providers.codex]\nproviders = [\"claude\"]\naccount = \"team\"\nconcurrency = 2\n[providers.claude]\naccount = \"team\"\nconcurrency = 3\n";
    let starts = [
        "providers.any.providers (kirosu.toml:3): no provider claud is defined; did you mean claude?",
        "providers.any.providers (kirosu.toml:3): python runs prompts as code",
        "providers.any.providers (kirosu.toml:3): names codex twice",
        "providers.any.providers (kirosu.toml:3): goes in a circle: any, other, any",
        "providers.any.on (kirosu.toml:4): netwrok is no failure",
        "providers.any.concurrency (kirosu.toml:5): belongs to the providers",
        "providers.codex.providers (kirosu.toml:12): is only for kind router",
        "providers.none.providers: has to name at least one",
        "providers.other.providers (kirosu.toml:8): goes in a circle: other, any, other",
        "providers.codex.concurrency (kirosu.toml:14): the account team is shared with claude, which says 3",
    ];
    let faults = Case::new(file).faults();
    for start in starts {
        let reported = faults.iter().any(|fault| fault.starts_with(start));
        assert!(reported, "{start}\n{faults:#?}");
    }
    assert_eq!(faults.len(), starts.len(), "{faults:#?}");
}

#[test]
fn faults_of_other_crates_are_reported_unless_they_follow_from_earlier_ones() {
    let file = "[hub]\nporrt = 1\n[providers.a]\nkind = \"command\"\n[[approval.rule]]\nname = \"x\"\naction = \"perhaps\"";
    let mut case = Case::new(file);
    case.options.also = Some(|loaded| {
        let fault = |key: &str| ConfigFault {
            key: key.to_owned(),
            origin: None,
            message: loaded.settings.approval.rule.len().to_string(),
        };
        vec![fault("providers.a.output"), fault("prices.x.input")]
    });
    let faults = case.faults();
    let starts = [
        "hub.porrt (kirosu.toml:2): unknown key",
        "approval.rule[0].action (kirosu.toml:5): cannot take \"perhaps\": one of allow, deny, ask",
        "providers.a.command",
        "prices.x.input: 0",
    ];
    assert_eq!(faults.len(), starts.len(), "{faults:#?}");
    for (fault, start) in faults.iter().zip(starts) {
        assert!(fault.starts_with(start), "{fault}\n{start}");
    }
}

#[test]
fn all_faults_of_all_layers_come_at_once() {
    let file = "[hub]\nhost = \"0.0.0.0\"\nporrt = 1\n[[pool]]\nname = \"a\"\nsize = -1\n[[pool]]\nsize = \"x\"";
    let faults = Case::new(file)
        .env("KIROSU_LEASE__DEFAULT", "never")
        .env("KIROSU_POOL__AA__SIZE", "3")
        .env("KIROSU_HUB__KEYS", "secret text")
        .flag("hub.trust_all_tools", "perhaps")
        .flag("hub", "1")
        .faults();
    let starts = [
        "hub.porrt (kirosu.toml:3)",
        "pool.a.size (kirosu.toml:6)",
        "pool[1] (kirosu.toml:7)",
        "pool[1].size (kirosu.toml:8)",
        "hub.keys (environment KIROSU_HUB__KEYS): unknown key; did you mean key?",
        "lease.default (environment KIROSU_LEASE__DEFAULT)",
        "KIROSU_POOL__AA__SIZE (environment KIROSU_POOL__AA__SIZE): nothing is defined under the name aa; did you mean a?",
        "hub.trust_all_tools (flag --hub-trust_all_tools): cannot take \"perhaps\": true or false",
        "hub (flag --hub): a whole section, not a key: write hub.KEY",
        "hub.host (kirosu.toml:2): refusing to listen beyond loopback",
    ];
    assert_eq!(faults.len(), starts.len(), "{faults:#?}");
    for (fault, start) in faults.iter().zip(starts) {
        assert!(fault.starts_with(start), "{fault}\n{start}");
    }
    assert!(!faults.concat().contains("secret text"));
}

#[test]
fn syntax_errors_name_their_line() {
    let faults = Case::new("[hub]\nport = \n[store\n").faults();
    assert!(
        faults[0].starts_with("syntax (kirosu.toml:2): cannot be read as TOML"),
        "{faults:?}"
    );
    assert!(
        faults
            .iter()
            .any(|fault| fault.starts_with("syntax (kirosu.toml:3)")),
        "{faults:?}"
    );
}

#[test]
fn a_loopback_host_needs_no_key_and_a_key_opens_the_others() {
    for host in ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"] {
        Case::new("").flag("hub.host", host).load();
    }
    let open = Case::new("").flag("hub.host", "0.0.0.0");
    let short = open.env("KIRO_SWARM_KEY", "fifteen-letters").faults();
    assert!(short[0].contains("15 characters"), "{short:?}");
    let open = Case::new("").flag("hub.host", "0.0.0.0");
    assert!(
        open.env("KIRO_SWARM_KEY", "sixteen-letters-")
            .flag("hub.plain_beyond_loopback", "true")
            .load()
            .settings
            .hub
            .key
            .is_some()
    );
    let plain = Case::new("").flag("hub.host", "0.0.0.0");
    let plain = plain.env("KIRO_SWARM_KEY", "sixteen-letters-").faults();
    assert!(plain[0].contains("without TLS"), "{plain:?}");
}

#[test]
fn variables_and_flags_cannot_do_what_only_a_file_can() {
    let pool = "[[pool]]\nname = \"a\"";
    let by_flag = |key: &str, value: &str| Case::new(pool).flag(key, value).faults();
    for (key, part) in [
        ("pool.a.name", "a name can only be given in the file"),
        ("pool.A b.size", "not a name"),
        ("pool.a", "write pool.NAME.KEY"),
        ("pool.a.env", "write env.NAME"),
        ("hub.port.x", "nothing lies below port"),
        ("", "unknown section or key"),
    ] {
        let faults = by_flag(key, "1");
        assert_eq!(faults.len(), 1, "{key}: {faults:?}");
        assert!(faults[0].contains(part), "{key}: {faults:?}");
    }
    let faults = Case::new(pool).env("KIROSU_POOL__A", "1").faults();
    assert!(faults[0].contains("write pool.NAME.KEY"), "{faults:?}");
}

#[test]
fn a_refused_key_is_not_blamed_on_the_host_as_well() {
    let file = "[hub]\nhost = \"0.0.0.0\"\nkey_file = \"/nonexistent\"";
    let faults = Case::new(file).faults();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(
        faults[0].starts_with("hub.key_file (kirosu.toml:3)"),
        "{faults:?}"
    );
}

#[test]
fn a_path_in_a_missing_home_is_refused() {
    let case = Case::new("[log]\nfile = \"~/log\"").env("HOME", "");
    assert!(case.faults()[0].contains("needs HOME, which is not set"));
}
