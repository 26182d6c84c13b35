#!/usr/bin/env python3
"""Checks the language of comments and documents, and the names of types; see STYLE.md.

    tests/style.py                 every file that git tracks below the current folder
    tests/style.py FILE|FOLDER...  only these
    tests/style.py --rates         matches per 1,000 lines of comments and prose, by rule

Exit status: 0 nothing found, 1 something found, 2 wrong usage.
"""
import argparse
import pathlib
import re
import subprocess
import sys

# Name, pattern, what to write instead. A match in a comment or in a document's prose is a finding.
RULES = [
    ("what-opening", r"(?:^|[.:!?] +)What\b(?![^.?!]*\?)", "open with a noun phrase that names the thing"),
    ("who-opening", r"(?:^|[.:!?] +)(?:Who|Whom|Whoever|Whose)\b(?![^.?!]*\?)", "name the actor: client, session, worker, caller"),
    ("tell", r"\b(?:tells?|told|telling)\b", "use the exact verb: log, report, return, notify, print, send, record"),
    ("nobody", r"\b(?:[Nn]obody|[Ss]omebody|[Ee]verybody)\b", "name the program or person: no client, another session, each caller"),
    ("stand", r"\b(?:stands?|stood)\b(?! alone)(?!-in)", "is open, is in, exists, runs, means"),
    ("none-colon", r"\b[Nn]one:", "`None` means ..."),
    ("so-many", r"\bso many\b", "at most `n`"),
    ("beside", r"\bbeside\b", "next to, besides, in addition to, while"),
    ("one-a", r"\b[Oo]ne (?:file|actor|thread|row|line|entry|process|commit|connection) an? (?!time\b)", "per: one file per verb"),
    ("metaphor", r"\b(?:dwells?|dwelt|herald|house|rooms?|purse|vigil|foreman)\b", "a standard term: process, crate, reporter, reservation, heartbeat"),
]
RULES = [(name, re.compile(pattern), advice) for name, pattern, advice in RULES]

# Types that carry one name in several crates because they are one concept there.
SAME_CONCEPT = {}

COMMENT = re.compile(r"^\s*(?://[/!]?)\s?(.*)$")
HASH = re.compile(r"^\s*#\s?(.*)$")
TYPE = re.compile(r"^(?:pub(?:\([a-z: ]+\))? )?(?:struct|enum|trait|type|union) ([A-Z]\w*)")
SKIPPED = ("tests/fixtures/", "tests/end_to_end/models/fixtures/", "LICENSE", "Cargo.lock")


def prose(path, text):
    """Yields (line number, prose) of a file: comments of code, text of documents outside of code."""
    if path.suffix == ".md":
        fenced = False
        for number, line in enumerate(text.splitlines(), 1):
            if line.lstrip().startswith("```"):
                fenced = not fenced
            elif not fenced and not line.startswith("    "):
                yield number, line.lstrip("#>-*| ")
        return
    pattern = COMMENT if path.suffix == ".rs" else HASH
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        match = pattern.match(line)
        if not match:
            fenced = False
        elif match.group(1).lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, match.group(1)


def without_quotes(line):
    """The line without code spans and quotations: those are names and examples, not prose."""
    return re.sub(r"`[^`]*`|\"[^\"]*\"", "``", line)


def tracked(arguments):
    listed = subprocess.run(["git", "ls-files", "--", *arguments], capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        path = pathlib.Path(name)
        kind = path.suffix in (".rs", ".md", ".toml", ".sh", ".py") or path.name == "Makefile"
        if kind and not name.startswith(SKIPPED) and path.name != "style.py" and path.name != "STYLE.md" and path.is_file():
            yield path


def crate_of(path):
    """The folder of the crate whose code this file is; None for tests and tools."""
    parts = path.parts
    if "tests" in parts or "examples" in parts or "benches" in parts or path.name == "tests.rs":
        return None
    return "/".join(parts[: parts.index("src")]) or "." if "src" in parts else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", action="store_true", help="print matches per 1,000 lines by rule")
    parser.add_argument("paths", nargs="*", help="files or folders (default: all that git tracks)")
    options = parser.parse_args()

    findings, counts, lines, types = [], {name: 0 for name, _, _ in RULES}, 0, {}
    for path in tracked(options.paths):
        text = path.read_text(encoding="utf-8", errors="replace")
        for number, line in prose(path, text):
            if not line.strip():
                continue
            lines += 1
            line = without_quotes(line)
            for name, pattern, advice in RULES:
                for match in pattern.finditer(line):
                    counts[name] += 1
                    findings.append(f"{path}:{number}: {name}: \"{match.group(0).strip('.:!? ')}\": {advice}")
        crate = crate_of(path) if path.suffix == ".rs" else None
        if crate:
            for number, line in enumerate(text.splitlines(), 1):
                match = TYPE.match(line)
                if match:
                    types.setdefault(match.group(1), {}).setdefault(crate, []).append(f"{path}:{number}")
    for name, crates in sorted(types.items()):
        if len(crates) > 1 and name not in SAME_CONCEPT:
            places = ", ".join(place for places in crates.values() for place in places)
            findings.append(f"{places}: type-name: {name} is a type of several crates: give each a name that says which")
    if options.rates:
        for name, count in counts.items():
            print(f"{name:14} {count:6} {1000 * count / max(lines, 1):8.2f} per 1,000 lines")
        print(f"{'lines':14} {lines:6}")
        return 0
    print("\n".join(findings), end="\n" if findings else "")
    if findings:
        print(f"{len(findings)} findings; the rules are in STYLE.md", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
