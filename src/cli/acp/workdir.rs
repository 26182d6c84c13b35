//! The folder of the editor's project, as the folder of tasks.

use kirosu_config::PoolSection;
use kirosu_protocol::settings::WorkspaceMode;
use std::path::{Path, PathBuf};

/// The `workdir` of tasks for a project in `cwd`, if the settings of this machine have a pool for the queue: the folder within that of
/// the pool.
///
/// # Errors
/// A note for the person: the agents work elsewhere.
pub fn of(cwd: &Path, queue: &str, pools: &[PoolSection]) -> Result<Option<String>, String> {
    let serves =
        |pool: &&PoolSection| pool.name == queue || pool.queues.iter().any(|it| it == queue);
    let Some(pool) = pools.iter().find(serves) else {
        return Ok(None);
    };
    let is_for_files = matches!(
        pool.workspace,
        WorkspaceMode::Shared | WorkspaceMode::Worktree
    );
    let (Some(folder), true) = (&pool.workdir, is_for_files) else {
        return Ok(None);
    };
    let (here, there) = (whole(cwd), whole(folder));
    match here.strip_prefix(&there) {
        Ok(below) if below.as_os_str().is_empty() => Ok(None),
        Ok(below) => Ok(below.to_str().map(str::to_owned)),
        Err(_) => Err(format!(
            "the agents of the pool {} work in {}, not in {}",
            pool.name,
            folder.display(),
            cwd.display()
        )),
    }
}

/// The folder, independent of the way to it.
fn whole(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_config::{LoadOptions, Settings};

    #[test]
    fn a_folder_below_that_of_the_pool_is_named_from_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kirosu.toml");
        std::fs::create_dir_all(folder.path().join("p/src")).unwrap();
        let text = "
[[pool]]
name = \"a\"
provider = \"echo\"
workdir = \"@/p\"
[[pool]]
name = \"b\"
provider = \"echo\"
queues = [\"b\"]
workspace = \"ephemeral\"
workdir = \"@/p\"
"
        .replace('@', folder.path().to_str().unwrap());
        std::fs::write(&file, text).unwrap();
        let mut options = LoadOptions::with_env([("HOME", "/nowhere")]);
        options.file = Some(file);
        let pools = Settings::load(options).unwrap().settings.pools;
        let of = |cwd: &str, queue| of(&folder.path().join(cwd), queue, &pools);
        assert_eq!(of("p", "default"), Ok(None));
        assert_eq!(of("p/src", "default"), Ok(Some("src".into())));
        let note = of("other", "default").unwrap_err();
        assert!(
            note.contains("pool a") && note.contains("/p, not in"),
            "{note}"
        );
        assert_eq!(of("other", "b"), Ok(None));
        assert_eq!(of("other", "none"), Ok(None));
    }
}
