//! The programs: their settings for a model on loopback, and how a model makes each of them run a command.

use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// One agent program.
#[derive(Clone, Copy)]
pub struct Program {
    /// Its name for install.sh, and of its provider.
    pub name: &'static str,
    /// Variables and files that make the program use the model at this URL only, with this folder as its home.
    settings: fn(home: &Path, url: &str) -> Vec<(&'static str, String)>,
    /// Keys of its provider for these tests, as TOML.
    pub keys: &'static str,
    /// Its tool that runs a shell command, and the arguments for it.
    tool: &'static str,
    command: &'static str,
    /// The beginning of the names of tools of the MCP server `kirosu`; before a slash the namespace of the name.
    mcp_prefix: &'static str,
    /// Input, cached input and output that one call of the model costs; unknown of one that calls it for itself as well.
    pub call_costs: Option<[u64; 3]>,
    /// Called by `command`, it goes on with a conversation.
    pub resumes: bool,
    /// True if it prints the conversation's id at the beginning, so that a killed run can be continued.
    pub early: bool,
    /// The same by `acp`.
    pub acp: Acp,
}

/// Differences when it is driven over ACP.
#[derive(Clone, Copy)]
pub struct Acp {
    /// Its name for install.sh, and of the program.
    pub program: &'static str,
    /// Input, cached input and output tokens that it reports for a turn with two model calls: some report only the last call,
    /// or nothing.
    pub used: [u64; 3],
}

impl Program {
    /// A prompt upon which the model makes it run a shell command.
    pub fn call(&self, shell: &str) -> String {
        self.directive(json!({self.command: shell}))
    }

    /// The same, so that it has to ask a person where it may not do everything.
    pub fn ask(&self, shell: &str) -> String {
        let mut arguments = json!({self.command: shell});
        if self.tool == "exec_command" {
            // Else it only tries within its sandbox.
            arguments["sandbox_permissions"] = "require_escalated".into();
            arguments["justification"] = "may I?".into();
        }
        self.directive(arguments)
    }

    /// A directive for the model to call one of Kirosu's tools.
    pub fn call_kirosu(&self, tool: &str, arguments: Value) -> String {
        let arguments = arguments.to_string();
        assert!(!arguments.contains("]]"), "it would end the directive");
        format!("[[call {}{tool} {arguments}]]", self.mcp_prefix)
    }

    fn directive(&self, mut arguments: Value) -> String {
        match self.tool {
            "exec_command" => {
                arguments["yield_time_ms"] = 30_000.into();
                // The start files of a login shell may take longer than the command.
                arguments["login"] = false.into();
            }
            "run_shell_command" => {
                arguments["description"] = "a command".into();
                arguments["is_background"] = false.into();
            }
            _ => arguments["description"] = "a command".into(),
        }
        format!("[[call {} {arguments}]]", self.tool)
    }

    /// Its environment.
    pub fn variables(&self, home: &Path, url: &str) -> Vec<(String, String)> {
        let mut all = words(&[("HOME", home.to_str().unwrap()), ("NO_COLOR", "1")]);
        for (name, folder) in [
            ("XDG_CONFIG_HOME", ".config"),
            ("XDG_DATA_HOME", ".local/share"),
            ("XDG_CACHE_HOME", ".cache"),
            ("XDG_STATE_HOME", ".local/state"),
        ] {
            all.push((name, home.join(folder).to_str().unwrap().to_owned()));
        }
        fs::create_dir_all(home).unwrap();
        all.extend((self.settings)(home, url));
        all.into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// Its environment, as TOML's inline table.
    pub fn environment(&self, home: &Path, url: &str) -> String {
        let pairs: Vec<String> = self
            .variables(home, url)
            .iter()
            .map(|(name, value)| format!("{name} = {}", json!(value)))
            .collect();
        format!("{{ {} }}", pairs.join(", "))
    }

    /// The usage of `calls` model calls.
    pub fn costs(&self, calls: u64) -> Option<[u64; 3]> {
        self.call_costs.map(|cost| cost.map(|it| it * calls))
    }

    /// The tool's name in the output of a run.
    pub fn tool_shown(&self) -> &'static str {
        match self.tool {
            // It prints only the command.
            "exec_command" => "touch allowed",
            tool => tool,
        }
    }

    /// Its program under this kind of provider.
    pub fn program(&self, kind: &str) -> &'static str {
        match kind {
            "acp" => self.acp.program,
            _ => self.name,
        }
    }
}

fn words(pairs: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    pairs
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

pub const CODEX: Program = Program {
    name: "codex",
    settings: |home, url| {
        let folder = home.join("codex");
        fs::create_dir_all(&folder).unwrap();
        let config = format!(
            r#"
model_provider = "stub"
check_for_update_on_startup = false
web_search = "disabled"
model_context_window = 100000
[model_providers.stub]
name = "stub"
base_url = "{url}/v1"
env_key = "STUB_KEY"
wire_api = "responses"
requires_openai_auth = false
supports_websockets = false
[analytics]
enabled = false
[feedback]
enabled = false
[otel]
exporter = "none"
metrics_exporter = "none"
[features]
apps = false
plugins = false
"#
        );
        fs::write(folder.join("config.toml"), config).unwrap();
        words(&[
            ("CODEX_HOME", folder.to_str().unwrap()),
            ("STUB_KEY", "sk-stub"),
        ])
    },
    keys: "",
    tool: "exec_command",
    command: "cmd",
    mcp_prefix: "mcp__kirosu/",
    call_costs: Some([1000, 200, 34]),
    resumes: true,
    early: true,
    acp: Acp {
        program: "codex-acp",
        used: [0, 0, 0],
    },
};

pub const CLAUDE: Program = Program {
    name: "claude",
    settings: |home, url| {
        let folder = home.join("claude");
        fs::create_dir_all(&folder).unwrap();
        words(&[
            ("ANTHROPIC_BASE_URL", url),
            ("ANTHROPIC_API_KEY", "sk-ant-stub"),
            ("CLAUDE_CONFIG_DIR", folder.to_str().unwrap()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("DISABLE_TELEMETRY", "1"),
            ("DISABLE_ERROR_REPORTING", "1"),
            // Else it asks again for three minutes.
            ("CLAUDE_CODE_MAX_RETRIES", "1"),
            ("IS_SANDBOX", "1"),
        ])
    },
    keys: "",
    tool: "Bash",
    command: "command",
    mcp_prefix: "mcp__kirosu__",
    call_costs: Some([1000, 200, 34]),
    resumes: true,
    early: true,
    acp: Acp {
        program: "claude-agent-acp",
        used: [2000, 400, 68],
    },
};

pub const OPENCODE: Program = Program {
    name: "opencode",
    settings: |home, url| {
        let config = json!({
            "autoupdate": false, "share": "disabled", "model": "stub/stub-model",
            "small_model": "stub/stub-model", "enabled_providers": ["stub"],
            "provider": {"stub": {
                "npm": "@ai-sdk/openai-compatible", "name": "Stub",
                "options": {"baseURL": format!("{url}/v1"), "apiKey": "sk-stub"},
                "models": {"stub-model": {
                    "name": "Stub model", "limit": {"context": 100_000, "output": 4096},
                    "cost": {"input": 1, "output": 2}
                }}
            }}
        });
        let file = home.join("opencode.json");
        fs::write(&file, config.to_string()).unwrap();
        words(&[
            ("OPENCODE_CONFIG", file.to_str().unwrap()),
            ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
            ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1"),
            ("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1"),
            ("OPENCODE_DISABLE_SHARE", "1"),
            ("OPENCODE_DISABLE_CLAUDE_CODE", "1"),
            ("OPENCODE_DISABLE_EXTERNAL_SKILLS", "1"),
            ("OPENCODE_PURE", "1"),
            ("npm_config_offline", "true"),
        ])
    },
    keys: "",
    tool: "bash",
    command: "command",
    mcp_prefix: "kirosu_",
    call_costs: Some([1000, 200, 34]),
    resumes: true,
    early: true,
    acp: Acp {
        program: "opencode",
        used: [1000, 200, 34],
    },
};

pub const GOOSE: Program = Program {
    name: "goose",
    settings: |_, url| {
        words(&[
            ("GOOSE_PROVIDER", "openai"),
            ("GOOSE_MODEL", "stub-model"),
            ("OPENAI_HOST", url),
            ("OPENAI_BASE_PATH", "v1/chat/completions"),
            ("OPENAI_API_KEY", "sk-stub"),
            ("GOOSE_DISABLE_KEYRING", "1"),
            ("GOOSE_TELEMETRY_ENABLED", "false"),
            ("GOOSE_DISABLE_SESSION_NAMING", "true"),
        ])
    },
    keys: "extra_args = [\"--with-builtin\", \"developer\"]",
    tool: "shell",
    command: "command",
    mcp_prefix: "kirosu__",
    call_costs: Some([1000, 200, 34]),
    resumes: false,
    early: false,
    acp: Acp {
        program: "goose",
        used: [1200, 0, 34],
    },
};

pub const GEMINI: Program = Program {
    name: "gemini",
    settings: |home, url| {
        let folder = home.join(".gemini");
        fs::create_dir_all(&folder).unwrap();
        let settings = json!({
            "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": false}},
            "privacy": {"usageStatisticsEnabled": false}, "telemetry": {"enabled": false},
            "general": {"enableAutoUpdate": false, "enableAutoUpdateNotification": false},
            "tools": {"useRipgrep": false}, "ide": {"enabled": false}
        });
        fs::write(folder.join("settings.json"), settings.to_string()).unwrap();
        words(&[
            ("GEMINI_API_KEY", "stub-key"),
            ("GOOGLE_GEMINI_BASE_URL", url),
            ("GEMINI_TELEMETRY_ENABLED", "false"),
        ])
    },
    keys: "model = \"gemini-2.5-flash\"",
    tool: "run_shell_command",
    command: "command",
    mcp_prefix: "mcp_kirosu_",
    call_costs: None,
    resumes: true,
    early: true,
    acp: Acp {
        program: "gemini",
        used: [2000, 400, 60],
    },
};

pub const QWEN: Program = Program {
    name: "qwen",
    settings: |home, url| {
        let folder = home.join(".qwen");
        fs::create_dir_all(&folder).unwrap();
        let settings = json!({
            "privacy": {"usageStatisticsEnabled": false}, "general": {"disableAutoUpdate": true}
        });
        fs::write(folder.join("settings.json"), settings.to_string()).unwrap();
        let base = format!("{url}/v1");
        words(&[
            ("OPENAI_API_KEY", "sk-stub"),
            ("OPENAI_BASE_URL", &base),
            ("OPENAI_MODEL", "stub-model"),
        ])
    },
    keys: "",
    tool: "run_shell_command",
    command: "command",
    mcp_prefix: "mcp__kirosu__",
    call_costs: None,
    resumes: true,
    early: true,
    acp: Acp {
        program: "qwen",
        used: [0, 0, 0],
    },
};

pub const COPILOT: Program = Program {
    name: "copilot",
    settings: |home, url| {
        let base = format!("{url}/v1");
        words(&[
            ("COPILOT_OFFLINE", "true"),
            ("COPILOT_PROVIDER_BASE_URL", &base),
            ("COPILOT_PROVIDER_TYPE", "openai"),
            ("COPILOT_PROVIDER_API_KEY", "sk-stub"),
            ("COPILOT_PROVIDER_WIRE_API", "completions"),
            ("COPILOT_MODEL", "stub-model"),
            ("COPILOT_HOME", home.join("copilot").to_str().unwrap()),
        ])
    },
    keys: "",
    tool: "bash",
    command: "command",
    mcp_prefix: "kirosu-",
    call_costs: Some([1000, 200, 34]),
    resumes: true,
    early: false,
    acp: Acp {
        program: "copilot",
        used: [2000, 400, 68],
    },
};

/// The program of this name.
pub fn named(name: &str) -> Program {
    let all = [CODEX, CLAUDE, OPENCODE, GOOSE, GEMINI, QWEN, COPILOT];
    let program = all.into_iter().find(|it| it.name == name);
    program.unwrap_or_else(|| panic!("no settings for a program {name}"))
}
