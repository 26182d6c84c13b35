//! Providers that exist without a line in the file, as TOML. A `[providers.NAME]` of the file overrides them key by key.
//!
//! The providers' crate holds the definitions of the presets; a test compares its list with this one. `KIRO_PROVIDER` of
//! earlier versions takes `kiro` and `codex`. The default model of codex is in its preset, because the user's own settings
//! of codex override it.

pub(crate) const PROVIDERS: &str = r#"
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
