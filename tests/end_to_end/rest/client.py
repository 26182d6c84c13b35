"""A script as people wrote them for the earlier version: enqueue over REST, poll the list, read the counters.

Usage: client.py URL [KEY]. Prints one JSON object of what it saw.
"""

import json
import sys
import time
import urllib.error
import urllib.request

URL = sys.argv[1]
KEY = sys.argv[2] if len(sys.argv) > 2 else None


def call(method, path, body=None, key=KEY):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["x-kiro-key"] = key
    request = urllib.request.Request(URL + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as response:
        return response.status, json.load(response)


def status_of(*arguments, **named):
    try:
        return call(*arguments, **named)[0]
    except urllib.error.HTTPError as error:
        error.read()
        return error.code


def main():
    ids = []
    for n in range(5):
        body = {"prompt": f"task {n}", "system_prompt": "be brief", "type": "chat"}
        status, answer = call("POST", "/tasks", body)
        assert status == 200, status
        ids.append(answer["task_id"])
    deadline = time.monotonic() + 20
    while True:
        _, answer = call("GET", "/tasks?status=done&limit=50")
        if len(answer["tasks"]) == len(ids):
            break
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)
    _, stats = call("GET", "/stats")
    print(
        json.dumps(
            {
                "ids": ids,
                "results": sorted(task["result"] for task in answer["tasks"]),
                "list_stats": answer["stats"]["done"],
                "stats": stats["stats"],
                "wrong_key": status_of("GET", "/stats", key="wrong"),
                "no_prompt": status_of("POST", "/tasks", {"system_prompt": "x"}),
                "huge": status_of("POST", "/tasks", {"prompt": "a" * (20 << 20)}),
            }
        )
    )


main()
