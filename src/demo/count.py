# One map task of the demo: counts its files and prints the counts as one line of JSON.
import json, os, sys, time

print(f"counting {len(FILES)} files", file=sys.stderr, flush=True)
# A model would think for a while; without this pause there would be nothing to see.
time.sleep(0.3)
counts = {}
for path in FILES:
    with open(path, "rb") as file:
        data = file.read()
    kind = os.path.splitext(path)[1] or "(none)"
    row = counts.setdefault(kind, {"files": 0, "lines": 0, "words": 0, "bytes": 0})
    row["files"] += 1
    row["lines"] += data.count(b"\n")
    row["words"] += len(data.split())
    row["bytes"] += len(data)
print(json.dumps(counts))
