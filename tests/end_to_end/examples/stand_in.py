"""A stand-in for a model: it reads a prompt of the examples on standard input and answers by fixed rules, with no intelligence.

Its texts begin with `Stand-in model`. It knows the kinds of prompts that the plans in examples/ contain, and fails for all others,
so that a changed prompt is noticed. Agents of the pool `coders` change files; so does it, in its current folder.
"""

import json
import os
import pathlib
import re
import sys

SLUG = '''import re, unicodedata
def slug(text):
    text = unicodedata.normalize("NFKD", text.casefold())
    return "-".join(re.findall("[a-z0-9]+", "".join(c for c in text if not unicodedata.combining(c))))
'''


def text(*lines):
    return "\n".join(("Stand-in model.",) + lines)


def after(prompt, mark):
    """The part of a prompt behind a mark."""
    return prompt.split(mark, 1)[1]


def lists(prompt):
    """All elements of the JSON lists that are lines of a prompt."""
    return [element for line in prompt.splitlines() if line.startswith("[{") for element in json.loads(line)]


def objects(prompt):
    """The JSON objects that are lines of a prompt."""
    return [json.loads(line) for line in prompt.splitlines() if line.startswith("{")]


def functions(source):
    """Name and body of each Python function."""
    return re.findall(r"^def (\w+)\(.*?\):\n((?:    .*\n?)*)", source, re.M)


def review(prompt, match):
    diff = after(prompt, "The diff:\n")
    if f"{match[1]} reviewer fails" in diff:
        sys.exit("the stand-in model fails, as the diff demands")
    found = [{"file": "a.py", "line": 1, "severity": "high", "problem": "stand-in: division by zero", "fix": "check"}]
    return {"findings": found if match[1] in ("correctness", "tests") and "/ len(" in diff else []}


def judge(prompt, match):
    found = [finding for line in re.findall(r"^Reviewer \w+: (\{.*\})$", prompt, re.M) for finding in json.loads(line)["findings"]]
    once = list({json.dumps(finding): finding for finding in found}.values())
    missing = re.findall(r"^Reviewer (\w+) failed", prompt, re.M)
    return {"decision": "request_changes" if once else "approve", "findings": once, "not_reviewed": missing}


def migrate(prompt, match):
    file = pathlib.Path(match[1])
    source = file.read_text()
    file.write_text(source.replace("old_call(", "new_call("))
    return {"places": source.count("old_call("), "left": []}


def migration_report(prompt, match):
    done = re.findall(r"^(\S+): \{", prompt, re.M)
    failed = re.findall(r"^(\S+) failed:", prompt, re.M)
    return text(f"{len(done)} migrated, {len(failed)} failed", *done)


def document(prompt, match):
    lines = prompt.rstrip().split(f"Document {match[1]}:\n", 1)[1].splitlines()
    return {
        "title": lines[0],
        "facts": ["stand-in: " + line for line in lines[1:] if line],
        "open": [line for line in lines if "Open:" in line],
    }


def document_report(prompt, match):
    return text(*sorted(set(re.findall(r"[\w/-]+\.md", prompt))))


def write(prompt, match):
    return SLUG if "Your last text:" in prompt else "def slug(text):\n    return text.lower()\n"


def check_text(prompt, match):
    passed = "output: PASSED" in prompt
    return {"ok": passed, "problems": [] if passed else ["stand-in: the program found a fault"]}


def bugs(prompt, match):
    found = [name for name, body in functions(prompt) if "/ len(" in body]
    return {
        "bugs": [
            {"file": match[1], "function": name, "input": "[]", "wrong": "an exception", "right": "0"} for name in found
        ]
    }


def reproduce(prompt, match):
    file, function = match[1], match[2]
    if "if not" in pathlib.Path(file).read_text():
        return {"reproduced": False, "bug": "stand-in: callers never pass this"}
    test = pathlib.Path(file).with_name(f"test_{function}.py")
    test.write_text(f"def test():\n    assert {function}([]) == 0\n")
    return {"reproduced": True, "bug": f"stand-in: {function}([]) fails", "test": str(test), "output": "ZeroDivisionError"}


def dead(prompt, match):
    found = [name for name, _ in functions(prompt) if name.startswith(("unused", "hidden"))]
    return {"items": [{"file": match[1], "name": name, "line": 1, "why": "stand-in"} for name in found]}


def refute(prompt, match):
    used = match[1].startswith("hidden")
    return {"file": match[2], "name": match[1], "used": used, "evidence": "stand-in: by its name"}


def remove(prompt, match):
    removed = re.findall(r"^- (\w+) in (\S+)$", prompt, re.M)
    for name, file in removed:
        source = pathlib.Path(file).read_text()
        pathlib.Path(file).write_text(re.sub(rf"^def {name}\(.*?\):\n(?:    .*\n?)*", "", source, flags=re.M))
    return text(*(name for name, _ in removed))


def sieve(prompt, match):
    parts = re.split(r"^=== (\S+)\n", prompt, flags=re.M)[1:]
    pairs = zip(parts[::2], parts[1::2])
    return [{"path": path, "passages": [line for line in body.splitlines() if "retention" in line]} for path, body in pairs]


def condense(prompt, match):
    return text(*re.findall(r"^\[\S+\] .*$", prompt, re.M))


def answer(prompt, match):
    notes = re.findall(r"^\[(\S+)\] (.*)$", after(prompt, "Notes:\n"), re.M)
    said = "Stand-in model: " + " ".join(note for _, note in notes)
    return {"answered": bool(notes), "answer": said, "sources": sorted({path for path, _ in notes})}


def watch(prompt, match):
    now = re.search(r"measurement (\d+)", after(prompt, "The state now:"))
    return {"alarm": int(now[1]) > 90, "why": f"stand-in: measurement {now[1]}"}


def nightly(prompt, match):
    tests = prompt.split("Tests:\n", 1)[1].split("Dependencies:\n")[0]
    broken = "exit code 0" not in tests
    return {"healthy": not broken, "report": "Stand-in model: tests " + tests.split()[0], "repair": "write repaired.txt" if broken else ""}


def repair(prompt, match):
    pathlib.Path("repaired.txt").write_text("repaired\n")
    return text("repaired.txt")


def strings(prompt):
    return [(key, json.loads(value)) for key, value in re.findall(r'^([\w.]+): (".*")$', prompt, re.M)]


def translate(prompt, match):
    def one(key, source):
        wrong = source.startswith("Do not ")
        return {"key": key, "source": source, "text": "pt: " + (source.replace("Do not ", "Do ") if wrong else source)}

    return [one(*pair) for pair in strings(prompt)]


def translate_back(prompt, match):
    return [{"key": key, "back": value.removeprefix("pt: ")} for key, value in strings(prompt)]


def compare(prompt, match):
    compared = []
    for item, back in re.findall(r'^(\{.*\}) back: (".*")$', prompt, re.M):
        item, ok = json.loads(item), json.loads(item)["source"] == json.loads(back)
        compared.append({**item, "ok": ok, "problem": "" if ok else "stand-in: another meaning"})
    return compared


def repair_translation(prompt, match):
    key = re.search(r'\{"key": ("[^"]*"), "text"', prompt)
    return {"key": json.loads(key[1]), "text": "pt: " + json.loads(match[1])}


WORDS = {"thanks": "praise", "broken": "complaint", "how": "question"}


def classify(prompt, match):
    records = [json.loads(line) for line in prompt.splitlines() if line.startswith('"')]
    return [{"category": WORDS.get(record.split()[0], "other"), "theme": "stand-in"} for record in records]


def merge_classes(prompt, match):
    counts = json.loads(re.search(r"^Counts: (\{.*\})$", prompt, re.M)[1])
    return {"counts": counts, "themes": {category: ["stand-in"] for category in counts}}


def area(prompt, match):
    issue = after(prompt, "The issue:\n")
    words = [word for word in match[1].split(", ") if word in issue]
    if "opinions differ" in issue:
        # Each agent of a vote has a task of its own, and so another number.
        words = [match[1].split(", ")[int(os.environ["KIROSU_TASK_ID"]) % 5]]
    return {"area": words[0], "urgent": "urgent" in issue, "why": "stand-in: the issue has the word"}


def decide(prompt, match):
    return objects(prompt)[0]


RULES = [
    (r"^Review this diff for (\w+) only", review),
    (r"^You are the judge of a code review", judge),
    (r"^Migrate the file (\S+)\. ", migrate),
    (r"^Write the report of a migration", migration_report),
    (r"^Read one document for a report.*^Document (\S+):$", document),
    (r"^Merge these parts into one report", document_report),
    (r"^Write what this task asks for", write),
    (r"^Review a text that must fulfil a task", check_text),
    (r"^Hunt for bugs in the file (\S+)\. ", bugs),
    (r"^Merge these lists of suspected bugs", lambda prompt, match: {"bugs": lists(prompt)}),
    (r"^Reproduce a suspected bug: in (\S+), function (\w+)", reproduce),
    (r"^Write a bug report", lambda prompt, match: text(*re.findall(r'"test":\s*"([^"]*)"', prompt))),
    (r"^List dead code in the file (\S+): ", dead),
    (r"^Merge these lists of candidates", lambda prompt, match: {"items": lists(prompt)}),
    (r"^Someone claims that (\w+) in (\S+) is never used", refute),
    (r"^Remove this dead code", remove),
    (r"^Search documents for passages", sieve),
    (r"^Condense passages", condense),
    (r"^Answer this question only from the notes", answer),
    (r"^You watch a running system", watch),
    (r"^An alarm was raised: ([^\n]*)", lambda prompt, match: text(match[1])),
    (r"^Write the report of a night's checks", nightly),
    (r"^Carry out this repair", repair),
    (r"^Translate strings of a program's interface", translate),
    (r"^Translate these strings from", translate_back),
    (r"^Compare the originals of strings", compare),
    (r"^Repair one translation.*^Original: (\".*?\")$", repair_translation),
    (r"^Classify records", classify),
    (r"^Merge the results of a classification", merge_classes),
    (r"^Classify an issue\. Choose one area: (.*?)\. ", area),
    (r"^Three agents classified an issue differently", decide),
    (r"^Write a reply to the author of this issue of the area (\S+)\. ", lambda prompt, match: text(match[1])),
    (r"^Write release notes for version (\S+) ", lambda prompt, match: f"# {match[1]}\n\nStand-in model."),
]


def main():
    prompt = sys.stdin.read()
    for pattern, rule in RULES:
        match = re.match(pattern, prompt, re.S | re.M)
        if match:
            result = rule(prompt, match)
            print(result if isinstance(result, str) else json.dumps(result))
            return
    sys.exit("the stand-in model has no rule for this prompt: " + prompt[:200])


main()
