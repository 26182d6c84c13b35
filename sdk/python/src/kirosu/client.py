"""The asynchronous client of the Python version. New programs use `AsyncHub`."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _address
from ._link import Link
from ._requests import given, new_key, repeatable
from .errors import Disconnected, HubError

if TYPE_CHECKING:
    from typing_extensions import Self


class SwarmClient:
    """Adds tasks and reads them. Errors of the hub are `RuntimeError`, a lost connection is a `ConnectionError`."""

    def __init__(self, host: str = "127.0.0.1", port: int = 8765) -> None:
        self.host, self.port = host, port
        self._link: Link | None = None

    async def connect(self) -> None:
        """Connects. Raises `OSError` if the hub cannot be reached."""
        if self._link is None:
            self._link = Link(_address.Address(self.host, self.port), hello=None, patience=0)
        await self._link.open()

    async def _send_request(self, method: str, params: dict[str, Any]) -> Any:
        if self._link is None:
            await self.connect()
        assert self._link is not None
        wanted = given({"auth_token": _address.key_for(self.host, self.port), **params})
        if method == "enqueue":
            wanted.setdefault("idempotency_key", new_key())
        try:
            try:
                return await self._link.request(method, wanted)
            except Disconnected:
                if not repeatable(method, wanted):
                    raise
                return await self._link.request(method, wanted)
        except HubError as why:
            error = {"message": why.message, "code": why.code, "data": why.data}
            raise type(why)(f"RPC Error: {error}", why.code, why.data) from None

    async def add_task(self, prompt: str, task_type: str = "chat") -> int:
        """Adds a task and returns its id."""
        answer = await self._send_request("enqueue", {"prompt": prompt, "type": task_type})
        return int(answer["task_id"])

    async def get_task(self, task_id: int | str) -> dict[str, Any]:
        """A task by its id. Raises `ValueError` if there is none."""
        # `list` is a method that clients without a key have.
        answer = await self._send_request("list", {"ids": [int(task_id)], "limit": 1, "preview_bytes": 0})
        for task in answer["tasks"]:
            return dict(task)
        raise ValueError("Task not found")

    async def close(self) -> None:
        """Ends the connection."""
        if self._link is not None:
            self._link.close()
            self._link = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()
