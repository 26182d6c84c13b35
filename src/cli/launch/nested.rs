//! Plans that the steps of a plan name: read from files, checked, and sent with the run.

use crate::cli::plan::file::{PlanFile, find, is_bare};
use crate::cli::{Failure, text};
use kirosu_plan::limits::DEPTH;
use kirosu_plan::{Plan, PlanFormat, Step, Work};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The texts of plans, by the names that the steps have for them.
pub type NestedPlans = BTreeMap<String, String>;

/// A plan whose steps are still to be read.
struct OpenPlan {
    plan: Plan,
    /// The folder of its file, from which it names others.
    folder: PathBuf,
    /// The files of the plans that lead to it, itself included.
    way: Vec<PathBuf>,
}

/// Reads the plans that `plan` names, and those that they name.
///
/// # Errors
/// One cannot be read or has faults, names itself again, or is too deep.
pub async fn read(plan: &Plan, path: Option<&Path>) -> Result<NestedPlans, Failure> {
    let mut texts: NestedPlans = BTreeMap::new();
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    let way: Vec<PathBuf> = path
        .map(|path| whole(path.to_owned()))
        .into_iter()
        .collect();
    let mut open = vec![OpenPlan {
        plan: plan.clone(),
        folder: folder(path),
        way,
    }];
    while let Some(parent) = open.pop() {
        for (step, name) in named(&parent.plan.pipeline) {
            let path = path_of(&name, &parent.folder)?;
            let key = whole(path.clone());
            if parent.way.contains(&key) {
                let ways = parent
                    .way
                    .iter()
                    .chain([&key])
                    .map(|it| it.display().to_string());
                return Err(Failure::Local(format!(
                    "plans would run each other without end: {}",
                    ways.collect::<Vec<_>>().join(" names ")
                )));
            }
            if parent.way.len() as u64 >= DEPTH.hardest {
                let levels = text::count(DEPTH.hardest, "level");
                return Err(Failure::Local(format!(
                    "the step {step} names {name}, which would be below {levels} of plans, the most"
                )));
            }
            match files.get(&name) {
                Some(other) if *other != key => {
                    return Err(Failure::Local(format!(
                        "{name} means {} in one plan and {} in another; give the files different names",
                        other.display(),
                        key.display()
                    )));
                }
                _ => files.insert(name.clone(), key.clone()),
            };
            let file = PlanFile::open(&path, None).await?;
            if is_bare(&name) && file.format == PlanFormat::Toml {
                return Err(Failure::Local(format!(
                    "the step {step} names {name}, which is TOML: write its file, {}",
                    file.shown
                )));
            }
            let nested = file.compiled()?;
            texts.insert(name, file.text);
            open.push(OpenPlan {
                plan: nested,
                folder: folder(Some(&path)),
                way: parent.way.iter().cloned().chain([key]).collect(),
            });
        }
    }
    Ok(texts)
}

/// The folder of a plan; the current one for standard input.
fn folder(path: Option<&Path>) -> PathBuf {
    let folder = path.and_then(Path::parent);
    folder.map_or_else(PathBuf::new, Path::to_owned)
}

/// The file, independent of the way to it.
fn whole(path: PathBuf) -> PathBuf {
    std::fs::canonicalize(&path).unwrap_or(path)
}

fn path_of(name: &str, folder: &Path) -> Result<PathBuf, Failure> {
    match is_bare(name) {
        true => find(Path::new(name)),
        false => Ok(folder.join(name)),
    }
}

/// The steps that name plans, with the names.
fn named(steps: &[Step]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for step in steps {
        if let Work::Pipeline(work) = &step.work {
            all.push((step.id.clone(), work.plan.clone()));
        }
        all.extend(named(step.work.steps()));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the plans and reads the first one's.
    fn read_of(files: &[(&str, &str)]) -> Result<NestedPlans, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, steps) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("pipeline:\n{steps}\n")).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let path = folder.path().join(files[0].0);
            let file = PlanFile::open(&path, None).await.unwrap();
            let plan = file.compiled().unwrap();
            let read = read(&plan, file.path.as_deref()).await;
            read.map_err(|why| why.to_string())
        })
    }

    #[test]
    fn plans_are_found_from_the_folder_of_their_plan() {
        let texts = read_of(&[
            (
                "a.yaml",
                "- { id: x, pipeline: sub/b.yaml }\n- { id: y, pipeline: sub/b.yaml }",
            ),
            ("sub/b.yaml", "- { id: z, pipeline: ./c.yaml }"),
            ("sub/c.yaml", "- { id: t, prompt: hello }"),
        ]);
        let texts = texts.unwrap();
        assert_eq!(texts.keys().collect::<Vec<_>>(), ["./c.yaml", "sub/b.yaml"]);
        assert!(texts["./c.yaml"].contains("hello"));
    }

    #[test]
    fn a_plan_that_cannot_run_below_another_is_refused() {
        let to_a = "- { id: x, pipeline: a.yaml }";
        let why = read_of(&[
            ("a.yaml", "- { id: x, pipeline: b.yaml }"),
            ("b.yaml", to_a),
        ]);
        let why = why.unwrap_err();
        assert!(
            why.contains("without end") && why.contains("b.yaml names "),
            "{why}"
        );
        let why = read_of(&[("a.yaml", "- { id: x, pipeline: none.yaml }")]);
        assert!(why.unwrap_err().contains("cannot read"));
        let chain: Vec<(String, String)> = (0..10)
            .map(|n| {
                (
                    format!("{n}.yaml"),
                    format!("- {{ id: x, pipeline: {}.yaml }}", n + 1),
                )
            })
            .collect();
        let chain: Vec<(&str, &str)> = chain
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert!(read_of(&chain).unwrap_err().contains("8 levels"));
    }
}
