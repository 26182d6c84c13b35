"""The store of the Python version, as a private hub with this database.

The database is that of the program `kirosu`: SQLite, with other tables than the Python version had. While a store is open no
other hub can open its file, and programs must not write to it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ._binary import HubServer
from .agent import HubClient

# `list` is a method of the store.
Tasks = list["Task"]


@dataclass(frozen=True)
class Task:
    """A task as the Python version had it."""

    task_id: int
    prompt: str
    system_prompt: str | None
    type: str
    status: str
    created_at: float
    updated_at: float
    leased_until: float | None
    worker_id: str | None
    result: str | None
    error: str | None


class TaskStore:
    """Tasks in a file. Raises `KirosuError` if the file cannot be opened, and `RuntimeError` for what the hub refuses."""

    def __init__(self, db_path: str, pool_size: int = 5) -> None:
        self.db_path = db_path
        # A private hub has no pools and no other clients, so that `python` tasks are only what this program makes of them.
        self._server = HubServer(db_path, environment={"KIRO_SWARM_KEY": "", "KIROSU_HUB__TRUST_ALL_TOOLS": "true"})
        self._client = HubClient("127.0.0.1", self._server.port)
        self._client.auth_token = None

    def close(self) -> None:
        """Ends the private hub."""
        self._server.stop()

    def enqueue(self, prompt: str, system_prompt: str | None = None, task_type: str = "chat") -> int:
        """Adds a task and returns its id."""
        params = {"prompt": prompt, "system_prompt": system_prompt, "type": task_type}
        return int(self._client.call("enqueue", params)["task_id"])

    def lease(self, worker_id: str, max_tasks: int, lease_seconds: int) -> Tasks:
        """Leases the oldest tasks; not those of the type `human`."""
        params = {"worker_id": worker_id, "max_tasks": max_tasks, "lease_seconds": lease_seconds}
        return [_task(raw) for raw in self._client.call("lease", params)["tasks"]]

    def ack(self, task_id: int, status: str, result: str | None, error: str | None) -> None:
        """Ends a leased task as `done` or `failed`. Raises `ValueError` for another status."""
        if status.lower().strip() not in ("done", "failed"):
            raise ValueError("status must be done|failed")
        self._client.call("ack", {"task_id": task_id, "status": status, "result": result, "error": error})

    def approve_task(self, task_id: int, approver: str = "human") -> None:
        """Approves a task of the type `human`."""
        self._client.call("approve", {"task_id": task_id, "by": approver})

    def list(self, status: str | None, limit: int) -> Tasks:
        """Tasks, newest first; a limit of 0 or less means all."""
        params = {"status": status, "limit": limit, "preview_bytes": 0}
        return [_task(raw) for raw in self._client.call("list", params)["tasks"]]

    def stats(self) -> dict[str, Any]:
        """The counters of tasks."""
        stats: dict[str, Any] = self._client.call("stats")["stats"]
        return stats

    def retry_all_failed(self) -> int:
        """Queues every failed task again; their number."""
        return int(self._client.call("retry_failed")["retried"])


def _task(raw: dict[str, Any]) -> Task:
    return Task(**{field.name: raw[field.name] for field in fields(Task)})
