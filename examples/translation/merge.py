"""Merges translated and repaired strings. Reads `kirosu run items ID --results --jsonl`, prints JSON lines with key and text."""

import json
import sys

texts = {}
for line in sys.stdin:
    item = json.loads(line)
    if item["step"] in ("translate", "repair") and item["state"] == "done":
        result = item["result"]
        # The result of a task with one item is printed as text.
        result = json.loads(result) if isinstance(result, str) else result
        texts[item["key"]] = result["text"]
for key, text in texts.items():
    print(json.dumps({"key": key, "text": text}, ensure_ascii=False))
