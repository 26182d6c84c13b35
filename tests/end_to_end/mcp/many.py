"""Parts of the scenario `every_tool`: the tools for many tasks, and those about what waits for a person."""

import anyio
from kit import Worker, call, refused


async def work(queue, answers):
    """A worker that leases from a queue and answers by the prompt, until all answers are given."""
    worker = await Worker.connect()
    for _ in answers:
        lease = await worker.lease(queue)
        prompt = (await worker.ask("get", task_id=lease["task_id"]))["task"]["prompt"]
        given = answers[prompt]
        end = {"status": "failed", "error": given[1:]} if given.startswith("!") else {"status": "done", "result": given}
        await worker.ask("ack", **lease, **end)


async def enqueue_wait_and_read(client):
    tasks = [{"prompt": f"part {n}", "queue": "many", "labels": ["many"], "max_attempts": 1} for n in range(3)]
    lists = [await call(client, "enqueue_tasks", tasks=tasks, idempotency_key="list") for _ in range(2)]
    ids = lists[0]["task_ids"]
    assert lists[1]["task_ids"] == ids == lists[1]["existed"] and "existed" not in lists[0], lists
    assert lists[0]["message"] == f"enqueued 3 tasks ({ids[0]} to {ids[2]})", lists
    early = await call(client, "wait_for_tasks", task_ids=ids, timeout_seconds=0)
    assert early["timed_out"] and early["counts"] == {"queued": 3}, early
    results = {"part 0": "zero", "part 1": "!no voice", "part 2": "x" * 3000}
    async with anyio.create_task_group() as group:
        group.start_soon(work, "many", results)
        waited = await call(client, "wait_for_tasks", task_ids=ids, timeout_seconds=30)
    assert not waited["timed_out"] and waited["counts"] == {"done": 2, "failed": 1}, waited
    assert waited["message"] == "all 3 tasks have ended: 2 done, 1 failed", waited
    zero, one, two = waited["tasks"]
    assert [zero["result"], one["error"]] == ["zero", "no voice"] and zero["task_id"] == ids[0], waited
    assert len(two["result"]) == 2001 and two["cut"] == ["result"], two

    page = await call(client, "get_results", task_ids=ids, limit=2)
    assert [it["task_id"] for it in page["results"]] == ids[:2] and page["next"] == "2", page
    rest = await call(client, "get_results", task_ids=ids, limit=2, cursor=page["next"], max_chars=5000)
    assert rest["results"][0]["result"] == "x" * 3000 and "next" not in rest, rest
    # Whole texts come one by one.
    whole = await call(client, "get_results", task_ids=ids, max_chars=0)
    assert len(whole["results"]) == 1 and whole["next"] == "1", whole
    labelled = await call(client, "get_results", label="many", status="done", limit=1)
    assert [it["task_id"] for it in labelled["results"]] == [ids[2]], labelled
    older = await call(client, "get_results", label="many", status="done", limit=1, cursor=labelled["next"])
    assert [it["task_id"] for it in older["results"]] == [ids[0]], older
    strange = await call(client, "get_results", task_ids=[ids[0], 987654])
    assert strange["unknown"] == [987654] and "1 of the numbers are unknown" in strange["message"], strange
    listed = await call(client, "list_tasks", label="many", task_type="chat", limit=1)
    assert listed["tasks"][0]["task_id"] == ids[2] and listed["next"] == ids[2], listed

    assert "give either `task_ids`, or `run_id`" in await refused(client, "get_results")
    assert "give either" in await refused(client, "get_results", task_ids=ids, label="many")
    assert "must be the `next`" in await refused(client, "get_results", task_ids=ids, cursor="x")
    assert "(unknown_task)" in await refused(client, "wait_for_tasks", task_ids=[ids[0], 987654])
    assert "a list of 1 to 100 task ids" in await refused(client, "wait_for_tasks", task_ids=[])
    assert "a list of 1 to 100 task ids" in await refused(client, "wait_for_tasks")
    wrong = [{"prompt": "a"}, {"prompt": "b", "priority": 5000}]
    assert "`tasks[1].priority` must be" in await refused(client, "enqueue_tasks", tasks=wrong)
    assert "`continues` is not an argument of `tasks[0]`" in await refused(
        client, "enqueue_tasks", tasks=[{"prompt": "a", "continues": 1}]
    )


async def cancel(client):
    parent = (await call(client, "enqueue_task", prompt="parent", queue="nobody"))["task_id"]
    tasks = [{"prompt": "c", "queue": "nobody", "parent_id": parent, "labels": ["c"]} for _ in range(4)]
    ids = (await call(client, "enqueue_tasks", tasks=tasks))["task_ids"]
    listed = await call(client, "list_tasks", parent_id=parent)
    assert sorted(task["task_id"] for task in listed["tasks"]) == ids, listed
    first = await call(client, "cancel_tasks", task_ids=ids[:2], reason="too many")
    assert first == {"message": "2 tasks are cancelled", "cancelled": 2}, first
    again = await call(client, "cancel_tasks", task_ids=ids[:3])
    assert again["cancelled"] == 1 and "1 of 3 tasks are cancelled; the others had ended" in again["message"], again
    assert (await call(client, "cancel_tasks", label="c", parent_id=parent))["cancelled"] == 1
    ended = await call(client, "wait_for_tasks", task_ids=ids)
    assert ended["counts"] == {"cancelled": 4} and "too many" in ended["tasks"][0]["error"], ended
    assert "`task_id`" in await refused(client, "cancel_tasks", reason="all of them?")


async def map_a_prompt(client):
    arguments = {"prompt": "Say {{ item.word }}", "items": [{"word": "a"}, {"word": "b"}, {"word": "c"}], "queue": "mapped"}
    arguments |= {"key": "{{ item.word }}", "max_attempts": 1, "reduce": "Join {{ results | length }}", "idempotency_key": "map"}
    started = await call(client, "map_items", **arguments, timeout_seconds=0)
    assert started["timed_out"] and (started["items"], started["open"], started["done"]) == (3, 3, 0), started
    answers = {"Say a": "A", "Say b": "!no b", "Say c": "C", "Join 2": "A and C"}
    async with anyio.create_task_group() as group:
        group.start_soon(work, "mapped", answers)
        ended = await call(client, "map_items", **arguments, timeout_seconds=30)
    assert ended["task_id"] == started["task_id"] and ended["finished"], ended
    assert (ended["done"], ended["failed"], ended["open"], ended["state"]) == (2, 1, 0, "partial"), ended
    assert ended["result"] == "A and C", ended
    page = await call(client, "get_results", run_id=ended["task_id"], step="map")
    results = [(it["key"], it["status"], it.get("result"), it.get("error")) for it in page["results"]]
    assert results == [("a", "done", "A", None), ("b", "failed", None, "no b"), ("c", "done", "C", None)], results
    failed = await call(client, "get_results", run_id=ended["task_id"], status="failed")
    assert [it["key"] for it in failed["results"]] == ["b"], failed
    assert "uses {{ item }}" in await refused(client, "map_items", prompt="Say it", items=["a"])
    assert "1 to 10000 items" in await refused(client, "map_items", prompt="{{ item }}", items=[])
    faulty = await call(client, "map_items", prompt="{{ itm }}", items=["a"])
    assert faulty["state"] == "failed" and "did you mean item?" in faulty["message"], faulty


async def ask_and_reject(client):
    held = (await call(client, "enqueue_task", prompt="rm -r", queue="held", requires_approval=True))["task_id"]
    human = (await call(client, "enqueue_task", prompt="Which?", task_type="human"))["task_id"]
    asking = (await call(client, "enqueue_task", prompt="push", queue="rejects"))["task_id"]
    worker = await Worker.connect()
    lease = await worker.lease("rejects")
    asked = {**lease, "call": "c", "tool": "shell", "title": "publish", "args": {"command": "git push"}}
    question = (await worker.ask("ask", **asked))["approval_id"]
    waiting = (await call(client, "list_questions"))["questions"]
    found = [(it["what"], it["task_id"]) for it in waiting if it["task_id"] in (held, human, asking)]
    assert found == [("tool", asking), ("run", held), ("human", human)], waiting
    assert waiting[0]["approval_id"] == question and "git push" in waiting[0]["args"], waiting
    page = await call(client, "list_questions", limit=1)
    assert len(page["questions"]) == 1 and page["next"], page
    only = await call(client, "list_questions", task_id=held)
    assert [it["task_id"] for it in only["questions"]] == [held], only

    rejected = await call(client, "reject_task", task_id=held, reason="too risky")
    assert rejected == {"message": f"task {held} is rejected", "task_id": held, "status": "failed"}, rejected
    assert "too risky" in (await call(client, "get_task_status", task_id=held))["error"]
    rejected = await call(client, "reject_task", approval_id=question, reason="not today")
    assert rejected["message"].startswith(f"a{question} is rejected; its agent may not use the tool"), rejected
    answer = await worker.ask("ask", **asked)
    assert answer["state"] == "rejected" and answer["reason"] == "not today", answer
    await call(client, "reject_task", task_id=human)
    assert "(wrong_state)" in await refused(client, "reject_task", task_id=asking)

    await worker.ask("schedule_add", name="nightly", cron="0 3 * * *", task={"prompt": "Check the links"})
    schedules = (await call(client, "list_schedules"))["schedules"]
    assert [(it["name"], it["prompt"]) for it in schedules] == [("nightly", "Check the links")], schedules
    assert schedules[0]["when"]["cron"] == "0 3 * * *" and schedules[0]["next_at"] > 0, schedules
