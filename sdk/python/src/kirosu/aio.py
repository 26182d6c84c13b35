"""The asynchronous client."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _address
from ._events import events as _events
from ._link import Json, Link
from ._requests import Template, batches, fill, given, new_key, pieces, repeatable
from .errors import TaskFailed, WaitTimeout
from .types import Event, NewTask, Task, TaskFields

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from .flow import AsyncFlow

# `list` is a method of the client.
Ids = list[int]
Tasks = list[Task]
Texts = list[str]
Rows = list[Json]

_WAIT_IDS = 1000
_WAITS = 256
_SOURCE_BYTES = 1000 * 1000


class AsyncHub:
    """A client of a hub. It connects with the first request, and again, with growing pauses, when the connection breaks.

    `hub` is `HOST:PORT` or the path of a Unix socket. Without it, the variables `KIROSU_HUB` and `KIROSU_TOKEN` of an agent's
    run count, then `KIRO_SWARM_HOST`, `KIRO_SWARM_PORT` and `KIRO_SWARM_KEY`. `patience` is the number of seconds for which a
    request is repeated while the hub cannot be reached; `None` means no limit.

    Every method raises `HubError` for an error of the hub, and `Disconnected` (an `OSError`) when the patience ends.
    """

    def __init__(
        self,
        hub: str | None = None,
        *,
        key: str | None = None,
        patience: float | None = 30.0,
        name: str | None = None,
        tls_fingerprint: str | None = None,
        tls_ca: str | None = None,
    ) -> None:
        address = _address.find(hub, key, tls_fingerprint=tls_fingerprint, tls_ca=tls_ca)
        self._link = Link(address, hello=given({"protocol": 1, "name": name}), patience=patience)
        self._token: str | None = None

    @classmethod
    def _over(cls, link: Link, token: str | None) -> AsyncHub:
        """A client over the connection of another one, with the rights of a run's token."""
        hub = cls.__new__(cls)
        hub._link, hub._token = link, token
        return hub

    async def __aenter__(self) -> Self:
        await self._link.request("ping", {})
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection. Unanswered requests raise `Disconnected`."""
        self._link.close()

    async def call(self, method: str, params: Mapping[str, Any] | None = None, **more: Any) -> Json:
        """Sends any request of the protocol and returns its result. Parameters that are `None` are left out."""
        wanted = given({**(params or {}), **more})
        if self._token is not None:
            wanted.setdefault("auth_token", self._token)
        return await self._link.request(method, wanted, repeat=repeatable(method, wanted))

    # ---- new tasks

    async def enqueue(self, prompt: str, **fields: Unpack[TaskFields]) -> int:
        """Adds a task and returns its id.

        Without an `idempotency_key` the request gets a random one, so that it adds one task even if it is sent again.
        """
        return (await self.enqueue_or_get(prompt, **fields))[0]

    async def enqueue_or_get(self, prompt: str, **fields: Unpack[TaskFields]) -> tuple[int, str | None]:
        """Adds a task; returns its id and, of a task that existed with this `idempotency_key`, its status."""
        answer = await self.call("enqueue", {"idempotency_key": new_key(), **given(fields), "prompt": prompt})
        return answer["task_id"], answer.get("status") if "idempotency_key" in fields else None

    async def enqueue_many(self, tasks: Iterable[str | NewTask], **common: Unpack[TaskFields]) -> Ids:
        """Adds tasks, in batches within the hub's limits, and returns their ids in order. `common` holds for each task."""
        return (await self.enqueue_or_get_many(tasks, **common))[0]

    async def enqueue_or_get_many(
        self, tasks: Iterable[str | NewTask], **common: Unpack[TaskFields]
    ) -> tuple[Ids, dict[int, str]]:
        """As `enqueue_many`, and returns the status of each task that existed with its `idempotency_key`."""
        await self._link.request("ping", {})
        wanted = (
            {"idempotency_key": new_key(), **given(common), **given({"prompt": task} if isinstance(task, str) else task)}
            for task in tasks
        )
        ids: Ids = []
        existed: dict[int, str] = {}
        for batch in batches(wanted, self._link.limits["batch"]):
            answer = await self.call("enqueue_batch", {"tasks": batch})
            ids += answer["task_ids"]
            existed.update((known["task_id"], known["status"]) for known in answer.get("existed") or ())
        return ids, existed

    async def map_tasks(
        self, prompt_template: Template, items: Iterable[Any], *, timeout: float | None = None, **fields: Unpack[TaskFields]
    ) -> Tasks:
        """Adds a task for each item, waits for all, and returns the tasks in the order of the items.

        The template has `{item}`, `{index}` and, for items that are mappings, their fields; or it is a function of the item.
        """
        prompts = [fill(prompt_template, item, index) for index, item in enumerate(items)]
        return await self.wait(await self.enqueue_many(prompts, **fields), timeout=timeout)

    async def map(
        self, prompt_template: Template, items: Iterable[Any], *, timeout: float | None = None, **fields: Unpack[TaskFields]
    ) -> Texts:
        """The results of `map_tasks`. Raises `TaskFailed` when all have ended, if one is not done."""
        return results_of(await self.map_tasks(prompt_template, items, timeout=timeout, **fields))

    def flow(self, name: str) -> AsyncFlow:
        """Code-first plans: named steps that are done once, however often the program starts."""
        from .flow import AsyncFlow

        return AsyncFlow(self, name)

    # ---- tasks

    async def wait(self, task_ids: Iterable[int], *, timeout: float | None = None) -> Tasks:
        """Waits until the tasks are done, failed or cancelled, and returns them in order.

        Raises `WaitTimeout` when `timeout` seconds have passed.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        ids = list(task_ids)
        tasks: Tasks = []
        for begin in range(0, len(ids), _WAIT_IDS):
            answer = await self._wait({"task_ids": ids[begin : begin + _WAIT_IDS]}, deadline)
            tasks += map(Task.of, answer["tasks"])
        return tasks

    async def wait_group(self, *, timeout: float | None = None, **group: Any) -> dict[str, int]:
        """Waits until no task of a group (`label`, `queue`, `parent_id`, `ids`) is unfinished; the number of tasks by status.

        Raises `WaitTimeout`.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        counts: dict[str, int] = (await self._wait(group, deadline))["counts"]
        return counts

    async def _wait(self, what: Mapping[str, Any], deadline: float | None) -> Json:
        while True:
            longest = self._link.limits["wait_ms_max"] / 1000
            left = longest if deadline is None else max(deadline - time.monotonic(), 0)
            answer = await self.call("wait", what, timeout_seconds=round(min(left, longest), 3))
            if answer["finished"]:
                return answer
            if deadline is not None and time.monotonic() >= deadline:
                raise WaitTimeout(f"tasks are unfinished: {_shown(answer['tasks'])}")

    async def as_completed(self, task_ids: Iterable[int]) -> AsyncIterator[Task]:
        """Yields tasks as they end, of up to 256 at a time in the given order."""
        rest = iter(task_ids)
        waits: set[asyncio.Task[Tasks]] = set()
        try:
            while True:
                while len(waits) < _WAITS and (task_id := next(rest, None)) is not None:
                    waits.add(asyncio.ensure_future(self.wait([task_id])))
                if not waits:
                    return
                done, waits = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for wait in done:
                    yield wait.result()[0]
        finally:
            for wait in waits:
                wait.cancel()

    async def results(self, task_ids: Iterable[int], *, timeout: float | None = None) -> Texts:
        """Waits for tasks and returns their results in order. Raises `TaskFailed` and `WaitTimeout`."""
        return results_of(await self.wait(task_ids, timeout=timeout))

    async def get(self, task_id: int) -> Task:
        """A task in its current state. `call("get", ...)` also returns attempts, progress and output."""
        return Task.of((await self.call("get", task_id=task_id))["task"])

    async def list(self, *, page: int = 500, **filters: Any) -> AsyncIterator[Task]:
        """Yields tasks, newest first, page by page; `filters` are `status`, `type` and those of a group."""
        before: int | None = None
        while True:
            answer = await self.call("list", filters, limit=page, before=before)
            for raw in answer["tasks"]:
                yield Task.of(raw)
            before = answer.get("next")
            if before is None:
                return

    async def stats(self) -> Json:
        """The counters of tasks."""
        stats: Json = (await self.call("stats"))["stats"]
        return stats

    async def cancel(self, task_id: int | None = None, *, reason: str | None = None, **group: Any) -> int:
        """Cancels a task or a group; the number of cancelled tasks. A task that has ended raises `WrongState`."""
        answer = await self.call("cancel", group, task_id=task_id, reason=reason)
        return int(answer.get("cancelled", 1))

    async def retry(self, task_id: int | None = None, *, with_dependencies: bool = False, **group: Any) -> int:
        """Queues a failed or cancelled task, or those of a group, again; the number of tasks."""
        answer = await self.call("retry", group, task_id=task_id, with_dependencies=with_dependencies or None)
        return int(answer.get("retried", 1))

    def events(
        self,
        kinds: Sequence[str] | None = None,
        *,
        since: int | None = None,
        boot_id: str | None = None,
        task_id: int | None = None,
    ) -> AsyncIterator[Event]:
        """Yields events as the hub sends them, across reconnects; an event `gap` says that some are lost.

        `since` and `boot_id` are those of the last event that the caller has. Without them only new events follow.
        """
        return _events(
            self._link.address, self._link.patience, kinds=kinds, since=since, boot_id=boot_id, task_id=task_id
        )

    # ---- people

    async def approvals(self, state: str = "open", *, task_id: int | None = None) -> Rows:
        """What waits for a person; with another `state` past permission requests."""
        rows: Rows = []
        cursor: str | None = None
        while True:
            answer = await self.call("approvals", state=state, task_id=task_id, cursor=cursor)
            rows += answer["approvals"]
            cursor = answer.get("next")
            if cursor is None:
                return rows

    async def approve(self, task_id: int | None = None, **more: Any) -> None:
        """Approves a task or, with `approval_id`, a permission request; `fence`, `by`, `comment`, `option`, `raise`."""
        await self.call("approve", more, task_id=task_id)

    async def answer(self, task_id: int, text: str, *, by: str | None = None) -> None:
        """Answers a task of the type `human`."""
        await self.call("answer", task_id=task_id, text=text, by=by)

    async def reject(self, task_id: int | None = None, *, reason: str | None = None, **more: Any) -> None:
        """Rejects a task or, with `approval_id`, a permission request."""
        await self.call("reject", more, task_id=task_id, reason=reason)

    # ---- runs of plans

    async def pipeline(
        self,
        plan: str | Mapping[str, Any],
        *,
        inputs: Mapping[str, Any] | None = None,
        name: str | None = None,
        sources: Mapping[str, Iterable[Any]] | None = None,
        plans: Mapping[str, str] | None = None,
        format: str | None = None,
        **fields: Unpack[TaskFields],
    ) -> int:
        """Starts a run of a plan, a text or a mapping, and returns its id, which is that of a task.

        `sources` has the items of maps whose `over` names files, lines or rows, by the id of the step.
        """
        stored = {step: await self._source(items) for step, items in (sources or {}).items()}
        metadata = given({"inputs": inputs, "name": name, "sources": stored or None, "plans": plans, "format": format})
        text = plan if isinstance(plan, str) else json.dumps(plan, ensure_ascii=False)
        wanted: TaskFields = {**fields, "type": "plan", "metadata": metadata}
        return await self.enqueue(text, **wanted)

    async def _source(self, items: Iterable[Any]) -> int:
        source: int | None = None
        first = 0
        for piece in pieces(items, _SOURCE_BYTES):
            answer = await self.call("source", items=piece, source_id=source, first=first)
            source, first = answer["source_id"], answer["items"]
        if source is None:
            raise ValueError("a source needs at least one item")
        return source

    async def run(self, task_id: int, *, with_plan: bool = False) -> Json:
        """A run of a plan with its steps."""
        return await self.call("run", task_id=task_id, with_plan=with_plan or None)

    async def runs(self, state: str | None = None) -> AsyncIterator[Json]:
        """Yields runs, newest first."""
        before: int | None = None
        while True:
            answer = await self.call("runs", state=state, limit=100, before=before)
            for row in answer["runs"]:
                yield row
            before = answer.get("next")
            if before is None:
                return

    async def run_items(self, task_id: int, *, results: bool = True, **filters: Any) -> AsyncIterator[Json]:
        """Yields the items of a run, by step and position; `filters` are `step`, `key` and `state`."""
        cursor: str | None = None
        while True:
            answer = await self.call("run_items", filters, task_id=task_id, results=results, limit=500, cursor=cursor)
            for row in answer["items"]:
                yield row
            cursor = answer.get("next")
            if cursor is None:
                return

    async def run_pause(self, task_id: int) -> None:
        """Starts no further task of a run."""
        await self.call("run_pause", task_id=task_id)

    async def run_resume(self, task_id: int, **more: Any) -> None:
        """Lets a run go on; with `plan` by another plan."""
        await self.call("run_resume", more, task_id=task_id)

    async def run_retry(self, task_id: int, *, step: str | None = None, item: str | None = None) -> None:
        """Repeats what failed in a run, and what depends on it."""
        await self.call("run_retry", task_id=task_id, step=step, item=item)


def results_of(tasks: Iterable[Task]) -> Texts:
    """The results of tasks that have ended. Raises `TaskFailed` for the first one that is not done."""
    results: Texts = []
    for task in tasks:
        if task.status != "done":
            raise TaskFailed(task)
        results.append(task.result or "")
    return results


def _shown(tasks: Sequence[Mapping[str, Any]]) -> str:
    names = [f"{task['task_id']} is {task['status']}" for task in tasks if not Task.of(task).finished]
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
