# The reduce task of the demo: asks the hub for the results of the map tasks and adds them up.
import json, os, socket

TOKEN = os.environ["KIROSU_TOKEN"]
hub = socket.create_connection((HOST, PORT)).makefile("rw", encoding="utf-8")
total = {}
for task_id in TASKS:
    hub.write(json.dumps({"id": task_id, "method": "get", "params": {"task_id": task_id, "auth_token": TOKEN}}) + "\n")
    hub.flush()
    counts = json.loads(json.loads(hub.readline())["result"]["task"]["result"])
    for kind, row in counts.items():
        sums = total.setdefault(kind, dict.fromkeys(row, 0))
        for name, number in row.items():
            sums[name] += number
print(json.dumps(total))
