# The agent of the demo. A prompt is JSON: {"count": [files]} is answered with the counts of the files by their kind,
# {"add": [counts]} with the sums of these counts.
import json, os, sys, time


def count(files):
    print(f"counting {len(files)} files", file=sys.stderr, flush=True)
    # A model would think for a while; without this pause there would be nothing to see.
    time.sleep(0.3)
    for path in files:
        with open(path, "rb") as file:
            data = file.read()
        kind = os.path.splitext(path)[1] or "(none)"
        yield {kind: {"files": 1, "lines": data.count(b"\n"), "words": len(data.split()), "bytes": len(data)}}


total = {}
prompt = json.load(sys.stdin)
for counts in count(prompt["count"]) if "count" in prompt else prompt["add"]:
    for kind, row in counts.items():
        sums = total.setdefault(kind, dict.fromkeys(row, 0))
        for name, number in row.items():
            sums[name] += number
print(json.dumps(total))
