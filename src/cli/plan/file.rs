//! Files of plans: finds, reads and compiles them.

use crate::cli::Failure;
use crate::cli::enqueue::read;
use clap::ValueEnum;
use kirosu_plan::limits::PLAN_BYTES;
use kirosu_plan::{Plan, PlanFaults, PlanFormat, compile};
use kirosu_protocol::text::nearest;
use std::path::{Path, PathBuf};

/// Plans of this folder that are known by their names.
pub const FOLDER: &str = ".kirosu/plans";

/// Plans that are listed.
const LISTED: usize = 200;

/// The format of a plan.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum GivenFormat {
    /// YAML
    Yaml,
    /// JSON
    Json,
    /// TOML
    Toml,
}

impl GivenFormat {
    /// The format for the compiler.
    pub fn format(self) -> PlanFormat {
        match self {
            GivenFormat::Yaml | GivenFormat::Json => PlanFormat::Yaml,
            GivenFormat::Toml => PlanFormat::Toml,
        }
    }
}

/// Whether the name means standard input.
pub fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

/// The text of a plan and its origin.
pub struct PlanFile {
    /// The file, or `-`.
    pub shown: String,
    /// The plan's text.
    pub text: String,
    /// Its format.
    pub format: PlanFormat,
    /// The name of the file, for a plan without a name.
    pub name: Option<String>,
    /// The file; `None` for standard input.
    pub path: Option<PathBuf>,
}

impl PlanFile {
    /// Reads a plan from a file, by its name, or from standard input.
    ///
    /// # Errors
    /// It cannot be found or read.
    pub async fn open(file: &Path, format: Option<GivenFormat>) -> Result<PlanFile, Failure> {
        let path = match is_stdin(file) {
            true => file.to_owned(),
            false => find(file)?,
        };
        let ending = path.extension().and_then(|ending| ending.to_str());
        let by_ending = PlanFormat::of_ending(ending.unwrap_or_default());
        let name = path.file_stem().and_then(|name| name.to_str());
        Ok(PlanFile {
            shown: path.display().to_string(),
            text: read(&path, PLAN_BYTES as u64).await?,
            format: format.map_or(by_ending, GivenFormat::format),
            name: name.filter(|_| !is_stdin(file)).map(str::to_owned),
            path: (!is_stdin(file)).then(|| path.clone()),
        })
    }

    /// Compiles the plan.
    ///
    /// # Errors
    /// All faults.
    pub fn compile(&self) -> Result<Plan, PlanFaults> {
        let mut plan = compile(&self.text, self.format)?;
        plan.name = plan.name.or_else(|| self.name.clone());
        Ok(plan)
    }

    /// As [`compile`](Self::compile), with the faults as a failure of the command.
    ///
    /// # Errors
    /// The plan has faults.
    pub fn compiled(&self) -> Result<Plan, Failure> {
        self.compile().map_err(|faults| Failure::Plan {
            file: self.shown.clone(),
            faults,
        })
    }
}

/// Whether a text is the bare name of a plan, not that of a file.
pub fn is_bare(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '.'])
}

/// The file of a plan: a bare name is that of a plan in [`FOLDER`].
///
/// # Errors
/// No plan, or more than one, has the name.
pub fn find(file: &Path) -> Result<PathBuf, Failure> {
    let name = file.to_str().unwrap_or_default();
    if !is_bare(name) {
        return Ok(file.to_owned());
    }
    let paths =
        PlanFormat::ENDINGS.map(|ending| Path::new(FOLDER).join(format!("{name}.{ending}")));
    let mut found = paths.into_iter().filter(|path| path.exists());
    match (found.next(), found.next()) {
        (Some(path), None) => Ok(path),
        (Some(one), Some(other)) => Err(Failure::Local(format!(
            "the name {name} is that of {} and {}: give the file",
            one.display(),
            other.display()
        ))),
        (None, _) => {
            let known = known(Path::new(FOLDER));
            let near = nearest(name, known.iter().map(String::as_str));
            let near = near.map(|near| format!("; did you mean {near}?"));
            let endings = PlanFormat::ENDINGS.join(", .");
            Err(Failure::Local(format!(
                "there is no plan {name}: no {FOLDER}/{name} with the ending .{endings}{}",
                near.unwrap_or_else(|| format!("; a file here is ./{name}"))
            )))
        }
    }
}

/// The names of the plans of a project, in order: those that clients list, at most [`LISTED`]. A name with blanks is left out, because
/// people write names as words.
pub fn names(project: &Path) -> Vec<String> {
    let mut names = known(&project.join(FOLDER));
    names.retain(|name| is_bare(name) && !name.contains(char::is_whitespace));
    names.sort();
    names.dedup();
    names.truncate(LISTED);
    names
}

/// The names of the plans in a folder, such as [`FOLDER`]; empty if it cannot be read.
fn known(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let plans = paths.filter(|path| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| PlanFormat::ENDINGS.contains(&ending))
    });
    plans
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plans_of_a_project_are_listed_once_each() {
        let folder = tempfile::tempdir().unwrap();
        let plans = folder.path().join(FOLDER);
        assert!(names(folder.path()).is_empty());
        std::fs::create_dir_all(&plans).unwrap();
        for file in ["b.yaml", "a.toml", "a.yaml", "c d.yaml", "e.txt"] {
            std::fs::write(plans.join(file), "").unwrap();
        }
        assert_eq!(names(folder.path()), ["a", "b"]);
    }
}
