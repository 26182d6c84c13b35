//! Scripts of agents: random steps of what agents do in a worktree, and of what goes wrong there.

use super::{LEDGER, Marks, python};
use fastrand::Rng;
use std::path::Path;

/// A task's script: for each attempt its own steps and its own end. Every attempt lists at its end, in
/// `LEDGERS/TASK-FENCE`, the marks that it leaves behind, and every attempt but the first at its beginning, in
/// `LEDGERS/begin-TASK-FENCE`, those that it finds: what it writes over itself is not lost by Kirosu.
pub fn script(rng: &mut Rng, marks: &mut Marks, attempts: u32, root: &Path) -> String {
    let mut script = String::from("set +e\nw=$PWD\n");
    let root = root.display();
    script.push_str(&format!(
        "export LEDGERS={root}/ledgers LIB={root}/lib.src OUTSIDE={root}/outside LEDGER={LEDGER} PYTHON={}\n",
        python()
    ));
    script.push_str("export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_EDITOR=true\n");
    script.push_str("export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@x GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@x\n");
    script.push_str("attempt=$(ls $LEDGERS | grep -c \"^$KIROSU_TASK_ID-\")\n");
    for attempt in 0..=attempts {
        let last = attempt == attempts;
        let test = if attempt == 0 { "if" } else { "elif" };
        script.push_str(&match last {
            true => "else\n".to_owned(),
            false => format!("{test} [ $attempt = {attempt} ]; then\n"),
        });
        if attempt > 0 {
            script.push_str(
                "$PYTHON -B $LEDGER \"$w\" > $LEDGERS/begin-$KIROSU_TASK_ID-$KIROSU_FENCE\n",
            );
        }
        for _ in 0..rng.usize(2..7) {
            script.push_str(&step(rng, marks));
            script.push('\n');
        }
        if rng.u8(..20) == 0 {
            script.push_str(vanish(rng));
            script.push('\n');
        }
        script.push_str("cd \"$w\" 2>/dev/null || cd /\n");
        script.push_str("$PYTHON -B $LEDGER \"$w\" > $LEDGERS/$KIROSU_TASK_ID-$KIROSU_FENCE\n");
        script.push_str(match (last, rng.u8(..8)) {
            (true, _) | (_, 0..=2) => "exit 0",
            (_, 3..=5) => "exit 3",
            _ => "kill -9 $$",
        });
        script.push('\n');
    }
    script.push_str("fi\n");
    script
}

/// A file that agents and persons write: few names, so that they meet.
pub fn file(rng: &mut Rng) -> &'static str {
    let names = [
        "a.txt",
        "b.txt",
        "src/c.txt",
        "new.txt",
        "deep/er/d.txt",
        "secret",
        "build/out.o",
        "b",
        "src",
        "x.bin",
    ];
    names[rng.usize(..names.len())]
}

fn write(rng: &mut Rng, marks: &mut Marks) -> String {
    let (name, mark) = (file(rng), marks.new_mark());
    let redirect = if rng.bool() { ">" } else { ">>" };
    format!("mkdir -p $(dirname {name}); echo {mark} {redirect} {name}")
}

/// One step. None of them destroys what is not the agent's own.
fn step(rng: &mut Rng, marks: &mut Marks) -> String {
    let one = write(rng, marks);
    let two = write(rng, marks);
    let mark = marks.new_mark();
    let name = file(rng);
    match rng.u8(..36) {
        0..=6 => one,
        7 => format!("rm -rf {name}"),
        8..=10 => format!("{one}; git add -A; git commit -qm work"),
        11 => format!("{one}; git add -f -A; git commit -qm 'with ignored files'"),
        12 => format!("{one}; git add -A"),
        13 => format!(
            "git checkout -q -b side-$KIROSU_TASK_ID-$KIROSU_FENCE; {one}; git add -A; git commit -qm side"
        ),
        14 => format!("git checkout -q --detach; {one}; git add -A; git commit -qm detached"),
        15 => format!("{one}; git add -A; git commit -qm left; git checkout -q --detach HEAD~1"),
        16 => format!("{one}; git stash -q -u; {two}"),
        17 => format!("{one}; git stash -q; git stash pop -q"),
        18 => conflict("git rebase -q", &mark, &one, &two),
        19 => conflict("git merge -q", &mark, &one, &two),
        20 => conflict("git cherry-pick", &mark, &one, &two),
        21 => format!(
            "{}; git rebase --abort",
            conflict("git rebase -q", &mark, &one, &two)
        ),
        22 => format!(
            "git init -q nested; (cd nested; echo {mark} > n.txt; git add -A; git commit -qm nested)"
        ),
        23 => format!(
            "git init -q nested; (cd nested; echo {mark} > n.txt; git add -A; git commit -qm nested; {one})"
        ),
        24 => format!("git init -q empty-nested; echo {mark} > empty-nested/n.txt"),
        25 => format!(
            "git -c protocol.file.allow=always submodule --quiet update --init; (cd lib && echo {mark} > l.txt && git add -A && git commit -qm sub)"
        ),
        26 => format!(
            "git -c protocol.file.allow=always submodule --quiet update --init; echo {mark} > lib/l.txt"
        ),
        27 => format!(
            "git -c protocol.file.allow=always submodule --quiet add $LIB lib2; (cd lib2 && echo {mark} > l.txt && git add -A && git commit -qm sub2)"
        ),
        28 => format!(
            "echo {mark} > ignored.log; mkdir -p target; {}",
            one.replace("build/out.o", "target/out.o")
        ),
        29 => format!("echo '{name}' >> .gitignore; {one}"),
        30 => format!("git config user.name Robot; git config user.email robot@example.org; {one}"),
        31 => format!("ln -sfn ../../../../outside link; {one}"),
        32 => format!("{one}; git update-index --skip-worktree {name}; {two}"),
        33 => format!("chmod +x a.txt; chmod 500 src; {one}"),
        34 => format!("{one}; git add -A; git commit -qm gone; git reset -q --hard HEAD~1"),
        _ => format!("git bisect start -q; {one}"),
    }
}

/// A branch that changes the same file as the current one, and a command that meets both. The mark makes the branch's name
/// unique: no branch of another run is moved.
fn conflict(command: &str, mark: &str, one: &str, two: &str) -> String {
    format!(
        "here=$(git symbolic-ref -q --short HEAD || git rev-parse HEAD); git checkout -q -b other-{mark}; {one}; \
         echo o >> a.txt; git add -A; git commit -qm o; git checkout -q $here; {two}; echo t >> a.txt; git add -A; \
         git commit -qm t; {command} other-{mark}"
    )
}

/// Damage to the worktree itself.
fn vanish(rng: &mut Rng) -> &'static str {
    match rng.u8(..7) {
        0 => "cd /; rm -rf \"$w\"; ln -s $OUTSIDE \"$w\"",
        1 => "cd /; rm -rf \"$w\"",
        2 => "rm -rf .git",
        3 => ": > \"$(git rev-parse --git-dir)/index.lock\"",
        4 => "printf junk > \"$(git rev-parse --git-dir)/index\"",
        5 => {
            ": > \"$(git rev-parse --git-common-dir)/refs/heads/kirosu/task-$KIROSU_TASK_ID.lock\""
        }
        _ => "git config core.bare true",
    }
}
