"""Code-first plans: steps by key, each done once, however often the program that asks for them starts.

There is no history that is replayed: a step is a task, and its key is the task's idempotency key. A program that starts again
runs from its beginning, and steps that are done return their results at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ._requests import Template, fill, key_name
from .aio import AsyncHub, Ids, Tasks, Texts, results_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .types import NewTask, TaskFields

# The label of the tasks of a flow, by which `list` and `cancel` find them.
_LABEL = "flow:"


class AsyncFlow:
    """Steps of one name. With the token of a run (`name` is `None`, or the client has one) keys belong to the run's task."""

    def __init__(self, hub: AsyncHub, name: str | None) -> None:
        self._hub, self.name = hub, name

    async def step(self, key: str, prompt: str, *, timeout: float | None = None, **fields: Unpack[TaskFields]) -> str:
        """The result of a step, from a task that is made once per key.

        A step that failed earlier is tried once more. A key with another prompt or other fields is refused with
        `InvalidParams`: give a changed step a new key.

        Raises `TaskFailed`, `WaitTimeout`.
        """
        task_id = await self.start(key, prompt, **fields)
        return results_of(await self._hub.wait([task_id], timeout=timeout))[0]

    async def start(self, key: str, prompt: str, **fields: Unpack[TaskFields]) -> int:
        """As `step`, but returns the id of the task without waiting for it."""
        self._scoped(fields)
        fields["idempotency_key"] = self._key(key)
        task_id, status = await self._hub.enqueue_or_get(prompt, **fields)
        await self._again([task_id], {task_id: status} if status else {})
        return task_id

    async def map_tasks(
        self,
        key: str,
        prompt_template: Template,
        items: Iterable[Any],
        *,
        timeout: float | None = None,
        **fields: Unpack[TaskFields],
    ) -> Tasks:
        """One step per item, with the keys `KEY/0`, `KEY/1`, ...; the tasks in the order of the items."""
        self._scoped(fields)
        tasks: list[NewTask] = [
            {"prompt": fill(prompt_template, item, index), "idempotency_key": self._key(f"{key}/{index}")}
            for index, item in enumerate(items)
        ]
        ids, existed = await self._hub.enqueue_or_get_many(tasks, **fields)
        await self._again(ids, existed)
        return await self._hub.wait(ids, timeout=timeout)

    async def map(
        self,
        key: str,
        prompt_template: Template,
        items: Iterable[Any],
        *,
        timeout: float | None = None,
        **fields: Unpack[TaskFields],
    ) -> Texts:
        """The results of `map_tasks`. Raises `TaskFailed` when all have ended, if one is not done."""
        return results_of(await self.map_tasks(key, prompt_template, items, timeout=timeout, **fields))

    def _key(self, key: str) -> str:
        return key_name(key) if self.name is None else key_name(self.name, key)

    def _scoped(self, fields: TaskFields) -> None:
        if self.name is not None:
            fields["labels"] = [*fields.get("labels", ()), _LABEL + self.name]

    async def _again(self, ids: Ids, existed: dict[int, str]) -> None:
        for task_id in ids:
            if existed.get(task_id) in ("failed", "cancelled"):
                await self._hub.retry(task_id)
