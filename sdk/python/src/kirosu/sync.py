"""The synchronous client: the methods of `AsyncHub`, on an event loop of their own thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._loop import close_with, iterate
from ._loop import run as _run
from ._link import Json
from ._requests import Template
from .aio import AsyncHub, Ids, Rows, Tasks, Texts

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from .flow import AsyncFlow
    from .types import Event, NewTask, Task, TaskFields


class Hub:
    """A client of a hub, for threads and plain programs. `AsyncHub` describes arguments, methods and exceptions.

    All threads of a program can share one client: requests of several threads are on the way at the same time.
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
        async def make() -> AsyncHub:
            return AsyncHub(hub, key=key, patience=patience, name=name, tls_fingerprint=tls_fingerprint, tls_ca=tls_ca)

        self.asynchronous = _run(make())
        # Flows, runs and iterators keep the inner client, so the connection ends after the last of them.
        close_with(self.asynchronous, self.asynchronous._link.close)

    def __enter__(self) -> Self:
        self.call("ping")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        _run(self.asynchronous.close())

    def call(self, method: str, params: Mapping[str, Any] | None = None, **more: Any) -> Json:
        """Sends any request of the protocol and returns its result."""
        return _run(self.asynchronous.call(method, params, **more))

    def enqueue(self, prompt: str, **fields: Unpack[TaskFields]) -> int:
        """Adds a task and returns its id."""
        return _run(self.asynchronous.enqueue(prompt, **fields))

    def enqueue_many(self, tasks: Iterable[str | NewTask], **common: Unpack[TaskFields]) -> Ids:
        """Adds tasks and returns their ids in order."""
        return _run(self.asynchronous.enqueue_many(tasks, **common))

    def map_tasks(
        self, prompt_template: Template, items: Iterable[Any], *, timeout: float | None = None, **fields: Unpack[TaskFields]
    ) -> Tasks:
        """Adds a task for each item, waits for all, and returns the tasks in the order of the items."""
        return _run(self.asynchronous.map_tasks(prompt_template, items, timeout=timeout, **fields))

    def map(
        self, prompt_template: Template, items: Iterable[Any], *, timeout: float | None = None, **fields: Unpack[TaskFields]
    ) -> Texts:
        """The results of `map_tasks`."""
        return _run(self.asynchronous.map(prompt_template, items, timeout=timeout, **fields))

    def flow(self, name: str) -> Flow:
        """Code-first plans: named steps that are done once, however often the program starts."""
        return Flow(self.asynchronous.flow(name))

    def wait(self, task_ids: Iterable[int], *, timeout: float | None = None) -> Tasks:
        """Waits until the tasks have ended, and returns them in order."""
        return _run(self.asynchronous.wait(task_ids, timeout=timeout))

    def wait_group(self, *, timeout: float | None = None, **group: Any) -> dict[str, int]:
        """Waits until no task of a group is unfinished; the number of tasks by status."""
        return _run(self.asynchronous.wait_group(timeout=timeout, **group))

    def as_completed(self, task_ids: Iterable[int]) -> Iterator[Task]:
        """Yields tasks as they end."""
        return iterate(self.asynchronous.as_completed(task_ids))

    def results(self, task_ids: Iterable[int], *, timeout: float | None = None) -> Texts:
        """Waits for tasks and returns their results in order."""
        return _run(self.asynchronous.results(task_ids, timeout=timeout))

    def get(self, task_id: int) -> Task:
        """A task in its current state."""
        return _run(self.asynchronous.get(task_id))

    def list(self, *, page: int = 500, **filters: Any) -> Iterator[Task]:
        """Yields tasks, newest first."""
        return iterate(self.asynchronous.list(page=page, **filters))

    def stats(self) -> Json:
        """The counters of tasks."""
        return _run(self.asynchronous.stats())

    def cancel(self, task_id: int | None = None, *, reason: str | None = None, **group: Any) -> int:
        """Cancels a task or a group."""
        return _run(self.asynchronous.cancel(task_id, reason=reason, **group))

    def retry(self, task_id: int | None = None, *, with_dependencies: bool = False, **group: Any) -> int:
        """Queues a failed or cancelled task, or those of a group, again."""
        return _run(self.asynchronous.retry(task_id, with_dependencies=with_dependencies, **group))

    def events(
        self,
        kinds: Sequence[str] | None = None,
        *,
        since: int | None = None,
        boot_id: str | None = None,
        task_id: int | None = None,
    ) -> Iterator[Event]:
        """Yields events as the hub sends them, across reconnects."""
        return iterate(self.asynchronous.events(kinds, since=since, boot_id=boot_id, task_id=task_id))

    def approvals(self, state: str = "open", *, task_id: int | None = None) -> Rows:
        """What waits for a person."""
        return _run(self.asynchronous.approvals(state, task_id=task_id))

    def approve(self, task_id: int | None = None, **more: Any) -> None:
        """Approves a task or a permission request."""
        _run(self.asynchronous.approve(task_id, **more))

    def answer(self, task_id: int, text: str, *, by: str | None = None) -> None:
        """Answers a task of the type `human`."""
        _run(self.asynchronous.answer(task_id, text, by=by))

    def reject(self, task_id: int | None = None, *, reason: str | None = None, **more: Any) -> None:
        """Rejects a task or a permission request."""
        _run(self.asynchronous.reject(task_id, reason=reason, **more))

    def pipeline(
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
        """Starts a run of a plan and returns its id."""
        return _run(
            self.asynchronous.pipeline(
                plan, inputs=inputs, name=name, sources=sources, plans=plans, format=format, **fields
            )
        )

    def run(self, task_id: int, *, with_plan: bool = False) -> Json:
        """A run of a plan with its steps."""
        return _run(self.asynchronous.run(task_id, with_plan=with_plan))

    def runs(self, state: str | None = None) -> Iterator[Json]:
        """Yields runs, newest first."""
        return iterate(self.asynchronous.runs(state))

    def run_items(self, task_id: int, *, results: bool = True, **filters: Any) -> Iterator[Json]:
        """Yields the items of a run."""
        return iterate(self.asynchronous.run_items(task_id, results=results, **filters))

    def run_pause(self, task_id: int) -> None:
        """Starts no further task of a run."""
        _run(self.asynchronous.run_pause(task_id))

    def run_resume(self, task_id: int, **more: Any) -> None:
        """Lets a run go on."""
        _run(self.asynchronous.run_resume(task_id, **more))

    def run_retry(self, task_id: int, *, step: str | None = None, item: str | None = None) -> None:
        """Repeats what failed in a run."""
        _run(self.asynchronous.run_retry(task_id, step=step, item=item))


class Flow:
    """Steps by key, each done once; see `AsyncFlow`."""

    def __init__(self, flow: AsyncFlow) -> None:
        self._flow = flow

    def step(self, key: str, prompt: str, *, timeout: float | None = None, **fields: Unpack[TaskFields]) -> str:
        """The result of a step, from a task that is made once per key."""
        return _run(self._flow.step(key, prompt, timeout=timeout, **fields))

    def start(self, key: str, prompt: str, **fields: Unpack[TaskFields]) -> int:
        """The id of a step's task, without waiting for it."""
        return _run(self._flow.start(key, prompt, **fields))

    def map_tasks(
        self, key: str, prompt_template: Template, items: Iterable[Any], *, timeout: float | None = None, **fields: Unpack[TaskFields]
    ) -> Tasks:
        """One step per item; the tasks in the order of the items."""
        return _run(self._flow.map_tasks(key, prompt_template, items, timeout=timeout, **fields))

    def map(
        self, key: str, prompt_template: Template, items: Iterable[Any], *, timeout: float | None = None, **fields: Unpack[TaskFields]
    ) -> Texts:
        """One step per item; the results in the order of the items."""
        return _run(self._flow.map(key, prompt_template, items, timeout=timeout, **fields))
