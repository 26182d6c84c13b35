"""Scenarios beside the tools: the Tasks extension, resources with subscriptions, prompts, and the tools of a role."""

import json
from typing import Any, Literal

import anyio
from kit import SETUP, Worker, ask_the_test, call, connected, facts
from mcp import MCPError
from mcp.client.extension import ClientExtension, ResultClaim
from mcp_types import CallToolResult, Request, RequestParams, Result
from pydantic import ConfigDict, Field


class Handle(Result):
    """The handle of a task, and its state."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)
    result_type: Literal["task"] = Field(alias="resultType")
    task_id: str = Field(alias="taskId")
    status: str


class State(Result):
    model_config = ConfigDict(extra="allow", populate_by_name=True)
    task_id: str = Field(alias="taskId")
    status: str
    result: dict[str, Any] | None = None


class TaskParams(RequestParams):
    task_id: str = Field(serialization_alias="taskId")


class GetTask(Request[TaskParams, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    params: TaskParams
    name_param = "taskId"


class UpdateParams(TaskParams):
    input_responses: dict[str, Any] = Field(default_factory=dict, serialization_alias="inputResponses")


class UpdateTask(Request[UpdateParams, Literal["tasks/update"]]):
    method: Literal["tasks/update"] = "tasks/update"
    params: UpdateParams
    name_param = "taskId"


class CancelTask(Request[TaskParams, Literal["tasks/cancel"]]):
    method: Literal["tasks/cancel"] = "tasks/cancel"
    params: TaskParams
    name_param = "taskId"


class Tasks(ClientExtension):
    """The Tasks extension as a host has it: it polls until the task has ended."""

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self):
        self.handles = []

    def claims(self):
        return [ResultClaim(result_type="task", model=Handle, resolve=self.resolve)]

    async def resolve(self, handle, context):
        self.handles.append(handle)
        with anyio.fail_after(30):
            while (state := await get(context.session, handle.task_id)).status == "working":
                await anyio.sleep(0.02)
        assert state.status == "completed", state
        return CallToolResult.model_validate(state.result)


async def get(session, task_id):
    return await session.send_request(GetTask(params=TaskParams(task_id=str(task_id))), State)


async def started(client, name, **arguments):
    """A call that is answered with a handle."""
    handle = await client.session.call_tool(name, arguments, allow_claimed=True)
    assert isinstance(handle, Handle) and handle.status == "working", (name, handle)
    return handle


async def tasks():
    """A long call is a task for a client that declares the extension, and only for that."""
    plan = "pipeline: [{id: say, pool: plan, prompt: hello}]"
    async with connected() as client:
        # Without the extension nothing changes, and tasks/get is refused.
        task_id = (await call(client, "enqueue_task", prompt="plain", queue="nobody"))["task_id"]
        try:
            await get(client.session, task_id)
            raise AssertionError("tasks/get without the extension")
        except MCPError as error:
            assert error.error.code == -32021, error.error
    extension = Tasks()
    async with connected(extensions=[extension]) as client:
        assert "io.modelcontextprotocol/tasks" in client.server_capabilities.extensions
        await client.list_tools()
        enqueued = await started(client, "enqueue_task", prompt="one", queue="tasks", idempotency_key="t1")
        again = await started(client, "enqueue_task", prompt="one", queue="tasks", idempotency_key="t1")
        assert enqueued.task_id == again.task_id and "is queued" in enqueued.model_extra["statusMessage"], enqueued
        waiting = await started(client, "wait_for_task", task_id=int(enqueued.task_id))
        assert waiting.task_id == enqueued.task_id and waiting.model_extra["ttlMs"] is None, waiting
        # A wait with a time is a plain call.
        plain = await client.call_tool("wait_for_task", {"task_id": int(enqueued.task_id), "timeout_seconds": 0})
        assert facts("wait_for_task", plain)["timed_out"], plain
        worker = await Worker.connect()
        lease = await worker.lease("tasks")
        await worker.ask("ack", **lease, status="done", result="first")
        state = await get(client.session, enqueued.task_id)
        result = CallToolResult.model_validate(state.result)
        assert state.status == "completed" and result.structured_content["result"] == "first", state
        assert json.loads(result.content[0].text) == result.structured_content
        # A task that has ended already needs no handle.
        ended = facts("wait_for_task", await client.call_tool("wait_for_task", {"task_id": int(enqueued.task_id)}))
        assert ended["result"] == "first", ended

        # The host polls by itself; the final result fits the schema of the tool, which the client checks.
        async def work(queue, count):
            for _ in range(count):
                lease = await worker.lease(queue)
                await worker.ask("ack", **lease, status="done", result="ok")

        for name, arguments, queue, count in [
            ("enqueue_task", {"prompt": "two", "queue": "polled"}, "polled", 1),
            ("run_plan", {"plan": plan}, "plan", 1),
            ("map_items", {"prompt": "{{ item }}", "items": [1, 2], "queue": "mapped"}, "mapped", 2),
        ]:
            before = len(extension.handles)
            async with anyio.create_task_group() as group:
                group.start_soon(work, queue, count)
                found = facts(name, await client.call_tool(name, arguments))
            assert len(extension.handles) == before + 1 and found["finished"] and found["status"] == "done", found
            if name == "map_items":
                assert (found["items"], found["done"], found["state"]) == (2, 2, "done"), found

        failing = await started(client, "enqueue_task", prompt="bad", queue="bad", max_attempts=1)
        await worker.ask("ack", **await worker.lease("bad"), status="failed", error="no voice")
        state = await get(client.session, failing.task_id)
        found = state.result["structuredContent"]
        assert state.status == "completed" and (found["status"], found["error"]) == ("failed", "no voice"), state

        doomed = await started(client, "enqueue_task", prompt="three", queue="nobody")
        params = TaskParams(task_id=doomed.task_id)
        await client.session.send_request(UpdateTask(params=UpdateParams(task_id=doomed.task_id)), Result)
        for _ in range(2):
            await client.session.send_request(CancelTask(params=params), Result)
        state = await get(client.session, doomed.task_id)
        assert state.status == "cancelled" and "was cancelled" in state.model_extra["statusMessage"], state
        for strange in ["987654", "x"]:
            try:
                await get(client.session, strange)
                raise AssertionError(f"a task {strange}")
            except MCPError as error:
                assert "unknown_task" in str(error) and error.error.code == -32602, error.error
        kept = await started(client, "enqueue_task", prompt="kept", queue="kept")
        await anyio.to_thread.run_sync(ask_the_test, f"restart {kept.task_id}")


async def tasks_again():
    """A handle is valid in another server, after a restart of the hub."""
    async with connected(extensions=[Tasks()]) as client:
        worker = await Worker.connect()
        await worker.ask("ack", **await worker.lease("kept"), status="done", result="survived")
        state = await get(client.session, SETUP["task"])
        assert state.result["structuredContent"]["result"] == "survived", state


async def resources():
    """Tasks and runs are resources, of bounded size, and tell their subscribers that they have changed."""
    updates, arrived = [], anyio.Event()

    async def on_message(message):
        nonlocal arrived
        params = getattr(message, "params", None)
        if getattr(message, "method", "") == "notifications/resources/updated":
            updates.append(str(params.uri))
            arrived.set()
            arrived = anyio.Event()

    async def told(uri):
        with anyio.fail_after(30):
            while uri not in updates:
                await arrived.wait()
        updates.clear()

    async with connected(message_handler=on_message) as client:
        worker = await Worker.connect()
        attack = "<script>alert(1)</script>\n" + "x" * 200
        ids = [(await call(client, "enqueue_task", prompt=attack, queue="read"))["task_id"] for _ in range(60)]
        # It has not begun, so that it has no tasks yet.
        held = {"plan": "pipeline: [{id: a, prompt: x}]", "requires_approval": True}
        run = (await call(client, "run_plan", **held))["task_id"]
        page = await client.list_resources()
        listed, cursor = list(page.resources), page.next_cursor
        assert str(listed[0].uri) == f"kirosu://runs/{run}" and listed[0].mime_type == "application/json", listed[0]
        while cursor:
            page = await client.list_resources(cursor=cursor)
            listed, cursor = listed + list(page.resources), page.next_cursor
        uris = [str(one.uri) for one in listed]
        assert uris[1:61] == [f"kirosu://tasks/{task}" for task in reversed(ids)], uris
        assert all(len(one.title) < 100 for one in listed)
        templates = (await client.list_resource_templates()).resource_templates
        assert [one.uri_template for one in templates] == [
            "kirosu://tasks/{id}",
            "kirosu://tasks/{id}/result",
            "kirosu://tasks/{id}/output",
            "kirosu://runs/{id}",
        ]

        async def read(uri):
            # Anew each time: the client may keep what it has read.
            [one] = (await client.read_resource(uri, cache_mode="bypass")).contents
            assert str(one.uri) == uri
            return one

        task = await read(f"kirosu://tasks/{ids[0]}")
        assert task.mime_type == "application/json" and json.loads(task.text)["prompt"] == attack, task
        found = json.loads((await read(f"kirosu://runs/{run}")).text)
        assert found["task_id"] == run and found["finished"] is False, found

        lease = await worker.lease("read")
        uri = f"kirosu://tasks/{lease['task_id']}"
        if SETUP["mode"] == "legacy":
            await client.subscribe_resource(f"{uri}/result")
            await client.subscribe_resource(f"{uri}/output")
            await worker.ask("output", **lease, text="o" * 150_000)
            await told(f"{uri}/output")
            await client.unsubscribe_resource(f"{uri}/output")
            await worker.ask("ack", **lease, status="done", result="<b>" + "r" * 150_000)
            await told(f"{uri}/result")
        else:
            wanted = [f"{uri}/result", f"{uri}/output", "kirosu://nothing/1"]
            async with client.listen(resource_subscriptions=wanted) as changes:
                assert sorted(changes.honored.resource_subscriptions) == sorted(wanted[:2]), changes.honored

                async def changed(uris):
                    with anyio.fail_after(30):
                        async for change in changes:
                            uris.discard(str(change.uri))
                            if not uris:
                                return

                # Once at the beginning, and after each change.
                await changed(set(wanted[:2]))
                await worker.ask("output", **lease, text="o" * 150_000)
                await changed({f"{uri}/output"})
                await worker.ask("ack", **lease, status="done", result="<b>" + "r" * 150_000)
                await changed({f"{uri}/result"})
        result = await read(f"{uri}/result")
        assert result.mime_type == "text/plain" and result.text.startswith("<b>rrr"), result.text[:50]
        assert len(result.text) < 101_000 and "[cut after 100000 of 150003 characters; the tool get_task_status" in result.text
        output = await read(f"{uri}/output")
        assert output.mime_type == "text/plain" and len(output.text) < 101_000
        assert output.text.startswith(f"[only the end; `kirosu logs {lease['task_id']}` prints all]\n…ooo"), output.text[:90]
        whole = json.loads((await read(uri)).text)
        assert whole["cut"] == ["result"] and "max_chars 0" in whole["rest"], whole.keys()
        for strange in [f"kirosu://tasks/{ids[-1]}/result", "kirosu://tasks/987654", "file:///etc/passwd", "kirosu://runs/x"]:
            try:
                await read(strange)
                raise AssertionError(f"{strange} was read")
            except MCPError as error:
                assert error.error.code in (-32602, -32002), error.error


async def prompts():
    """Saved plans are prompts, whose text makes the model call run_plan."""
    async with connected() as client:
        listed = {one.name: one for one in (await client.list_prompts()).prompts}
        assert sorted(listed) == ["broken", "files", "greet"], listed
        assert listed["greet"].description == "Greets people" and "cannot be used" in listed["broken"].description
        arguments = [(it.name, it.description, it.required) for it in listed["greet"].arguments]
        assert arguments == [("names", "Whom to greet", True), ("word", None, False)], arguments
        given = {"names": '["Ada", "Bob"]'}
        [message] = (await client.get_prompt("greet", given)).messages
        assert message.role == "user" and "run_plan" in message.content.text, message
        text = message.content.text
        values = json.loads(text[text.index("{") : text.rindex("}") + 1])
        assert values["inputs"] == {"names": ["Ada", "Bob"]}, values
        run = (await call(client, "run_plan", **values))["task_id"]
        assert (await call(client, "get_run", task_id=run))["name"] == "greet"
        for name, given, why in [
            ("greet", {}, "the input names (Whom to greet) has no value"),
            ("greet", {"names": "[]", "wordx": "x"}, "did you mean word"),
            ("files", {}, "kirosu run-pipeline"),
            ("../secret", {}, "there is no plan"),
            ("broken", {}, "broken"),
        ]:
            try:
                await client.get_prompt(name, given)
                raise AssertionError(f"{name} was made")
            except MCPError as error:
                assert why in str(error), error


async def roles():
    """The list of tools has those of the client's role; the hub refuses the others."""
    async with connected() as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        offered, hidden = set(SETUP["offered"]), set(SETUP["hidden"])
        if SETUP["knows"]:
            assert offered <= names and not hidden & names, names
        for name in hidden:
            needed = {"enqueue_task": {"prompt": "x"}, "answer_task": {"task_id": 1, "text": "x"}}
            arguments = needed.get(name, {"task_id": 1})
            result = await client.call_tool(name, arguments)
            assert result.is_error and "(forbidden)" in result.content[0].text, (name, result)
