//! The environment layer: `KIROSU_<SECTION>__<KEY>`, and the names that clients of earlier versions use.

use crate::file::Names;
use crate::keys::HISTORICAL;
use crate::layer::Intake;
use crate::options::LoadOptions;
use crate::origin::Origin;
use crate::raw::Raw;
use crate::schema::{self, Shape};

/// Variables that Kirosu uses for something else: the file's path, and what a run finds in its own environment.
const NOT_SETTINGS: &[&str] = &[
    "KIROSU_CONFIG",
    "KIROSU_TASK_ID",
    "KIROSU_FENCE",
    "KIROSU_RUN",
    "KIROSU_INSTANCE",
];

/// The historical variables; weaker than the `KIROSU_` ones, so that a new name always wins over an old one.
pub(crate) fn historical(options: &LoadOptions, intake: &mut Intake<'_>) {
    for (name, key) in HISTORICAL {
        let Some(value) = options.var(name) else {
            continue;
        };
        // Empty means "not set", as it always did; an empty key has to override the file's, though.
        if value.trim().is_empty() && *name != "KIRO_SWARM_KEY" {
            continue;
        }
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        let raw = match *name {
            // Always was a piece of a command line.
            "KIRO_CODEX_EXTRA_ARGS" => {
                Raw::List(words(&value).into_iter().map(Raw::Text).collect())
            }
            _ => Raw::Loose(value),
        };
        intake.take(&path, &raw, Origin::Env((*name).to_owned()));
    }
}

/// The words of a command line, as a shell would split it: between blanks, quotes keep blanks, a backslash outside single quotes keeps what follows.
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

/// Variables `KIROSU_...`. Gives warnings about those that look like settings and are none.
pub(crate) fn current(
    env: &[(String, String)],
    names: &Names,
    intake: &mut Intake<'_>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut ours: Vec<_> = env
        .iter()
        .filter(|(name, _)| name.starts_with("KIROSU_"))
        .collect();
    // By name, and of equal names the last stays the last.
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
            Ok(path) => intake.take(&path, &Raw::Loose(value.clone()), origin),
            Err(message) => intake.fault(std::slice::from_ref(name), &origin, message),
        }
    }
    warnings
}

/// A name without `__` is often the environment of something else (a service manager, a run), so it is no fault.
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

/// `["POOL", "CODE_REVIEW", "SIZE"]` means `pool.code-review.size`, where the file has such a pool.
fn path(parts: &[&str], names: &Names) -> Result<Vec<String>, String> {
    let section = parts.first().unwrap_or(&"").to_lowercase();
    let mut path = vec![section.clone()];
    let mut rest = parts.get(1..).unwrap_or_default();
    let shape = schema::section(&section).map(|section| section.shape);
    if let (Some(Shape::Array | Shape::Named), Some((name, below))) = (shape, rest.split_first()) {
        let known = match shape {
            Some(Shape::Array) => &names.pools,
            _ => &names.providers,
        };
        path.push(known_name(name, known)?);
        rest = below;
    }
    if let Some((key, below)) = rest.split_first() {
        path.push(key.to_lowercase());
        // What follows is the name of a variable for the run: its case counts.
        if !below.is_empty() {
            path.push(below.join("__"));
        }
    }
    Ok(path)
}

/// Variables cannot define a pool or a provider: a misspelt name would do so without a word.
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
