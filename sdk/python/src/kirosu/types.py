"""Values that requests take and answers have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

FINAL = frozenset({"done", "failed", "cancelled"})


class TaskFields(TypedDict, total=False):
    """Parameters of `enqueue` other than the prompt; docs/protocol.md explains each."""

    system_prompt: str
    type: str
    queue: str
    priority: int
    run_at: float
    delay_seconds: float
    max_attempts: int
    retry: Mapping[str, float]
    timeout_seconds: float
    idempotency_key: str
    depends_on: list[int]
    continues: int
    parent_id: int
    ends_with_parent: bool
    handoff: bool
    requires_approval: bool
    provider: str
    model: str
    workdir: str
    on_lost: str
    budget: Mapping[str, Any]
    accept: Mapping[str, Any]
    labels: list[str]
    metadata: Any


class NewTask(TaskFields, total=False):
    """A task of `enqueue_many`."""

    prompt: str


class Group(TypedDict, total=False):
    """A selection of tasks, by all of the given properties."""

    label: str | list[str]
    queue: str
    parent_id: int
    ids: list[int | str]


class Usage(TypedDict, total=False):
    """Tokens and cost of a run."""

    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    cost_usd: float
    cost_estimated: bool


@dataclass(frozen=True)
class Task:
    """A task as the hub answered it. `raw` has every field of the answer."""

    task_id: int
    prompt: str
    type: str
    status: str
    result: str | None
    error: str | None
    queue: str
    fence: int
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Task:
        """The task in an answer."""
        return cls(
            task_id=int(raw["task_id"]),
            prompt=str(raw.get("prompt", "")),
            type=str(raw.get("type", "chat")),
            status=str(raw["status"]),
            result=raw.get("result"),
            error=raw.get("error"),
            queue=str(raw.get("queue", "default")),
            fence=int(raw.get("fence", 0)),
            raw=raw,
        )

    @property
    def finished(self) -> bool:
        """Whether it is done, failed or cancelled."""
        return self.status in FINAL

    @property
    def metadata(self) -> Any:
        """The value of this name at the enqueue, or `None`."""
        return self.raw.get("metadata")

    def json(self) -> Any:
        """The result as JSON. Raises `ValueError` if it is none."""
        return json.loads(self.result or "")


@dataclass(frozen=True)
class Event:
    """An event of the hub.

    `kind` is that of the protocol, or one of two others: `question`, when a task or permission request begins to wait for a
    person, and `gap`, when events are lost, so that the state must be read again with `list` or `get`. `seq` and `boot_id`
    are where `events(since=..., boot_id=...)` goes on.
    """

    kind: str
    seq: int
    boot_id: str
    data: Mapping[str, Any]

    @property
    def task_id(self) -> int | None:
        """The task, if the event is about one."""
        return self.data.get("task_id")

    @property
    def status(self) -> str | None:
        """The task's state, of an event of the kind `task`."""
        return self.data.get("status")
