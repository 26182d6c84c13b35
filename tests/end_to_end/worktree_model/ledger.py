"""Lists the marks (KM followed by six digits) that can be found in folders and in the git repositories among and under
them: files of any kind, staged content, and every commit that a reference, a stash or a named commit reaches.

    ledger.py [--commits FILE] DIR...

FILE holds words; those that name a commit in a repository are searched there, too. Prints one line per mark: the mark, a
tab, and the place: the path of a file, or of the repository's ".git". Links are not followed."""

import os
import re
import subprocess
import sys

MARK = re.compile(rb"KM[0-9]{6}")
COMMIT = re.compile(r"\b[0-9a-f]{7,40}\b")


def git(folder, *words, text=None):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment.update(GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1", LC_ALL="C")
    # Settings that an agent may have written do not matter for a look.
    call = ["git", "-C", folder, "-c", "core.bare=false", "-c", "safe.directory=*", *words]
    return subprocess.run(call, input=text, capture_output=True, env=environment)


def commits_in(folder, words):
    asked = "".join(f"{word}^{{commit}}\n" for word in words).encode()
    answer = git(folder, "cat-file", "--batch-check=%(objectname)", text=asked).stdout
    found = [line for line in answer.decode().split("\n") if re.fullmatch(r"[0-9a-f]{40}", line)]
    stashes = git(folder, "rev-list", "--walk-reflogs", "refs/stash").stdout.decode().split()
    return found + stashes


def common_of(folder):
    """The git folder that all worktrees of a repository share; None where it cannot be told."""
    dot = os.path.join(folder, ".git")
    try:
        if os.path.isdir(dot):
            return os.path.realpath(dot)
        with open(dot) as file:
            own = os.path.join(folder, file.read().removeprefix("gitdir:").strip())
        with open(os.path.join(own, "commondir")) as file:
            return os.path.realpath(os.path.join(own, file.read().strip()))
    except OSError:
        return None


def marks_of_repository(folder, words, searched):
    head = ["HEAD"] if git(folder, "rev-parse", "--verify", "--quiet", "HEAD").returncode == 0 else []
    common = common_of(folder)
    # git before 2.42 takes commits from its input, and no options.
    if common and common in searched:
        # The rest is of the repository, which was searched from another of its worktrees.
        own = [f"--glob=refs/{name}" for name in ("bisect", "worktree", "rewritten")]
        revisions, commits = [*own, "--stdin", "--not", "--branches", "--tags", "--glob=refs/kirosu"], head
    else:
        revisions, commits = ["--all", "--stdin"], [*head, *commits_in(folder, words)]
        searched.add(common)
    flags = ["-p", "-m", "--root", "--text", "--no-ext-diff", "--no-textconv", "--no-renames", "--ignore-submodules=all"]
    text = "".join(f"{commit}\n" for commit in commits).encode()
    log = git(folder, "log", *flags, *revisions, text=text)
    if log.returncode != 0:
        sys.exit(f"git log in {folder}: {log.stderr.decode(errors='replace')}")
    shown = log.stdout
    staged = git(folder, "diff", "--cached", "--text", "--no-ext-diff", "--no-textconv").stdout
    conflicts = git(folder, "ls-files", "--unmerged", "-z").stdout.split(b"\0")
    for entry in filter(None, conflicts):
        shown += git(folder, "cat-file", "blob", entry.split()[1].decode()).stdout
    return set(MARK.findall(shown)) | set(MARK.findall(staged))


def main():
    arguments = sys.argv[1:]
    words = []
    if arguments[:1] == ["--commits"]:
        with open(arguments[1], errors="replace") as file:
            words = sorted(set(COMMIT.findall(file.read())))
        arguments = arguments[2:]
    found = {}
    searched = set()
    for top in arguments:
        if os.path.islink(top) or not os.path.isdir(top):
            continue
        for folder, folders, files in os.walk(top):
            if ".git" in folders or ".git" in files:
                for mark in marks_of_repository(folder, words, searched):
                    found.setdefault(mark, set()).add(os.path.join(folder, ".git"))
            if ".git" in folders:
                folders.remove(".git")
            for name in files:
                path = os.path.join(folder, name)
                if os.path.islink(path) or not os.path.isfile(path):
                    continue
                try:
                    with open(path, "rb") as file:
                        content = file.read()
                except OSError:
                    continue
                for mark in MARK.findall(content):
                    found.setdefault(mark, set()).add(path)
    for mark in sorted(found):
        for place in sorted(found[mark]):
            print(f"{mark.decode()}\t{place}")


main()
