//! The search for programs.

use std::path::{Path, PathBuf};

use crate::definition::{Definition, built_in_names};

/// The path of a program. A path with a slash is taken as it is; a name is looked up in the `PATH` of `env`, else of this
/// process. `None` when it does not exist or this user may not execute it. A relative path is not checked, because it counts
/// from the folder of a run.
pub fn find_program(program: &str, env: &[(String, String)]) -> Option<PathBuf> {
    if program.contains('/') {
        let path = PathBuf::from(program);
        return (path.is_relative() || is_executable(&path)).then_some(path);
    }
    let own = env.iter().rev().find(|(name, _)| name == "PATH");
    let path = match own {
        Some((_, path)) => path.into(),
        None => std::env::var_os("PATH")?,
    };
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|it| is_executable(it))
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Advice for a person about a missing program: how to install it, and what else is installed.
pub(crate) fn advice(program: &str, definition: &Definition, env: &[(String, String)]) -> String {
    let what = format!("'{program}' is not in PATH or not executable");
    let Some(install) = &definition.install else {
        return format!("{what}; install it, or correct the provider's program");
    };
    let here: Vec<&str> = built_in_names()
        .filter(|name| {
            let definition = Definition::read(Some(name), &serde_json::Map::new());
            definition.is_ok_and(|it| find_program(&it.command[0], env).is_some())
        })
        .collect();
    let others = match here.is_empty() {
        true => {
            let all: Vec<&str> = built_in_names().collect();
            format!(
                "no other agent is installed here either; kirosu knows {}",
                all.join(", ")
            )
        }
        false => format!("installed here: {}", here.join(", ")),
    };
    format!(
        "{what}; install it: {install}; or name another provider (KIRO_PROVIDER, --provider, or provider = in the pool): {others}, and echo for trials"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_the_path_they_will_have() {
        assert!(find_program("sh", &[]).is_some());
        assert!(find_program("no-such-program", &[]).is_none());
        assert!(find_program("sh", &[("PATH".to_owned(), "/nowhere".to_owned())]).is_none());
    }
}
