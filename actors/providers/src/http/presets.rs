//! Services that are known by name.

/// A service that is known by name.
pub(super) struct ServicePreset {
    pub(super) name: &'static str,
    pub(super) base_url: &'static str,
    /// The usual variable of its key; empty where it needs none.
    pub(super) key_env: &'static str,
    /// The command that starts the service; empty where it is not known.
    pub(super) start: &'static str,
    /// Whether the service requires a model.
    pub(super) needs_model: bool,
}

const OPENAI: &[ServicePreset] = &[
    ServicePreset {
        name: "openai",
        base_url: "https://api.openai.com/v1",
        key_env: "OPENAI_API_KEY",
        start: "",
        needs_model: true,
    },
    ServicePreset {
        name: "ollama",
        base_url: "http://127.0.0.1:11434/v1",
        key_env: "",
        start: "ollama serve",
        needs_model: true,
    },
    ServicePreset {
        name: "lmstudio",
        base_url: "http://127.0.0.1:1234/v1",
        key_env: "",
        start: "lms server start",
        needs_model: false,
    },
    ServicePreset {
        name: "vllm",
        base_url: "http://127.0.0.1:8000/v1",
        key_env: "",
        start: "vllm serve MODEL",
        needs_model: false,
    },
    ServicePreset {
        name: "llamacpp",
        base_url: "http://127.0.0.1:8080/v1",
        key_env: "",
        start: "llama-server -m MODEL.gguf",
        needs_model: false,
    },
    ServicePreset {
        name: OPENROUTER,
        base_url: "https://openrouter.ai/api/v1",
        key_env: "OPENROUTER_API_KEY",
        start: "",
        needs_model: true,
    },
];

const ANTHROPIC: &[ServicePreset] = &[ServicePreset {
    name: "anthropic",
    base_url: "https://api.anthropic.com",
    key_env: "ANTHROPIC_API_KEY",
    start: "",
    needs_model: true,
}];

/// OpenRouter states the cost of an answer on request.
pub(super) const OPENROUTER: &str = "openrouter";

/// The names of the services of a kind.
pub fn services(kind: &str) -> impl Iterator<Item = &'static str> {
    presets(kind).iter().map(|it| it.name)
}

pub(super) fn presets(kind: &str) -> &'static [ServicePreset] {
    match kind {
        "openai" => OPENAI,
        "anthropic" => ANTHROPIC,
        _ => &[],
    }
}
