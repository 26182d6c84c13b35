"""The official MCP client against Kirosu's MCP server.

    client.py SCENARIO SETUP.json

SETUP.json says how the server is reached: `stdio` (command, arguments, environment) or `url` and `headers`, the
protocol's `mode`, and the `hub` (its port and key) for the worker that this script also is. Every scenario ends with
exit code 0 or with an assertion. A line on standard output asks tests/end_to_end/mcp/ for something, a line on standard input
says that it is done.
"""

import asyncio
import sys

import anyio
import httpx2
import many
import more
from kit import CALLED, SCHEMAS, SETUP, TOOLS, Progress, Worker, ask_the_test, call, connected, refused
from mcp import MCPError


async def every_tool():
    """Lists and calls every tool."""
    async with connected() as client:
        assert client.server_info.name == "kirosu", client.server_info
        assert "enqueue_task" in client.instructions
        check_listing((await client.list_tools()).tools)
        await enqueue_and_list(client)
        await wait_with_progress(client)
        await wait_in_vain(client)
        await run_a_plan(client)
        await many.enqueue_wait_and_read(client)
        await many.cancel(client)
        await many.map_a_prompt(client)
        await decide(client)
        await many.ask_and_reject(client)
        await be_wrong(client)
        assert CALLED == set(TOOLS), set(TOOLS) ^ CALLED


def check_listing(tools):
    assert [tool.name for tool in tools] == sorted(TOOLS)
    for tool in tools:
        expected, hints = TOOLS[tool.name], tool.annotations
        schema, properties = tool.input_schema, tool.input_schema["properties"]
        assert schema.get("required", []) == expected["required"], tool
        assert sorted(properties) == sorted(expected["required"] + expected["optional"]), tool
        assert all(one.get("description") for one in properties.values()), properties
        assert tool.title and len(tool.description) > 50 and tool.output_schema["type"] == "object"
        assert not boolean_schemas(tool.input_schema), tool
        assert not boolean_schemas(tool.output_schema), tool
        named = (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint)
        assert named == (expected["read_only"], expected["destructive"], expected["idempotent"]), (tool.name, named)
        SCHEMAS[tool.name] = tool.output_schema


def boolean_schemas(schema):
    """Schemas that are `true` or `false`, which clients built with the TypeScript SDK refuse, at any depth."""
    if isinstance(schema, bool):
        return [schema]
    if not isinstance(schema, dict):
        return []
    below = []
    for word in ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"):
        below += schema.get(word, {}).values()
    for word in ("allOf", "anyOf", "oneOf", "prefixItems"):
        below += schema.get(word, [])
    for word in ("items", "contains", "not", "if", "then", "else", "propertyNames"):
        below += [schema[word]] if word in schema else []
    # `false` is the one boolean that all clients know.
    below += [schema[word] for word in ("additionalProperties",) if schema.get(word, False) is not False]
    return [found for one in below for found in boolean_schemas(one)]


async def enqueue_and_list(client):
    first = await call(client, "enqueue_task", prompt="p" * 1000, system_prompt="s", task_type="odd", queue="listed")
    keyed = [
        (await call(client, "enqueue_task", prompt="b", queue="listed", priority="5", idempotency_key="k"))["task_id"]
        for _ in range(2)
    ]
    assert keyed[0] == keyed[1] > first["task_id"]
    listed = await call(client, "list_tasks", queue="listed", status="queued")
    assert [task["task_id"] for task in listed["tasks"]] == [keyed[0], first["task_id"]]
    assert listed["stats"]["queued"] >= 2 and listed["tasks"][0]["priority"] == 5
    long = listed["tasks"][1]
    assert long["type"] == "odd" and len(long["prompt"]) == 301 and long["cut"] == ["prompt"]
    page = await call(client, "list_tasks", queue="listed", limit=1)
    assert page["next"] == keyed[0]
    page = await call(client, "list_tasks", queue="listed", limit=1, before=page["next"])
    assert [task["task_id"] for task in page["tasks"]] == [first["task_id"]]
    whole = await call(client, "get_task_status", task_id=first["task_id"])
    assert whole["prompt"] == "p" * 1000 and whole["system_prompt"] == "s" and "cut" not in whole
    short = await call(client, "get_task_status", task_id=str(first["task_id"]), max_chars=10)
    assert short["prompt"] == "p" * 10 + "…" and short["cut"] == ["prompt"]


async def wait_with_progress(client):
    task_id = (await call(client, "enqueue_task", prompt="work", queue="waited"))["task_id"]
    progress, worker = Progress(), await Worker.connect()

    async def work():
        await progress.until("queued")
        lease = await worker.lease("waited")
        await progress.until("leased by w-1")
        await worker.ask("progress", **lease, data={"percent": 40, "text": "reading"})
        await progress.until("40 %: reading")
        status = await call(client, "get_task_status", task_id=task_id)
        assert status["status"] == "leased" and status["progress"]["percent"] == 40, status
        await worker.ask("output", **lease, text="Reading\n")
        await worker.ask("ack", **lease, status="done", result="r" * 30_000)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        arguments = {"task_id": task_id, "timeout_seconds": 30}
        result = await client.call_tool("wait_for_task", arguments, progress_callback=progress)
    waited = result.structured_content
    assert not result.is_error and waited["status"] == "done" and waited["finished"] and not waited["timed_out"]
    assert len(waited["result"]) == 20_001 and waited["cut"] == ["result"] and waited["message"] == f"task {task_id} is done"
    progress.check()
    # Without a wish for progress, and over at once; then all of it.
    waited = await call(client, "wait_for_task", task_id=task_id, max_chars=0)
    assert len(waited["result"]) == 30_000
    status = await call(client, "get_task_status", task_id=task_id, output=True)
    assert status["output"] == "Reading\n" and [a["outcome"] for a in status["history"]] == ["done"]


async def wait_in_vain(client):
    task_id = (await call(client, "enqueue_task", prompt="later", queue="nobody"))["task_id"]
    for seconds in [0, 0.2]:
        waited = await call(client, "wait_for_task", task_id=task_id, timeout_seconds=seconds)
        assert waited["timed_out"] and not waited["finished"] and waited["status"] == "queued"
        assert waited["message"].startswith("not finished: "), waited


PLAN = """
inputs: { names: {} }
pipeline:
  - { id: say, map: { over: inputs.names, key: "{{ item }}", tolerate: 1 }, pool: said, prompt: "Say {{ item }}", max_attempts: 1 }
"""


async def run_a_plan(client):
    arguments = {"plan": PLAN, "inputs": {"names": ["a", "b"]}, "name": "greet", "tokens": 1000, "usd": 1.5}
    runs = [(await call(client, "run_plan", **arguments, idempotency_key="plan"))["task_id"] for _ in range(2)]
    assert runs[0] == runs[1], runs
    run, worker = runs[0], await Worker.connect()
    task = (await worker.ask("get", task_id=run))["task"]
    assert task["type"] == "plan" and task["budget"]["tree"] == {"tokens": 1000, "usd": 1.5}, task
    for _ in range(2):
        lease = await worker.lease("said")
        prompt = (await worker.ask("get", task_id=lease["task_id"]))["task"]["prompt"]
        end = {"status": "done", "result": "r" * 50} if prompt == "Say a" else {"status": "failed", "error": "no voice"}
        await worker.ask("ack", **lease, **end)
    waited = await call(client, "wait_for_task", task_id=run, timeout_seconds=30)
    assert waited["finished"], waited
    found = await call(client, "get_run", task_id=run)
    assert (found["state"], found["finished"], found["name"]) == ("partial", True, "greet"), found
    step = found["steps"][0]
    assert (step["path"], step["done"], step["failed"], step["total"]) == ("say", 1, 1, 2), step
    failed = (await call(client, "list_run_items", task_id=run, state="failed"))["items"]
    assert [(item["key"], item["error"]) for item in failed] == [("b", "no voice")], failed
    done = await call(client, "list_run_items", task_id=run, results=True, limit=1, max_chars=10)
    assert done["items"][0]["result"] == "r" * 10 + "…" and done["items"][0]["cut"] and done["next"], done
    listed = await call(client, "list_runs", state="partial")
    assert [one["task_id"] for one in listed["runs"]] == [run], listed
    await call(client, "retry_run", task_id=run, step="say")
    lease = await worker.lease("said")
    await worker.ask("ack", **lease, status="done", result="b")
    waited = await call(client, "wait_for_task", task_id=run, timeout_seconds=30)
    assert waited["status"] == "done" and (await call(client, "get_run", task_id=run))["state"] == "done"
    assert "`plan` must be" in await refused(client, "run_plan", plan="")
    assert "`budget` is not an argument" in await refused(client, "run_plan", plan=PLAN, budget={})
    assert "(wrong_state)" in await refused(client, "get_run", task_id=lease["task_id"])
    assert "(unknown_task)" in await refused(client, "retry_run", task_id=9999)


async def decide(client):
    task_id = (await call(client, "enqueue_task", prompt="dangerous", queue="held", requires_approval=True))["task_id"]
    status = await call(client, "get_task_status", task_id=task_id)
    assert status["status"] == "awaiting_approval" and "kirosu approve" in status["message"]
    approved = await call(client, "approve_task", task_id=task_id, comment="go ahead")
    assert approved["status"] == "queued", approved
    cancelled = await call(client, "cancel_task", task_id=task_id, reason="changed my mind")
    assert cancelled["status"] == "cancelled", cancelled
    waited = await call(client, "wait_for_task", task_id=task_id)
    assert waited["finished"] and waited["status"] == "cancelled" and "changed my mind" in waited["error"]
    question = (await call(client, "enqueue_task", prompt="Shall we?", task_type="human"))["task_id"]
    approved = await call(client, "approve_task", task_id=question)
    assert approved["status"] == "done", approved
    question = (await call(client, "enqueue_task", prompt="Which?", task_type="human"))["task_id"]
    asked = await call(client, "get_task_status", task_id=question)
    assert "kirosu answer" in asked["message"], asked
    answered = await call(client, "answer_task", task_id=question, text="the second")
    assert answered["status"] == "done", answered
    assert (await call(client, "wait_for_task", task_id=question))["result"] == "the second"
    assert "(wrong_state)" in await refused(client, "answer_task", task_id=question, text="the first")
    worker = await Worker.connect()
    decisions = (await worker.ask("get", task_id=task_id))["decisions"]
    assert [(d["verdict"], d["by"].split(":")[0]) for d in decisions] == [("approved", "mcp"), ("cancelled", "mcp")]
    task_id = (await call(client, "enqueue_task", prompt="push", queue="asks"))["task_id"]
    lease = await worker.lease("asks")
    assert lease["task_id"] == task_id, lease
    asked = {**lease, "call": "c", "tool": "shell", "title": "publish", "args": {"command": "git push"}}
    question = (await worker.ask("ask", **asked))["approval_id"]
    approved = await call(client, "approve_task", approval_id=question)
    sentence = f"a{question} is approved; its agent may use the tool, once"
    assert approved == {"message": f'{sentence}: shell: git push (agent: "publish")'}, approved
    assert (await worker.ask("ask", **asked))["state"] == "approved"


async def be_wrong(client):
    for name in ["get_task_status", "wait_for_task", "cancel_task", "approve_task"]:
        said = await refused(client, name, task_id=987654)
        assert "987654" in said and said.endswith("(unknown_task)"), (name, said)
        assert (await refused(client, name)).startswith("`task_id` must be a whole number"), name
    assert "only the token of a run" in await refused(client, "wait_for_children")
    assert "it takes none" in await refused(client, "wait_for_children", task_id=1)
    done = (await call(client, "enqueue_task", prompt="x", queue="nobody"))["task_id"]
    assert "(wrong_state)" in await refused(client, "approve_task", task_id=done)
    for part, arguments in [
        ("`prompt` must be a string", {}),
        ("`priority` must be a whole number from -1000 to 1000 (got 5000)", {"prompt": "x", "priority": 5000}),
        ("`promt` is not an argument of this tool; it takes accept, continues, delay_seconds,", {"promt": "x"}),
        ("(not_trusted)", {"prompt": "print(1)", "task_type": "python"}),
    ]:
        said = await refused(client, "enqueue_task", **arguments)
        assert part in said, said
    said = await refused(client, "list_tasks", status="running")
    assert "must be one of queued, blocked" in said and '(got "running")' in said, said
    assert "from 1 to 500" in await refused(client, "list_tasks", limit=501)
    assert "from 0 to 3600" in await refused(client, "wait_for_task", task_id=1, timeout_seconds=4000)
    try:
        await client.call_tool("no_such_tool", {})
        raise AssertionError("a tool that is none was called")
    except MCPError as error:
        assert "tool not found" in str(error)


async def cancelled_wait():
    """A call that the client gives up ends its wait, and nothing else."""
    worker = await Worker.connect()
    async with connected() as client:
        task_id = (await call(client, "enqueue_task", prompt="x", queue="nobody"))["task_id"]
        before, progress = await worker.connections(), Progress()
        async with anyio.create_task_group() as tasks:

            async def wait():
                arguments = {"task_id": task_id, "timeout_seconds": 3000}
                await client.call_tool("wait_for_task", arguments, progress_callback=progress)

            tasks.start_soon(wait)
            await progress.until("queued")
            assert await worker.connections() == before + 1
            tasks.cancel_scope.cancel()
        with anyio.fail_after(30):
            while await worker.connections() != before:
                await anyio.sleep(0.02)
        assert (await call(client, "get_task_status", task_id=task_id))["status"] == "queued"


async def hub_away():
    """The server starts without a hub, says so, and works once there is one; a wait outlives a crash of the hub."""
    async with connected() as client:
        assert len((await client.list_tools()).tools) == len(TOOLS)
        at = f"cannot reach the hub at 127.0.0.1:{SETUP['hub']['port']}: connection refused"
        for name, arguments in [("enqueue_task", {"prompt": "x"}), ("list_tasks", {}), ("wait_for_task", {"task_id": 1})]:
            said = await refused(client, name, **arguments)
            assert said.startswith(at) and "start one with `kirosu up`" in said, said
        ask_the_test("start the hub")
        with anyio.fail_after(30):
            while (result := await client.call_tool("enqueue_task", {"prompt": "x", "queue": "crash"})).is_error:
                await anyio.sleep(0.02)
        task_id, progress = result.structured_content["task_id"], Progress()

        async def work():
            await progress.until("queued")
            await anyio.to_thread.run_sync(ask_the_test, "kill the hub and start it again")
            await progress.until("the connection to the hub broke")
            worker = await Worker.connect()
            await worker.ask("ack", **await worker.lease("crash"), status="done", result="survived")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            arguments = {"task_id": task_id, "timeout_seconds": 60}
            result = await client.call_tool("wait_for_task", arguments, progress_callback=progress)
        assert result.structured_content["result"] == "survived", result
        progress.check()


async def wrong_key():
    """A wrong key is a clear error over stdio, and no connection at all over HTTP; the right one is taken as it may come."""
    if "stdio" in SETUP:
        async with connected() as client:
            said = await refused(client, "list_tasks")
            assert "refuses our key" in said and "KIRO_SWARM_KEY" in said, said
        return
    initialize = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }
    accept = {"accept": "application/json, text/event-stream"}
    async with httpx2.AsyncClient(headers=accept) as http:
        for headers in [{}, {"x-kiro-key": "wrong"}, {"authorization": "Bearer wrong"}]:
            answer = await http.post(SETUP["url"], json=initialize, headers=headers)
            assert answer.status_code == 403 and "Invalid KIRO_SWARM_KEY" in answer.text, answer
    key = SETUP["hub"]["key"]
    for headers in [{"x-kiro-key": key}, {"authorization": f"Bearer {key}"}]:
        for mode in ["legacy", "auto"]:
            async with connected(SETUP | {"headers": headers, "mode": mode}) as client:
                assert (await call(client, "list_tasks"))["tasks"] == []


async def manners():
    """HTTP: strange hosts and origins stay out, sessions end when they are deleted, bad requests are told so."""
    accept = {"accept": "application/json, text/event-stream"}
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    tools = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    async with httpx2.AsyncClient(headers=accept, timeout=30) as http:
        for strange in [{"host": "evil.example"}, {"origin": "http://evil.example"}]:
            answer = await http.post(SETUP["url"], json=hello, headers=strange)
            assert answer.status_code == 403 and "evil.example" in answer.text, answer
        answer = await http.post(SETUP["url"], json=hello)
        assert answer.status_code == 200, answer
        session = {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": "2025-06-18"}
        assert (await http.post(SETUP["url"], json=ready, headers=session)).status_code == 202
        answer = await http.post(SETUP["url"], json=tools, headers=session)
        assert answer.status_code == 200 and "enqueue_task" in answer.text
        assert (await http.delete(SETUP["url"], headers=session)).status_code in (200, 202, 204)
        with anyio.fail_after(30):
            while (await http.post(SETUP["url"], json=tools, headers=session)).status_code != 404:
                await anyio.sleep(0.02)
        assert (await http.put(SETUP["url"])).status_code == 405
        bad = await http.post(SETUP["url"], content="{", headers={"content-type": "application/json"})
        assert 400 <= bad.status_code < 500, bad
        long = await http.post(SETUP["url"], content="x" * (SETUP["body_bytes"] + 1))
        assert long.status_code == 413, long
        # An open stream must not delay the gateway's end.
        answer = await http.post(SETUP["url"], json=hello)
        session["mcp-session-id"] = answer.headers["mcp-session-id"]
        await http.post(SETUP["url"], json=ready, headers=session)
        async with http.stream("GET", SETUP["url"], headers=session) as stream:
            assert stream.status_code == 200
            ask_the_test("stop the server")
            with anyio.fail_after(30):
                async for _ in stream.aiter_bytes():
                    pass


SCENARIOS = [
    every_tool,
    cancelled_wait,
    hub_away,
    wrong_key,
    manners,
    more.tasks,
    more.tasks_again,
    more.resources,
    more.prompts,
    more.roles,
]

if __name__ == "__main__":
    [scenario] = [scenario for scenario in SCENARIOS if scenario.__name__ == sys.argv[1]]
    asyncio.run(asyncio.wait_for(scenario(), 120))
