"""A run of a task, as its own program sees it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .aio import AsyncHub, Tasks, Texts
from .errors import RunStopped, StaleLease, Unauthorized, WrongState
from .flow import AsyncFlow
from .types import Task, Usage

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .types import TaskFields

_COUNTED = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "cost_usd")


class Parked(BaseException):
    """Ends a run whose task waits for its children. Raised by `wait_children`.

    Not an `Exception`: a handler that catches those must not keep the run alive.
    """


class TaskError(Exception):
    """A failure with a class of the protocol, for handlers to raise.

    `bad_input` and `refused_by_policy` are final; `rate_limited` with `retry_at` waits for that moment and does not count.
    """

    def __init__(self, error: str, kind: str = "provider_error", *, retry_at: float | None = None, result: str | None = None) -> None:
        super().__init__(error)
        self.kind, self.retry_at, self.result = kind, retry_at, result


@dataclass(frozen=True)
class Outcome:
    """A result with further fields of `ack`, for handlers to return."""

    result: Any = None
    accepted: bool = False
    provider: str | None = None
    model: str | None = None
    conversation: Mapping[str, Any] | None = None


class AsyncRun(AsyncFlow):
    """A run: progress, children, and steps that belong to its task.

    Steps and children use the token of the run, and so its rights, limits and budget; their keys belong to the task, and a
    later attempt finds them. Requests raise `RunStopped` when the run is over.
    """

    def __init__(
        self,
        task: Task,
        hub: AsyncHub,
        *,
        holder: AsyncHub | None = None,
        waits: Callable[[bool], Any] | None = None,
    ) -> None:
        super().__init__(hub, None)
        self.task, self.hub = task, hub
        self.stopped = asyncio.Event()
        self.reason: str | None = None
        self.usage: dict[str, Any] = {}
        self.parked = self.over = self.lost = False
        self._holder, self._waits = holder, waits
        self._listeners: list[Callable[[], None]] = []

    @property
    def task_id(self) -> int:
        """The id of the task."""
        return self.task.task_id

    @property
    def prompt(self) -> str:
        """The prompt of the task."""
        return self.task.prompt

    @property
    def children(self) -> list[Mapping[str, Any]]:
        """The children for which an earlier run has waited: `task_id`, `status`, and `result` or `error`, cut when long."""
        return list(self.task.raw.get("children") or ())

    def check(self) -> None:
        """Raises `RunStopped` if the run is over. A run that is only asked to end may still make requests."""
        if self.over:
            raise RunStopped(self.reason or "the run is over")

    def stop(self, reason: str, *, over: bool = False, lost: bool = False) -> None:
        """Asks the run to end. `over`: its requests are refused from now on; `lost`: so is its ack."""
        self.over |= over or lost
        self.lost |= lost
        if not self.stopped.is_set():
            self.reason = reason
            self.stopped.set()
            for listener in self._listeners:
                listener()

    def on_stop(self, listener: Callable[[], None]) -> None:
        """Calls a function on the event loop when the run is stopped; at once if it is."""
        self._listeners.append(listener)
        if self.stopped.is_set():
            listener()

    async def pause(self, seconds: float) -> bool:
        """Waits for a time or until the run is stopped; true if it goes on."""
        try:
            await asyncio.wait_for(self.stopped.wait(), seconds)
        except (asyncio.TimeoutError, TimeoutError):
            return True
        return False

    async def progress(self, data: Any) -> None:
        """Reports progress: any JSON of at most 64 KiB, which `get` and watchers show."""
        await self._own("progress", data=data)

    async def heartbeat(self) -> None:
        """Shows that the run goes on. Workers, agent hosts and `Monitor` do so by themselves."""
        await self._own("heartbeat")

    async def output(self, text: str) -> None:
        """Appends to the output of the run. In a program of an agent's run that is standard output."""
        if self._holder is None:
            print(text, end="", flush=True)
            return
        self.check()
        await self._holder.call("output", task_id=self.task_id, fence=self.task.fence, text=text)

    def add_usage(self, **usage: Unpack[Usage]) -> None:
        """Adds tokens and cost, which the ack of the run reports."""
        for name, value in usage.items():
            self.usage[name] = self.usage.get(name, 0) + value if name in _COUNTED else value

    async def enqueue_child(self, prompt: str, **fields: Unpack[TaskFields]) -> int:
        """Adds a child of the run's task. With an `idempotency_key` a later attempt finds it instead of adding another one."""
        self.check()
        return await self.hub.enqueue(prompt, **fields)

    async def step(self, key: str, prompt: str, *, timeout: float | None = None, **fields: Unpack[TaskFields]) -> str:
        """The result of a child that is made once per key; see `AsyncFlow.step`. Meanwhile a worker runs another task."""
        self.check()
        with _Waiting(self._waits):
            return await super().step(key, prompt, timeout=timeout, **fields)

    async def map_tasks(self, key: str, *args: Any, **fields: Any) -> Tasks:
        """One child per item, each made once; see `AsyncFlow.map_tasks`."""
        self.check()
        with _Waiting(self._waits):
            return await super().map_tasks(key, *args, **fields)

    async def results(self, task_ids: Iterable[int], *, timeout: float | None = None) -> Texts:
        """Waits for children and returns their results in order. Meanwhile a worker runs another task."""
        self.check()
        with _Waiting(self._waits):
            return await self.hub.results(task_ids, timeout=timeout)

    async def wait_children(self) -> Tasks:
        """Waits for the children without occupying the worker, and returns them, oldest first.

        While children are unfinished, it ends the run by raising `Parked`. The task is queued again when they have ended; its
        next run begins anew, finds its steps done, and gets the children here.
        """
        try:
            await self._own("wait_children")
        except WrongState:
            children = [task async for task in self.hub.list() if task.task_id != self.task_id]
            if all(task.finished for task in children):
                return await self.hub.wait([task.task_id for task in reversed(children)]) if children else []
            raise
        self.parked = True
        raise Parked

    async def _own(self, method: str, **params: Any) -> None:
        self.check()
        fence = self.task.fence or None
        try:
            await self.hub.call(method, task_id=self.task_id, fence=fence, **params)
        except (StaleLease, Unauthorized) as why:
            self.stop(why.message, lost=True)
            raise RunStopped(why.message) from why


class _Waiting:
    """Marks the time in which a run only waits, so that its worker can run another task."""

    def __init__(self, waits: Callable[[bool], Any] | None) -> None:
        self._waits = waits

    def __enter__(self) -> None:
        if self._waits is not None:
            self._waits(True)

    def __exit__(self, *_: object) -> None:
        if self._waits is not None:
            self._waits(False)


def run_of_environment(hub: AsyncHub) -> AsyncRun | None:
    """The run of the agent that started this program (`KIROSU_TOKEN`, `KIROSU_TASK_ID`), or `None` outside of one."""
    number = os.environ.get("KIROSU_TASK_ID", "")
    if not os.environ.get("KIROSU_TOKEN") or not number.isdigit():
        return None
    # The agent host knows the fence; the token itself is bound to the lease.
    return AsyncRun(Task.of({"task_id": int(number), "status": "leased"}), hub)
