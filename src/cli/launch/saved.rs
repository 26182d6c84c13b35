//! Runs that `--dry-run` has shown, for `run-pipeline --id`.

use super::nested::NestedPlans;
use super::{PreparedRun, name_of, sources_of};
use crate::cli::Failure;
use kirosu_config::{LoadOptions, state_folder};
use kirosu_plan::{PlanFormat, compile};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

/// Characters of an id.
const ID: usize = 12;
/// Dry runs that are kept; the oldest ones are removed.
const KEPT: usize = 100;

/// The identity of all items that a run reads on this machine.
#[derive(Clone, Default)]
pub struct ItemsDigest(Sha256);

impl ItemsDigest {
    /// The next item of a step.
    pub fn add(&mut self, step: &str, item: &Value) {
        // Lengths before the texts: no two lists of items are written alike.
        let text = item.to_string();
        self.0
            .update(format!("{} {step} {} ", step.len(), text.len()));
        self.0.update(text);
    }

    /// The digest in hexadecimal.
    pub fn hex(self) -> String {
        let hash = self.0.finalize();
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A run as a dry run has shown it.
#[derive(Debug, Serialize, Deserialize)]
struct SavedRun {
    /// The folder from which its files are named.
    folder: PathBuf,
    /// The name of a plan without one.
    name: Option<String>,
    text: String,
    format: String,
    inputs: Map<String, Value>,
    plans: NestedPlans,
    /// [`ItemsDigest`] of its items.
    items: String,
}

/// Keeps a run for `--id`. `None`: there is no home directory, or nothing can be written there.
pub fn save(run: &PreparedRun, items: String) -> Option<String> {
    let saved = SavedRun {
        folder: std::env::current_dir().ok()?,
        name: run.plan.name.clone(),
        text: run.text.clone(),
        format: name_of(run.format).to_owned(),
        inputs: run.given.clone(),
        plans: run.nested.clone(),
        items,
    };
    let text = serde_json::to_string(&saved).ok()?;
    let hash = Sha256::digest(text.as_bytes());
    let mut id: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    id.truncate(ID);
    let folder = folder()?;
    // Inputs may be secrets.
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(&folder).ok()?;
    let mut options = std::fs::OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o600);
    let file = options.open(folder.join(format!("{id}.json")));
    file.ok()?.write_all(text.as_bytes()).ok()?;
    forget_oldest(&folder);
    Some(id)
}

fn folder() -> Option<PathBuf> {
    Some(state_folder(&LoadOptions::from_process())?.join("dry-runs"))
}

fn forget_oldest(folder: &std::path::Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut files: Vec<_> = entries
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    files.sort();
    let most = files.len().saturating_sub(KEPT);
    for (_, file) in files.into_iter().take(most) {
        let _ = std::fs::remove_file(file);
    }
}

/// The run that a dry run has shown.
///
/// # Errors
/// There is none with this id, or it was made in another folder.
pub fn load(id: &str) -> Result<PreparedRun, Failure> {
    let none = || {
        Failure::Local(format!(
            "there is no dry run {id}: `kirosu run-pipeline --file FILE --dry-run` prints its id"
        ))
    };
    if !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(none());
    }
    let file = folder().ok_or_else(none)?.join(format!("{id}.json"));
    let text = std::fs::read_to_string(file).map_err(|_| none())?;
    let saved: SavedRun = serde_json::from_str(&text)
        .map_err(|why| Failure::local("cannot read the dry run", why))?;
    let here =
        std::env::current_dir().map_err(|why| Failure::local("there is no current folder", why))?;
    let format = match saved.format.as_str() {
        "toml" => PlanFormat::Toml,
        _ => PlanFormat::Yaml,
    };
    let mut plan = compile(&saved.text, format)
        .map_err(|why| Failure::local("the plan of the dry run has faults", why))?;
    plan.name = plan.name.or(saved.name);
    let inputs = plan.filled(&saved.inputs);
    let sources = sources_of(&plan, &inputs, &saved.plans)?;
    if !sources.is_empty() && here != saved.folder {
        return Err(Failure::Local(format!(
            "the dry run {id} reads files from {}: run it there",
            saved.folder.display()
        )));
    }
    Ok(PreparedRun {
        plan,
        text: saved.text,
        format,
        given: saved.inputs,
        inputs,
        nested: saved.plans,
        sources,
        items: Some(saved.items),
    })
}
