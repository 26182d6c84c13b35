"""Helpers of the Python version. New programs use `Hub.map`."""

from __future__ import annotations

import time
from typing import Any

from .agent import HubClient
from .errors import Forbidden
from .sync import Hub
from .types import FINAL

# The most ids in a group.
_IDS = 100


class TaskSplitter:
    """Makes tasks of a list of items, and waits for them."""

    def __init__(self, hub_host: str, hub_port: int) -> None:
        self.client = HubClient(hub_host, hub_port)

    def split_and_enqueue(
        self, items: list[Any], prompt_template: str, batch_size: int = 1, task_type: str = "chat"
    ) -> list[int]:
        """Adds a task per `batch_size` items, whose texts replace `{item}`; the ids of the tasks."""
        ids: list[int] = []
        for begin in range(0, len(items), batch_size):
            joined = "\n---\n".join(str(item) for item in items[begin : begin + batch_size])
            params = {"prompt": prompt_template.format(item=joined), "type": task_type}
            ids.append(self.client.call("enqueue", params)["task_id"])
        return ids

    def wait_for_completion(self, task_ids: list[int], poll_interval: float = 1.0) -> dict[int, Any]:
        """Waits for tasks in the hub; they by their ids. One that failed or was cancelled is returned, too."""
        ids = list(task_ids)
        hub = Hub(f"{self.client.host}:{self.client.port}", key=self.client.auth_token)
        try:
            return {task.task_id: dict(task.raw) for task in hub.wait(ids)}
        except Forbidden:
            # A client without a key has only the methods of the Python version, of which none waits.
            return self._ask_again(ids, poll_interval)
        finally:
            hub.close()

    def _ask_again(self, ids: list[int], pause: float) -> dict[int, Any]:
        ended: dict[int, Any] = {}
        while True:
            missing = [task_id for task_id in ids if task_id not in ended]
            for begin in range(0, len(missing), _IDS):
                params = {"ids": missing[begin : begin + _IDS], "limit": 0, "preview_bytes": 0}
                for task in self.client.call("list", params)["tasks"]:
                    if task["status"] in FINAL:
                        ended[task["task_id"]] = task
            if len(ended) == len(set(ids)):
                return ended
            time.sleep(pause)
