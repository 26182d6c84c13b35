//! The table of every section and key. `kirosu.example.toml` explains each; a test holds the two together.

use std::time::Duration;

use crate::budget::{MOST_TOKENS, MOST_USD};
use crate::schema::Change::{self, Live, Restart};
use crate::schema::Preset::{self, Follows, Is, MayFollow, Required, Unset};
use crate::schema::{Key, Kind, Section, Shape};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// Ten years: longer than any hub's file, and far from overflow in milliseconds.
const DECADE: Duration = Duration::from_secs(10 * 31_557_600);

const fn key(name: &'static str, kind: Kind, preset: Preset, change: Change) -> Key {
    Key {
        name,
        kind,
        preset,
        change,
    }
}

/// Waits and growth, as `[retry]` and `[supervision]` both have them.
const INITIAL: Kind = Kind::Time(MILLISECOND, HOUR);
const MAX: Kind = Kind::Time(MILLISECOND, DAY);
const FACTOR: Kind = Kind::Float(1.0, 100.0);
const JITTER: Kind = Kind::Float(0.0, 1.0);
const LEASE: Kind = Kind::Time(SECOND, DAY);

/// Every section, in the order in which `show` prints them.
pub(crate) const SECTIONS: &[Section] = &[
    Section {
        name: "",
        shape: Shape::Top,
        keys: &[
            key("data_dir", Kind::Path, Follows, Restart),
            key("prices", Kind::Tree, Unset, Live),
        ],
    },
    Section {
        name: "hub",
        shape: Shape::One,
        keys: &[
            key("host", Kind::Text, Is("\"127.0.0.1\""), Restart),
            key("port", Kind::Int(0, 65_535), Is("8765"), Restart),
            key("socket", Kind::Path, Unset, Restart),
            key("key", Kind::Secret, Unset, Restart),
            key("key_file", Kind::Path, Unset, Restart),
            key("trust_all_tools", Kind::Bool, Is("false"), Restart),
        ],
    },
    Section {
        name: "store",
        shape: Shape::One,
        keys: &[
            key("path", Kind::Path, Follows, Restart),
            key(
                "durability",
                Kind::Choice(&["full", "normal"]),
                Is("\"full\""),
                Restart,
            ),
            key(
                "retention",
                Kind::Time(Duration::from_secs(60), DECADE),
                Unset,
                Live,
            ),
            key("readers", Kind::Int(1, 64), Is("2"), Restart),
            key(
                "wal_limit",
                Kind::Size(MIB, 16 * GIB),
                Is("\"64 MiB\""),
                Restart,
            ),
        ],
    },
    Section {
        name: "lease",
        shape: Shape::One,
        keys: &[
            key("default", LEASE, Is("\"5m\""), Live),
            key("min", LEASE, Is("\"1s\""), Live),
            key("max", LEASE, Is("\"1day\""), Live),
            key("strict_expiry", Kind::Bool, Is("false"), Live),
            key(
                "session_grace",
                Kind::Time(Duration::ZERO, HOUR),
                Is("\"10s\""),
                Live,
            ),
            key(
                "heartbeat_grace",
                Kind::Time(Duration::ZERO, HOUR),
                Is("\"30s\""),
                Restart,
            ),
        ],
    },
    Section {
        name: "limits",
        shape: Shape::One,
        keys: &[
            key("line_bytes", Kind::Size(KIB, GIB), Is("\"16 MiB\""), Live),
            // 128 is where the JSON parser itself stops.
            key("nesting", Kind::Int(1, 128), Is("64"), Live),
            key("connections", Kind::Int(1, 1_000_000), Is("12000"), Live),
            key(
                "in_flight_per_connection",
                Kind::Int(1, 65_536),
                Is("1024"),
                Live,
            ),
            key(
                "in_flight_total",
                Kind::Int(1, 10_000_000),
                Is("65536"),
                Live,
            ),
            key("unread_max", Kind::Time(SECOND, DAY), Is("\"30s\""), Live),
            key("prompt_bytes", Kind::Size(1, GIB), Is("\"8 MiB\""), Live),
            key(
                "max_tasks_per_lease",
                Kind::Int(1, 10_000),
                Is("1000"),
                Live,
            ),
            key(
                "wait_seconds_max",
                Kind::Time(SECOND, DAY),
                Is("\"1h\""),
                Live,
            ),
            key("batch", Kind::Int(1, 100_000), Is("10000"), Live),
        ],
    },
    Section {
        name: "threads",
        shape: Shape::One,
        keys: &[key(
            "store",
            Kind::Choice(&["shared", "own"]),
            Is("\"shared\""),
            Restart,
        )],
    },
    Section {
        name: "retry",
        shape: Shape::One,
        keys: &[
            key("initial", INITIAL, Is("\"1s\""), Live),
            key("max", MAX, Is("\"5m\""), Live),
            key("factor", FACTOR, Is("2.0"), Live),
            key("jitter", JITTER, Is("0.2"), Live),
        ],
    },
    Section {
        name: "supervision",
        shape: Shape::One,
        keys: &[
            key("restarts", Kind::Int(0, 100_000), Is("10"), Restart),
            key("period", Kind::Time(SECOND, DAY), Is("\"1m\""), Restart),
            key("initial", INITIAL, Is("\"500ms\""), Restart),
            key("max", MAX, Is("\"30s\""), Restart),
            key("factor", FACTOR, Is("2.0"), Restart),
            key("jitter", JITTER, Is("0.2"), Restart),
            key(
                "healthy_after",
                Kind::Time(MILLISECOND, DAY),
                Is("\"1m\""),
                Restart,
            ),
        ],
    },
    Section {
        name: "agent",
        shape: Shape::One,
        // Whoever changes it changes pools; the pools' own comparison finds them.
        keys: &[key("provider", Kind::Name, Is("\"kiro\""), Live)],
    },
    Section {
        name: "approval",
        shape: Shape::One,
        keys: &[
            key("wait", Kind::Wait(SECOND, DECADE), Is("\"forever\""), Live),
            key("rule", Kind::Tables, Is("[]"), Live),
        ],
    },
    Section {
        name: "budget",
        shape: Shape::One,
        keys: &[
            key("tokens", Kind::Int(0, MOST_TOKENS), Unset, Live),
            key("usd", Kind::Float(0.0, MOST_USD), Unset, Live),
            key("per", Kind::Time(SECOND, DAY), Is("\"1day\""), Live),
        ],
    },
    Section {
        name: "pool",
        shape: Shape::Array,
        keys: &[
            key("name", Kind::Name, Required, Live),
            key("provider", Kind::Name, Follows, Live),
            key("size", Kind::Int(0, 10_000), Is("2"), Live),
            key("queues", Kind::List, Is("[\"default\"]"), Live),
            key("types", Kind::List, Is("[]"), Live),
            key("lease", LEASE, Follows, Live),
            key("timeout", Kind::Time(SECOND, WEEK), Unset, Live),
            key(
                "silence_timeout",
                Kind::Time(Duration::ZERO, WEEK),
                Unset,
                Live,
            ),
            key(
                "start_timeout",
                Kind::Time(Duration::ZERO, WEEK),
                Unset,
                Live,
            ),
            key(
                "restart",
                Kind::Choice(&["permanent", "transient", "temporary"]),
                Is("\"permanent\""),
                Live,
            ),
            key(
                "workspace",
                Kind::Choice(&["shared", "isolated", "ephemeral", "worktree"]),
                Is("\"shared\""),
                Live,
            ),
            key("workdir", Kind::Path, Unset, Live),
            key("base", Kind::Text, Unset, Live),
            key("hooks", Kind::Hooks, Unset, Live),
            key("trust", Kind::Choice(&["safe", "edit", "all"]), Unset, Live),
            key("trust_all_tools", Kind::Bool, Is("false"), Live),
            key("workspace_mcp", Kind::Bool, Unset, Live),
            key("accept_commands", Kind::Bool, Is("false"), Live),
            key("model", Kind::Text, MayFollow, Live),
            key("env", Kind::Map, Unset, Live),
            key("max_output", Kind::Size(KIB, GIB), Is("\"1 MiB\""), Live),
            key("budget", Kind::Tree, Unset, Live),
            key(
                "reserve_tokens",
                Kind::Int(1, MOST_TOKENS),
                Is("100000"),
                Live,
            ),
            key("reserve_usd", Kind::Float(1e-6, MOST_USD), Is("0.5"), Live),
            key("show_thoughts", Kind::Bool, Is("false"), Live),
            key("breaker", Kind::Int(0, 1000), Unset, Live),
        ],
    },
    Section {
        name: "providers",
        shape: Shape::Named,
        keys: &[
            key(
                "kind",
                Kind::Choice(&[
                    "command",
                    "acp",
                    "python",
                    "echo",
                    "openai",
                    "anthropic",
                    "router",
                ]),
                Required,
                Live,
            ),
            key("preset", Kind::Name, Unset, Live),
            key("command", Kind::Command, Is("[]"), Live),
            key("model_args", Kind::List, Unset, Live),
            key("system_args", Kind::List, Unset, Live),
            key("resume_args", Kind::List, Unset, Live),
            key("extra_args", Kind::List, Unset, Live),
            key("trust", Kind::Tree, Unset, Live),
            key("output", Kind::Tree, Unset, Live),
            key("acp", Kind::Tree, Unset, Live),
            key("env_pass", Kind::List, Unset, Live),
            key("mcp", Kind::Tree, Unset, Live),
            key("system_file_env", Kind::Text, Unset, Live),
            key("stop_signal", Kind::Choice(&["TERM", "INT"]), Unset, Live),
            key("version", Kind::List, Unset, Live),
            key("install", Kind::Text, Unset, Live),
            key("login", Kind::Tree, Unset, Live),
            key("base_url", Kind::Text, Unset, Live),
            key("api", Kind::Choice(&["chat", "responses"]), Unset, Live),
            key("key_env", Kind::Text, Unset, Live),
            key("key_file", Kind::Path, Unset, Live),
            key("key_header", Kind::Text, Unset, Live),
            key("max_tokens", Kind::Int(1, 10_000_000), Unset, Live),
            key("headers", Kind::Map, Unset, Live),
            key("body", Kind::Tree, Unset, Live),
            key("providers", Kind::List, Unset, Live),
            key("on", Kind::List, Unset, Live),
            key("retry_after_tools", Kind::Bool, Unset, Live),
            key("account", Kind::Name, Unset, Live),
            key("concurrency", Kind::Int(1, 10_000), Unset, Live),
            key("requests_per_minute", Kind::Int(1, 1_000_000), Unset, Live),
            key(
                "tokens_per_minute",
                Kind::Int(1, 1_000_000_000_000),
                Unset,
                Live,
            ),
            key("interpreter", Kind::Program, Is("\"python3\""), Live),
            key("delay", Kind::Time(Duration::ZERO, HOUR), Unset, Live),
            key("model", Kind::Text, Unset, Live),
            key("budget", Kind::Tree, Unset, Live),
            key("env", Kind::Map, Unset, Live),
        ],
    },
    Section {
        name: "gateway",
        shape: Shape::One,
        keys: &[
            key("enabled", Kind::Bool, Is("false"), Restart),
            key("host", Kind::Text, Is("\"127.0.0.1\""), Restart),
            key("port", Kind::Int(0, 65_535), Is("8000"), Restart),
            key(
                "body_bytes",
                Kind::Size(KIB, GIB),
                Is("\"16 MiB\""),
                Restart,
            ),
            key("connections", Kind::Int(1, 1_000_000), Is("1024"), Restart),
        ],
    },
    Section {
        name: "metrics",
        shape: Shape::One,
        keys: &[
            key("enabled", Kind::Bool, Is("false"), Restart),
            key("host", Kind::Text, Is("\"127.0.0.1\""), Restart),
            key("port", Kind::Int(0, 65_535), Is("9765"), Restart),
        ],
    },
    Section {
        name: "log",
        shape: Shape::One,
        keys: &[
            key(
                "format",
                Kind::Choice(&["text", "json", "journald"]),
                Is("\"text\""),
                Restart,
            ),
            key("level", Kind::Level, Is("\"info\""), Live),
            key("file", Kind::Path, Unset, Restart),
        ],
    },
    Section {
        name: "shutdown",
        shape: Shape::One,
        keys: &[key(
            "drain",
            Kind::Time(Duration::ZERO, DAY),
            Is("\"30s\""),
            Restart,
        )],
    },
];

/// Providers that need not be written, as TOML; a `[providers.NAME]` in the file overrides them key by key.
/// `kiro` and `codex` are the names that `KIRO_PROVIDER` has always taken; the model that codex is given is in its
/// definition, as the person's own settings of codex come first. How
/// these programs are called is the providers' room's business; a test holds its list and this one together.
pub(crate) const BUILT_IN_PROVIDERS: &str = r#"
[providers.echo]
kind = "echo"
[providers.python]
kind = "python"
[providers.kiro]
kind = "command"
preset = "kiro"
model = "claude-haiku-4.5"
[providers.codex]
kind = "command"
preset = "codex"
[providers.claude]
kind = "command"
preset = "claude"
[providers.gemini]
kind = "command"
preset = "gemini"
[providers.opencode]
kind = "command"
preset = "opencode"
[providers.goose]
kind = "command"
preset = "goose"
[providers.qwen]
kind = "command"
preset = "qwen"
[providers.copilot]
kind = "command"
preset = "copilot"
[providers.cursor]
kind = "command"
preset = "cursor"
[providers.amp]
kind = "command"
preset = "amp"
[providers.aider]
kind = "command"
preset = "aider"
[providers.openai]
kind = "openai"
preset = "openai"
[providers.anthropic]
kind = "anthropic"
preset = "anthropic"
[providers.openrouter]
kind = "openai"
preset = "openrouter"
[providers.ollama]
kind = "openai"
preset = "ollama"
[providers.lmstudio]
kind = "openai"
preset = "lmstudio"
[providers.vllm]
kind = "openai"
preset = "vllm"
[providers.llamacpp]
kind = "openai"
preset = "llamacpp"
"#;

/// Variables that clients of earlier versions set, and the keys they mean. An empty one says nothing, except that an
/// empty `KIRO_SWARM_KEY` says "no key".
pub(crate) const HISTORICAL: &[(&str, &str)] = &[
    ("KIRO_SWARM_HOST", "hub.host"),
    ("KIRO_SWARM_PORT", "hub.port"),
    ("KIRO_SWARM_KEY", "hub.key"),
    ("KIRO_PROVIDER", "agent.provider"),
    ("MITTELO_KIRO_MODEL", "providers.kiro.model"),
    ("KIRO_CODEX_EXTRA_ARGS", "providers.codex.extra_args"),
];
