//! Agent programs end to end: the built binary, a stand-in of the program in PATH, and what users see of its runs.

use crate::common::{Hub, Setup, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::Path;

/// `kirosu up` with one agent on `provider`, the stand-in of `program` printing `capture`.
fn setup(provider: &str, program: &str, capture: &str, code: i32) -> Setup {
    let setup = Setup::new().up();
    let here = setup.directory.path().to_owned();
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("actors/providers/tests");
    symlink(room.join("stand_in.py"), here.join(program)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let capture = room.join("captures").join(capture);
    let env = |name: &str, value: &str| format!("pool.p.env.{name}={value}");
    setup
        .environment("PATH", &format!("{}:{path}", here.display()))
        .environment("KIRO_PROVIDER", provider)
        .set("pool.p.size=1")
        .set(&env("STAND_IN", here.to_str().unwrap()))
        .set(&env("CAPTURE", capture.to_str().unwrap()))
        .set(&env("CODE", &code.to_string()))
}

fn run(hub: &Hub, params: Value) -> Value {
    let mut client = hub.client();
    let id = client.enqueue_with(params);
    client.call("wait", json!({"task_ids": [id], "timeout_seconds": 30}));
    client.call("get", json!({"task_id": id}))
}

fn call(hub: &Hub) -> String {
    std::fs::read_to_string(hub.setup.directory.path().join("call")).unwrap()
}

#[test]
fn a_task_has_the_answer_and_what_it_cost() {
    let hub = setup("codex", "codex", "codex/json", 0)
        .environment("KIRO_CODEX_EXTRA_ARGS", "-c 'a=\"b c\"'")
        .start();
    let got = run(&hub, json!({"prompt": "two and two?", "max_attempts": 1}));
    let text = got.to_string();
    assert!(text.contains("STUB responses turn=1"), "{got}");
    assert!(text.contains("\"input_tokens\":1000"), "{got}");
    assert!(text.contains("\"cache_read_tokens\":200"), "{got}");
    assert!(text.contains("\"output_tokens\":34"), "{got}");
    let call = call(&hub);
    assert!(call.starts_with("two and two?\nexec\n--json\n"), "{call}");
    for part in [
        "\n-s\nread-only\n-m\ngpt-5.1-codex-mini\n-c\n",
        "\n-c\na=\"b c\"\n-\n",
        // The way to add tasks. The token is in the environment.
        "\nmcp_servers.kirosu={ \"args\" = [\"mcp\"]",
        "\nKIROSU_TOKEN\n",
    ] {
        assert!(call.contains(part), "{part}: {call}");
    }
    assert!(!call.contains("krt_"), "{call}");
}

#[test]
fn trust_all_arguments_are_given_when_and_only_when_the_pool_says_so() {
    let flag = "\n--trust-all-tools\n";
    for trusted in [false, true] {
        let hub = setup("kiro", "kiro-cli", "codex/plain", 0)
            .environment("KIRO_API_KEY", "k")
            .environment("OPENAI_API_KEY", "o")
            .set(&format!("pool.p.trust_all_tools={trusted}"))
            .start();
        let got = run(&hub, json!({"prompt": "x"}));
        assert!(got.to_string().contains("STUB responses turn=1"), "{got}");
        let call = call(&hub);
        assert_eq!(call.contains(flag), trusted, "{call}");
        assert!(call.contains("\n--model\nclaude-haiku-4.5\n"), "{call}");
        // It gets the keys of its own service, and no others.
        assert!(call.contains("\nKIRO_API_KEY\n"), "{call}");
        assert!(!call.contains("OPENAI_API_KEY"), "{call}");
    }
}

#[test]
fn a_run_that_never_said_it_was_done_has_failed_though_it_exited_with_0() {
    let hub = setup("gemini", "gemini", "gemini/sigterm", 0).start();
    let got = run(&hub, json!({"prompt": "x", "max_attempts": 1}));
    let text = got.to_string();
    assert!(text.contains("never reported that it was done"), "{got}");
    assert!(text.contains("provider_error"), "{got}");
}

#[test]
fn a_missing_program_is_told_once_and_no_task_is_burnt() {
    let mut setup = Setup::new().up().set("pool.p.size=3");
    setup.environment = vec![("PATH".into(), "/nowhere".into())];
    let hub = setup.start();
    let mut client = hub.client();
    let ids: Vec<i64> = (0..5).map(|_| client.enqueue("x")).collect();
    let told = |log: &str| log.matches("'kiro-cli' is not in PATH").count();
    until("the pool tells", || (told(&hub.log()) > 0).then_some(()));
    let log = hub.log();
    assert!(
        log.contains("kiro-cli login") && log.contains("KIRO_PROVIDER"),
        "{log}"
    );
    assert!(log.contains("codex, claude, gemini"), "{log}");
    for id in ids {
        assert_eq!(client.status(id), "queued");
    }
    assert_eq!(told(&hub.log()), 1, "{}", hub.log());
}

#[test]
fn what_is_wrong_with_a_definition_is_told_before_anything_runs() {
    let setup = Setup::new()
        .up()
        .set("providers.codex.trust={ sfae = [] }")
        .set("providers.codex.output={ format = \"jsonn\" }");
    let (status, _, said) = setup.run();
    assert!(!status.success());
    assert!(said.contains("providers.codex.trust.sfae"), "{said}");
    assert!(said.contains("did you mean safe?"), "{said}");
    assert!(said.contains("providers.codex.output.format"), "{said}");
}

#[test]
fn what_is_wrong_with_a_model_api_and_its_prices_is_told_before_anything_runs() {
    let setup = Setup::new()
        .up()
        .set("providers.ollama.base_url=localhost:11434")
        .set("providers.openai.headers.authorization=Bearer sk-123456789")
        .set("providers.openai.body={ stream = false }")
        .set("providers.kiro.max_tokens=3")
        .set("prices={ \"gpt-*\" = { inptu = 1, output = 2 } }");
    let (status, _, said) = setup.run();
    assert!(!status.success());
    assert!(said.contains("providers.kiro.max_tokens"), "{said}");
    // Faults that need the program come after those that the settings show alone.
    let mut setup = setup;
    let kiro = |it: &String| it.starts_with("providers.kiro");
    let at = setup.arguments.iter().position(kiro).unwrap();
    setup.arguments.drain(at - 1..=at);
    let (status, _, said) = setup.run();
    assert!(!status.success());
    for fault in [
        "providers.ollama.base_url",
        "providers.openai.headers.authorization",
        "providers.openai.body",
        "prices.gpt-*.inptu",
        "prices.gpt-*.input",
    ] {
        assert!(said.contains(fault), "{fault}: {said}");
    }
    assert!(!said.contains("sk-123456789"), "{said}");
}

#[test]
fn every_definition_that_comes_with_kirosu_has_its_name_among_the_settings() {
    let options = kirosu_config::LoadOptions::with_env([("HOME", "/nowhere")]);
    let settings = kirosu_config::Settings::load(options).unwrap().settings;
    let named: BTreeSet<&str> = settings
        .providers
        .values()
        .filter_map(|provider| provider.preset.as_deref())
        .collect();
    let there: BTreeSet<&str> = kirosu_providers::definition::built_in_names()
        .chain(kirosu_providers::services("openai"))
        .chain(kirosu_providers::services("anthropic"))
        .collect();
    assert_eq!(named, there);
}

/// The output of `kirosu logs` for a task.
fn logs(hub: &Hub, task: i64) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_kirosu"))
        .args(["logs", &task.to_string()])
        .args(["--port", &hub.port.to_string()])
        .env_clear()
        .env("HOME", hub.setup.directory.path())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A recorded run that met a limit or an overloaded service: program, capture, exit code.
const LIMITS: &[(&str, &str, i32)] = &[
    ("codex", "codex/limit_plan", 1),
    ("claude", "claude/limit_requests", 1),
    ("gemini", "gemini/limit_day", 173),
    ("goose", "goose/limit_credit", 0),
    ("copilot", "copilot/limit_credit", 1),
];

#[test]
fn a_limit_parks_the_account_and_a_router_moves_on() {
    let mut setup = Setup::new().up();
    let here = setup.directory.path().to_owned();
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("actors/providers/tests");
    for (program, capture, code) in LIMITS {
        symlink(room.join("stand_in.py"), here.join(program)).unwrap();
        let capture = room.join("captures").join(capture);
        // Alone, and before another provider.
        for (pool, provider) in [
            ((*program).to_owned(), *program),
            (format!("r-{program}"), ""),
        ] {
            let router = format!("r-{program}");
            let provider = if provider.is_empty() {
                router.as_str()
            } else {
                provider
            };
            setup = setup
                .set(&format!("pool.{pool}.provider={provider}"))
                .set(&format!("pool.{pool}.queues=[\"{pool}\"]"))
                .set(&format!("pool.{pool}.size=1"))
                .set(&format!("pool.{pool}.env.STAND_IN={}", here.display()))
                .set(&format!("pool.{pool}.env.CAPTURE={}", capture.display()))
                .set(&format!("pool.{pool}.env.CODE={code}"));
        }
        setup = setup
            .set(&format!("providers.r-{program}.kind=router"))
            .set(&format!(
                "providers.r-{program}.providers=[\"{program}\", \"echo\"]"
            ));
    }
    let path = std::env::var("PATH").unwrap();
    let hub = setup
        .environment("PATH", &format!("{}:{path}", here.display()))
        .start();
    let mut client = hub.client();
    for (program, ..) in LIMITS {
        let alone = client.enqueue_with(json!({"prompt": "x", "queue": program}));
        let got = until("the attempt ended", || {
            let got = client.call("get", json!({"task_id": alone}));
            got.to_string().contains("rate_limited").then_some(got)
        });
        assert_ne!(got["task"]["status"], "failed", "{program}: {got}");
        let routed = json!({"prompt": "moves on", "queue": format!("r-{program}")});
        let routed = client.enqueue_with(routed);
        client.call("wait", json!({"task_ids": [routed], "timeout_seconds": 30}));
        let got = client.call("get", json!({"task_id": routed}));
        assert_eq!(got["task"]["result"], "moves on", "{program}: {got}");
    }
}

#[test]
fn a_denied_tool_that_nothing_followed_is_refused_unless_the_clause_holds() {
    let hub = setup("claude", "claude", "claude/tool_denied", 0).start();
    let got = run(&hub, json!({"prompt": "x"})).to_string();
    assert!(got.contains("refused_by_policy"), "{got}");
    assert!(got.contains("after a tool was denied (Bash)"), "{got}");
    let accepted = json!({"prompt": "x", "accept": {"regex": "TOOL SAID"}});
    let got = run(&hub, accepted);
    assert_eq!(got["task"]["status"], "done", "{got}");
}

#[test]
fn commands_and_their_output_are_in_the_logs() {
    for (program, capture, code) in [
        ("codex", "codex/tool", 0),
        ("claude", "claude/tool_allowed", 0),
        ("gemini", "gemini/tool_yolo", 0),
        ("opencode", "opencode/tool_auto", 0),
        ("goose", "goose/tool_auto", 0),
        ("qwen", "qwen/tool_yolo", 0),
        ("copilot", "copilot/tool_allowed", 0),
    ] {
        let hub = setup(program, program, capture, code).start();
        let mut client = hub.client();
        let id = client.enqueue("x");
        client.call("wait", json!({"task_ids": [id], "timeout_seconds": 30}));
        let printed = until("its output is there", || {
            let logs = logs(&hub, id);
            logs.contains("[tool ").then_some(logs)
        });
        // The command, then what it printed, indented.
        let begun = printed.find("[tool ").unwrap();
        let line = printed[begun..].lines().next().unwrap();
        assert!(
            line.contains("cat README") || line.contains("made"),
            "{program}: {line}"
        );
        assert!(printed[begun..].contains("\n  "), "{program}: {printed}");
    }
}

#[test]
fn the_persons_own_model_of_codex_is_not_overridden() {
    let setup = setup("codex", "codex", "codex/json", 0);
    let own = setup.directory.path().join(".codex");
    std::fs::create_dir(&own).unwrap();
    std::fs::write(own.join("config.toml"), "model = \"gpt-6-sol\"\n").unwrap();
    let hub = setup.start();
    run(&hub, json!({"prompt": "x"}));
    assert!(!call(&hub).contains("\n-m\n"), "{}", call(&hub));
    run(&hub, json!({"prompt": "x", "model": "mine"}));
    assert!(call(&hub).contains("\n-m\nmine\n"), "{}", call(&hub));
}
