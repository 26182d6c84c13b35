//! `apply --check` and `apply` give the same answer whatever state the checkout is in, and nothing of the person's goes.

use crate::workspaces::field::{Agents, Field};
use std::collections::BTreeMap;
use std::path::Path;

/// Every file of the checkout, and what git says about it.
fn state(field: &Field) -> BTreeMap<String, String> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if entry.file_name() == ".git" {
                continue;
            }
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                walk(root, &path, found);
            } else {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                let text = match kind.is_symlink() {
                    true => std::fs::read_link(&path)
                        .unwrap()
                        .to_string_lossy()
                        .into_owned(),
                    false => String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned(),
                };
                found.insert(name, text);
            }
        }
    }
    let mut found = BTreeMap::new();
    let root = field.repository();
    walk(&root, &root, &mut found);
    let head = std::fs::read_to_string(root.join(".git/HEAD")).unwrap();
    found.insert(".git/HEAD".into(), head);
    found.insert(
        ".git/refs".into(),
        field.git("for-each-ref refs/heads/main refs/heads/other"),
    );
    found.insert(".git/index".into(), field.git("ls-files -v --stage"));
    found
}

fn shell(field: &Field, script: &str) {
    let output = std::process::Command::new("sh")
        .args(["-ec", script])
        .current_dir(field.repository())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_EDITOR", "true")
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
}

/// A field whose task changes files of many kinds.
fn start() -> (Field, Agents, i64) {
    let field = Field::new()
        .file("a.txt", "one\n")
        .file("dir/in", "in\n")
        .file("kept/x", "x\n")
        .file(".gitignore", "ignored*\nsettings\n");
    field.commit("start");
    let hub = field.start("");
    let id = hub.done(
        "echo agent > a.txt; mkdir -p settings new; echo s > settings/s; git add -f settings/s; echo n > new/n; \
         echo i > ignored-file; git add -f ignored-file; git rm -qr dir; echo d > dir; ln -s a.txt link; chmod +x kept/x",
    );
    (field, hub, id)
}

/// The person's action, and the text of both refusals.
const STATES: &[(&str, &str)] = &[
    // Files that git does not hold, where the merge writes.
    ("echo SECRET > settings", "settings"),
    ("mkdir settings; echo SECRET > settings/s", "settings/s"),
    ("echo mine > ignored-file", "ignored-file"),
    (
        "mkdir ignored-file; echo mine > ignored-file/deep",
        "ignored-file/deep",
    ),
    ("echo mine > new", "in new:"),
    ("ln -s /nowhere new", "in new:"),
    ("ln -s kept new", "in new:"),
    ("echo mine > link", "in link:"),
    ("ln -s kept link", "in link:"),
    ("echo mine > dir/mine", "dir/mine"),
    ("echo mine > dir/ignored-too", "dir/ignored-too"),
    (
        "echo settings >> .git/info/exclude; echo SECRET > settings",
        "settings",
    ),
    // Changes that git tracks, and changes that it is configured to ignore.
    ("echo mine > a.txt", "a.txt"),
    ("echo mine > a.txt; git add a.txt", "a.txt"),
    ("git rm -q --cached a.txt", "a.txt"),
    ("rm a.txt", "a.txt"),
    (
        "git update-index --skip-worktree a.txt; echo mine > a.txt",
        "a.txt",
    ),
    (
        "git update-index --assume-unchanged a.txt; echo mine > a.txt",
        "a.txt",
    ),
    (
        "git update-index --assume-unchanged dir/in; echo mine > dir/in",
        "dir/in",
    ),
    ("mkdir new; echo n > new/n; git add new/n", "new/n"),
    // Unfinished operations.
    (
        "git switch -qc other; echo o > o; git add o; git commit -qm o; git switch -q main; git merge -q --no-ff --no-commit other",
        "a merge",
    ),
    (
        "git switch -qc other; echo o > kept/x; git commit -qam o; git switch -q main; echo p > kept/x; git commit -qam p; git cherry-pick other || true",
        "a cherry-pick",
    ),
    (
        "echo p > kept/x; git commit -qam p; echo q > kept/x; git commit -qam q; git revert --no-edit HEAD~1 || true",
        "a revert",
    ),
    (
        "git switch -qc other; echo o > kept/x; git commit -qam o; git switch -q main; echo p > kept/x; git commit -qam p; git rebase other || true",
        "a rebase",
    ),
    (
        "git switch -qc other; echo o > kept/x; git commit -qam o; git switch -q main; echo p > kept/x; git commit -qam p; git format-patch -1 --stdout other | git am || true",
        "git am",
    ),
    ("git bisect start -q", "a bisect"),
    // Checkouts that no branch, or another one, is on.
    ("git checkout -q --detach", "no branch checked out"),
    ("git switch -q --orphan empty", "no commit yet"),
    // Settings.
    (
        "git config merge.verifySignatures true",
        "merge.verifySignatures",
    ),
    ("touch .git/index.lock", "index.lock"),
    ("touch .git/refs/heads/main.lock", "main.lock"),
    (
        "git config filter.big.smudge no-such-filter; git config filter.big.required true; echo 'new/* filter=big' > .git/info/attributes",
        "smudge filter",
    ),
];

#[test]
fn check_and_apply_refuse_alike_and_nothing_of_the_persons_changes() {
    let (field, hub, id) = start();
    let saved = field.setup.directory.path().join("saved");
    let root = field.repository();
    let copy = |from: &Path, to: &Path| {
        let _ = std::fs::remove_dir_all(to);
        let done = std::process::Command::new("cp")
            .arg("-a")
            .arg(from)
            .arg(to)
            .status();
        assert!(done.unwrap().success());
    };
    copy(&root, &saved);
    for (script, why) in STATES {
        shell(&field, script);
        let before = state(&field);
        let check = hub.refused(&format!("apply {id} --check"));
        assert!(check.contains(why), "{script}: {check}");
        assert_eq!(before, state(&field), "{script}: --check");
        let apply = hub.refused(&format!("apply {id}"));
        assert_eq!(check, apply, "{script}");
        assert_eq!(before, state(&field), "{script}: apply");
        copy(&saved, &root);
    }
}

/// States in which it goes, and what the person has afterwards, as it was.
const FINE: &[(&str, &str)] = &[
    ("true", ""),
    (
        "echo mine > mine; echo m > ignored-mine; echo more >> .gitignore",
        "mine",
    ),
    ("mkdir new; mkdir settings", ""),
    (
        "git update-index -q --refresh; git update-index --skip-worktree a.txt",
        "",
    ),
    (
        "git update-index -q --refresh; git update-index --assume-unchanged kept/x",
        "",
    ),
    ("touch a.txt kept/x dir/in", ""),
    (
        "git config commit.gpgSign true; git config gpg.program false",
        "",
    ),
    (
        "git config merge.ff false; git config branch.main.mergeOptions --squash",
        "",
    ),
    ("git config core.fileMode false; chmod +x a.txt", ""),
    (
        "git config core.hooksPath /nowhere; git config core.bare true",
        "",
    ),
    ("git worktree add -q --force ../second main", ""),
    ("git sparse-checkout set kept", ""),
    (
        "git config submodule.recurse true; git config merge.autoStash true",
        "",
    ),
];

#[test]
fn check_and_apply_agree_where_it_goes() {
    let (field, hub, id) = start();
    let saved = field.setup.directory.path().join("saved");
    let root = field.repository();
    let copy = |from: &Path, to: &Path| {
        let _ = std::fs::remove_dir_all(to);
        let done = std::process::Command::new("cp")
            .arg("-a")
            .arg(from)
            .arg(to)
            .status();
        assert!(done.unwrap().success());
    };
    copy(&root, &saved);
    for (script, mine) in FINE {
        shell(&field, script);
        let text = (!mine.is_empty()).then(|| field.read(mine));
        let check = hub.json(&format!("apply {id} --check"));
        assert_eq!(check["applied"], "possible", "{script}");
        let applied = hub.json(&format!("apply {id}"));
        assert_eq!(applied["applied"], "merged", "{script}");
        assert_eq!(applied["files"], check["files"], "{script}");
        shell(&field, "git config core.bare false");
        assert_eq!(field.git("show HEAD:a.txt"), "agent", "{script}");
        assert_eq!(
            field.git("rev-list --count --min-parents=2 HEAD"),
            "1",
            "{script}"
        );
        assert_eq!(
            text,
            (!mine.is_empty()).then(|| field.read(mine)),
            "{script}"
        );
        copy(&saved, &root);
    }
}
