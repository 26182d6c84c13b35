//! Applying where git stops in the middle, and where names in the repository look like revisions.

use crate::workspaces::field::Field;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn a_merge_that_git_stops_halfway_is_put_back() {
    let field = Field::new()
        .file("a.txt", "one\n")
        .file("dir/in", "in\n")
        .file("gone", "gone\n")
        .file(".gitattributes", "z.late filter=once\n");
    field.commit("start");
    let hub = field.start("");
    let id = hub.done(
        "echo agent > a.txt; git rm -qr dir gone; echo d > dir; mkdir new; echo n > new/n; ln -s a.txt link; echo z > z.late",
    );
    // It works when the merge is rehearsed, and fails when it is made.
    let marker = field.setup.directory.path().join("marker");
    let filter = field.setup.directory.path().join("filter");
    let script = format!(
        "#!/bin/sh\nif [ -e {0} ]; then rm {0}; exit 1; fi\n: > {0}\ncat\n",
        marker.display()
    );
    std::fs::write(&filter, script).unwrap();
    std::fs::set_permissions(&filter, std::fs::Permissions::from_mode(0o755)).unwrap();
    field.git(&format!("config filter.once.smudge {}", filter.display()));
    field.git("config filter.once.required true");
    let field = field.file("mine", "mine\n");
    let before = (field.git("rev-parse HEAD"), field.git("status --porcelain"));
    let said = hub.refused(&format!("apply {id}"));
    assert!(
        said.contains("nothing was applied, all files are as before"),
        "{said}"
    );
    assert!(!marker.exists(), "the merge itself was tried");
    let after = (field.git("rev-parse HEAD"), field.git("status --porcelain"));
    assert_eq!(before, after);
    for (name, text) in [
        ("a.txt", "one\n"),
        ("dir/in", "in\n"),
        ("gone", "gone\n"),
        ("mine", "mine\n"),
    ] {
        assert_eq!(field.read(name), text);
    }
    assert!(!field.repository().join("new").exists());
    assert!(field.repository().join("link").symlink_metadata().is_err());
    field.git("config --remove-section filter.once");
    hub.cli(&format!("apply {id}"));
    assert_eq!(field.read("z.late"), "z\n");
}

#[test]
fn files_and_tags_that_are_called_like_revisions_are_no_obstacle() {
    let field = Field::new()
        .file("a.txt", "one\n")
        .file("HEAD", "h\n")
        .file("main", "m\n");
    field.commit("start");
    field.git("tag main");
    field.git("tag kirosu/task-1");
    let hub = field.start("");
    let id = hub.done("echo agent > a.txt; echo two > HEAD; echo two > main");
    assert!(hub.cli(&format!("diff {id}")).contains("+two"));
    let applied = hub.json(&format!("apply {id}"));
    assert_eq!(
        (&applied["applied"], &applied["into"]),
        (&"merged".into(), &"main".into())
    );
    assert_eq!(field.read("HEAD"), "two\n");
    assert_eq!(
        hub.json("workspaces --prune")["removed"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn objects_that_another_git_removes_before_the_commit_are_written_again() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    let hub = field.start("");
    // As where `git gc --prune=now` runs just after the files were added: the index names what is not there.
    let gone = "echo two > a.txt; echo new > new; git add -A; cd $(git rev-parse --git-common-dir)/objects; \
                for blob in $(printf 'two\\n' | git hash-object --stdin) $(printf 'new\\n' | git hash-object --stdin); do \
                rm -f $(echo $blob | sed 's,^..,&/,'); done";
    let id = hub.done(gone);
    assert_eq!(field.git(&format!("show kirosu/task-{id}:new")), "new");
    hub.cli(&format!("apply {id}"));
    assert_eq!(field.read("a.txt"), "two\n");
}
