//! The options of a model API, and the service that they describe.

use std::fmt;
use std::path::PathBuf;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::dialect::Dialect;
use super::key::{KeySource, Secrets};
use super::presets::{OPENROUTER, ServicePreset, presets, services};

/// The answer limit of Anthropic's API, which requires one: most models can write this much.
const ANTHROPIC_MAX_TOKENS: u64 = 8192;

/// Headers that carry a key.
const KEY_HEADERS: &[&str] = &["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// Options of a model API: kinds `openai` and `anthropic`.
#[derive(Clone, Default)]
pub struct HttpServiceOptions {
    /// The URL of the service: `https://api.openai.com/v1`. `None`: the preset's.
    pub base_url: Option<String>,
    /// `openai`: `chat` (the default) or `responses`.
    pub api: Option<String>,
    /// The variable of this process that holds the key. `None`: the preset's.
    pub key_env: Option<String>,
    /// The file that holds the key. It wins over the preset's variable.
    pub key_file: Option<PathBuf>,
    /// The header that carries the key. `None`: `authorization` as a bearer token, `x-api-key` for `anthropic`.
    pub key_header: Option<String>,
    /// Tokens of an answer, at most. `None`: the service's own limit; 8192 for `anthropic`, which has none.
    pub max_tokens: Option<u64>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Further fields of the request's body. They win over the built-in ones.
    pub body: Map<String, Value>,
}

impl fmt::Debug for HttpServiceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Header values may be keys.
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("HttpServiceOptions")
            .field("base_url", &self.base_url)
            .field("api", &self.api)
            .field("key_env", &self.key_env)
            .field("key_file", &self.key_file)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

/// A service as described by the options.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) dialect: Dialect,
    /// The URL for requests.
    pub(super) url: Url,
    /// The URL of the list of models.
    pub(super) models: Url,
    pub(super) key: KeySource,
    /// The header that carries the key. `None`: the usual header.
    pub(super) key_header: Option<HeaderName>,
    pub(super) headers: HeaderMap,
    /// Values of configured headers, which must not be shown.
    pub(super) secrets: Secrets,
    pub(super) max_tokens: Option<u64>,
    pub(super) body: Map<String, Value>,
    /// Whether the service requires a model.
    pub(super) needs_model: bool,
    /// The command that starts the service; empty where it is not known.
    pub(super) start: &'static str,
}

impl Service {
    /// The URL for requests, for people: without the query, which may contain a key.
    pub(super) fn shown(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.to_string()
    }
}

impl HttpServiceOptions {
    /// Checks the options for this kind and preset.
    ///
    /// # Errors
    /// All faults, as `KEY: sentence`.
    pub fn check(&self, kind: &str, preset: Option<&str>) -> Result<(), Vec<String>> {
        self.settle(kind, preset).map(drop)
    }

    /// Checks the options and resolves them. Reads no file and makes no request.
    ///
    /// # Errors
    /// All faults, as `KEY: sentence`.
    pub(super) fn settle(&self, kind: &str, name: Option<&str>) -> Result<Service, Vec<String>> {
        let mut faults = Vec::new();
        let named = name.or((kind == "anthropic").then_some("anthropic"));
        let preset = named.and_then(|name| {
            let found = presets(kind).iter().find(|it| it.name == name);
            if found.is_none() {
                let known: Vec<_> = services(kind).collect();
                faults.push(format!(
                    "preset: kind {kind} knows no service '{name}'; known are {}",
                    known.join(", ")
                ));
            }
            found
        });
        let dialect = Dialect::of(kind, self.api.as_deref(), preset.map(|it| it.name));
        if dialect.is_none() {
            let allowed = match kind {
                "openai" => "chat and responses are allowed",
                _ => "it is only for kind openai",
            };
            faults.push(format!("api: {allowed}"));
        }
        let dialect = dialect.unwrap_or(Dialect::Messages);
        let base = self.base_url.as_deref().or(preset.map(|it| it.base_url));
        let base = match base.map(base_url) {
            Some(Ok(base)) => Some(base),
            Some(Err(fault)) => {
                faults.push(fault);
                None
            }
            None => {
                faults.push("base_url: has to be set where no preset names the service".to_owned());
                None
            }
        };
        let headers = self.headers(&mut faults);
        let key_header = self.key_header.as_deref().map(str::parse::<HeaderName>);
        if key_header.as_ref().is_some_and(Result::is_err) {
            faults.push("key_header: not the name of a header".to_owned());
        }
        self.check_body(&mut faults);
        match base {
            Some(base) if faults.is_empty() => Ok(Service {
                url: below(&base, dialect.path()),
                models: below(&base, dialect.models_path()),
                key: self.key(preset),
                key_header: key_header.and_then(Result::ok),
                headers,
                secrets: Secrets::new(self.headers.iter().map(|(_, value)| value.as_str())),
                max_tokens: self.max_tokens.or_else(|| {
                    let needed = dialect == Dialect::Messages;
                    needed.then_some(ANTHROPIC_MAX_TOKENS)
                }),
                dialect,
                body: self.body(preset),
                needs_model: preset.is_some_and(|it| it.needs_model),
                start: preset.map_or("", |it| it.start),
            }),
            _ => Err(faults),
        }
    }

    fn key(&self, preset: Option<&ServicePreset>) -> KeySource {
        let usual = preset.map(|it| it.key_env).filter(|name| !name.is_empty());
        match (&self.key_file, self.key_env.as_deref()) {
            (Some(file), _) => KeySource::File(file.clone()),
            (None, Some(name)) => KeySource::Env(name.to_owned()),
            (None, None) => usual.map_or(KeySource::None, |name| KeySource::Env(name.to_owned())),
        }
    }

    fn body(&self, preset: Option<&ServicePreset>) -> Map<String, Value> {
        let mut body = self.body.clone();
        if preset.is_some_and(|it| it.name == OPENROUTER) {
            let asked = json!({"include": true});
            body.entry("usage").or_insert(asked);
        }
        body
    }

    fn headers(&self, faults: &mut Vec<String>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let read = name.parse::<HeaderName>().ok();
            if KEY_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
                faults.push(format!(
                    "headers.{name}: a key is not written here; use key_env or key_file, and key_header"
                ));
                continue;
            }
            match (read, HeaderValue::from_str(value)) {
                (Some(name), Ok(mut value)) => {
                    value.set_sensitive(true);
                    headers.insert(name, value);
                }
                _ => faults.push(format!("headers.{name}: not a header that can be sent")),
            }
        }
        headers
    }

    fn check_body(&self, faults: &mut Vec<String>) {
        for name in ["stream", "model", "messages", "input"] {
            if self.body.contains_key(name) {
                faults.push(format!(
                    "body: {name} comes from the task and cannot be set"
                ));
            }
        }
        if self.key_env.is_some() && self.key_file.is_some() {
            faults.push("key_env: only one of key_env and key_file".to_owned());
        }
    }
}

fn base_url(text: &str) -> Result<Url, String> {
    let fault = |what: &str| Err(format!("base_url: {what}"));
    let Ok(url) = text.parse::<Url>() else {
        return fault("not a URL; write https://HOST/v1");
    };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return fault("not the URL of a web service; write https://HOST/v1");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return fault(
            "holds a password; put the key into a variable or a file (key_env, key_file)",
        );
    }
    Ok(url)
}

/// A path below the base URL, whose query is kept. A `/v1` at the end of the base and the start of the path appears once.
fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let root = base.path().trim_end_matches('/');
    let path = match root.ends_with("/v1") {
        true => path.strip_prefix("/v1").unwrap_or(path),
        false => path,
    };
    url.set_path(&format!("{root}{path}"));
    url.set_fragment(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(
        kind: &str,
        preset: Option<&str>,
        options: HttpServiceOptions,
    ) -> Result<Service, String> {
        options
            .settle(kind, preset)
            .map_err(|faults| faults.join("; "))
    }

    #[test]
    fn services_are_known_by_name_and_anything_can_be_changed() {
        for name in services("openai") {
            settle("openai", Some(name), HttpServiceOptions::default()).unwrap();
        }
        let it = settle("anthropic", None, HttpServiceOptions::default()).unwrap();
        assert_eq!(it.url.as_str(), "https://api.anthropic.com/v1/messages");
        assert_eq!(it.max_tokens, Some(8192));
        let options = HttpServiceOptions {
            base_url: Some("http://here:1/v1/?api-version=2".to_owned()),
            api: Some("responses".to_owned()),
            ..HttpServiceOptions::default()
        };
        let it = settle("openai", None, options).unwrap();
        assert_eq!(it.url.as_str(), "http://here:1/v1/responses?api-version=2");
        assert_eq!(it.key, KeySource::None);
        let options = HttpServiceOptions {
            base_url: Some("http://here:1/v1".to_owned()),
            ..HttpServiceOptions::default()
        };
        let it = settle("anthropic", None, options).unwrap();
        assert_eq!(it.models.as_str(), "http://here:1/v1/models");
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let mut options = HttpServiceOptions {
            base_url: Some("https://me:secret@host".to_owned()),
            api: Some("smoke".to_owned()),
            headers: vec![("a b".to_owned(), String::new())],
            ..HttpServiceOptions::default()
        };
        options.body.insert("messages".to_owned(), Value::Null);
        let reported = settle("openai", Some("openia"), options).err().unwrap();
        for part in [
            "preset: ",
            "api: ",
            "holds a password",
            "headers.a b",
            "body: ",
        ] {
            assert!(reported.contains(part), "{reported}");
        }
        assert!(!reported.contains("secret"), "{reported}");
        let nowhere = settle("openai", None, HttpServiceOptions::default());
        assert!(nowhere.err().unwrap().contains("base_url: has to be set"));
    }
}
