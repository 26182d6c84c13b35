//! The environment layer: `KIROSU_<SECTION>__<KEY>`, and the names that clients of earlier versions use.

use crate::file::DefinedNames;
use crate::layer::LayerReader;
use crate::options::{LoadOptions, Purpose};
use crate::origin::Origin;
use crate::raw::RawValue;
use crate::schema::{self, Shape};
use kirosu_protocol::access::{RUN_HUB_VARIABLE, RUN_TOKEN_VARIABLE};

/// Variables `KIROSU_...` with another meaning: the path of the file, and variables of a run.
const NOT_SETTINGS: &[&str] = &[
    "KIROSU_CONFIG",
    "KIROSU_TASK_ID",
    "KIROSU_FENCE",
    "KIROSU_RUN",
    "KIROSU_INSTANCE",
    RUN_HUB_VARIABLE,
    RUN_TOKEN_VARIABLE,
];

/// Variables of earlier versions, and the keys that they set.
const HISTORICAL: &[(&str, &str)] = &[
    ("KIRO_SWARM_HOST", "hub.host"),
    ("KIRO_SWARM_PORT", "hub.port"),
    ("KIRO_SWARM_KEY", "hub.key"),
    ("KIRO_PROVIDER", "agent.provider"),
    ("MITTELO_KIRO_MODEL", "providers.kiro.model"),
    ("KIRO_CODEX_EXTRA_ARGS", "providers.codex.extra_args"),
];

/// Variables with a key that someone has given to a run's programs on purpose.
const KEYS: &[&str] = &["KIRO_SWARM_KEY", "KIROSU_HUB__KEY", "KIROSU_HUB__KEY_FILE"];

/// Reads the variables with which a run's programs find the hub, and the token of the run; for clients only. The address is
/// that of the run's hub, so it overrides those of other variables; a key in another variable overrides the token.
pub(crate) fn of_run(options: &LoadOptions, reader: &mut LayerReader<'_>) {
    if options.purpose != Purpose::Client {
        return;
    }
    let origin = |name: &str| Origin::Env(name.to_owned());
    let mut take = |key: [&str; 2], value: &str, name: &str| {
        let path = key.map(str::to_owned);
        reader.take(&path, &RawValue::Loose(value.to_owned()), origin(name));
    };
    if let Some(hub) = options.var(RUN_HUB_VARIABLE) {
        // The variable with the fingerprint shows that it is by TLS.
        let hub = hub.strip_prefix("tls://").unwrap_or(&hub).to_owned();
        match hub.rsplit_once(':').filter(|_| !hub.contains('/')) {
            Some((host, port)) => {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                take(["hub", "host"], host, RUN_HUB_VARIABLE);
                take(["hub", "port"], port, RUN_HUB_VARIABLE);
            }
            None => take(["hub", "socket"], &hub, RUN_HUB_VARIABLE),
        }
    }
    let has_key = KEYS.iter().any(|name| options.var(name).is_some());
    if let Some(token) = options.var(RUN_TOKEN_VARIABLE).filter(|_| !has_key) {
        take(["hub", "key"], &token, RUN_TOKEN_VARIABLE);
    }
}

/// Reads the variables of earlier versions. They are read before the `KIROSU_` ones, so that a new name overrides an old
/// one.
pub(crate) fn historical(options: &LoadOptions, reader: &mut LayerReader<'_>) {
    for (name, key) in HISTORICAL {
        let Some(value) = options.var(name) else {
            continue;
        };
        // An empty variable means "not set". An empty key means "no key" and overrides the key of the file.
        if value.trim().is_empty() && *name != "KIRO_SWARM_KEY" {
            continue;
        }
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        let raw = match *name {
            // Part of a command line.
            "KIRO_CODEX_EXTRA_ARGS" => {
                RawValue::List(words(&value).into_iter().map(RawValue::Text).collect())
            }
            _ => RawValue::Loose(value),
        };
        reader.take(&path, &raw, Origin::Env((*name).to_owned()));
    }
}

/// Splits a command line into words as a shell does: at blanks outside of quotes. A backslash outside of single quotes
/// keeps the next character.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (Some(open), _) if char == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

/// Reads the variables `KIROSU_...`. Returns warnings about variables that look like settings and are not.
pub(crate) fn current(
    env: &[(String, String)],
    names: &DefinedNames,
    reader: &mut LayerReader<'_>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut ours: Vec<_> = env
        .iter()
        .filter(|(name, _)| name.starts_with("KIROSU_"))
        .collect();
    // A stable sort: of equal names the last stays the last.
    ours.sort_by_key(|(name, _)| name);
    for (name, value) in ours {
        let parts: Vec<&str> = name["KIROSU_".len()..].split("__").collect();
        let top_level = parts.len() == 1 && schema::resolve(&[parts[0].to_lowercase()]).is_ok();
        if parts.len() == 1 && !top_level {
            warnings.extend(stray(name));
            continue;
        }
        let origin = Origin::Env(name.clone());
        match path(&parts, names) {
            Ok(path) => reader.take(&path, &RawValue::Loose(value.clone()), origin),
            Err(message) => reader.fault(std::slice::from_ref(name), &origin, message),
        }
    }
    warnings
}

/// The warning for a name without `__`. Such a name is not a fault, because a service manager or a run may set it.
fn stray(name: &str) -> Option<String> {
    if NOT_SETTINGS.contains(&name) {
        return None;
    }
    let (section, key) = name["KIROSU_".len()..].split_once('_')?;
    schema::resolve(&[section.to_lowercase(), key.to_lowercase()]).ok()?;
    Some(format!(
        "{name} is ignored: to set {}.{}, write KIROSU_{section}__{key}",
        section.to_lowercase(),
        key.to_lowercase()
    ))
}

/// The path of a variable's parts: `["POOL", "CODE_REVIEW", "SIZE"]` is `pool.code-review.size` if such a pool is defined.
fn path(parts: &[&str], names: &DefinedNames) -> Result<Vec<String>, String> {
    let section = parts.first().unwrap_or(&"").to_lowercase();
    let mut path = vec![section.clone()];
    let mut rest = parts.get(1..).unwrap_or_default();
    let known = match schema::section(&section).map(|section| section.shape) {
        Some(Shape::Array) => Some(names.of_array(&section)),
        Some(Shape::Named) => Some(&names.providers),
        _ => None,
    };
    if let (Some(known), Some((name, below))) = (known, rest.split_first()) {
        path.push(known_name(name, known)?);
        rest = below;
    }
    if let Some((key, below)) = rest.split_first() {
        path.push(key.to_lowercase());
        // The rest is the name of a variable for the run, whose case matters.
        if !below.is_empty() {
            path.push(below.join("__"));
        }
    }
    Ok(path)
}

/// The defined name that a part of a variable means. A variable cannot define a pool or a provider, because a misspelt name
/// would do so silently.
fn known_name(name: &str, known: &[String]) -> Result<String, String> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let fits: Vec<&String> = known
        .iter()
        .filter(|known| plain(known) == plain(name))
        .collect();
    let lower = name.to_lowercase();
    match fits[..] {
        [one] => Ok(one.clone()),
        [] => {
            let what = format!("nothing is defined under the name {lower}");
            Err(schema::with_nearest(
                &what,
                &lower,
                known.iter().map(String::as_str),
            ))
        }
        // `a-b` and `a_b` look the same in a variable.
        _ => Err(format!(
            "{lower} fits several names: use a flag or the file"
        )),
    }
}
