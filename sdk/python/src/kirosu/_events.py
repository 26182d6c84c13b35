"""Events of a hub, resumed after each reconnect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from ._address import Address
from ._link import Connection, Json, Link
from ._requests import given
from .types import Event

# Events that wait for the program. Beyond it the client stops reading, and the hub drops events only after its own store is full.
_QUEUE = 1024


async def events(
    address: Address,
    patience: float | None,
    *,
    kinds: Sequence[str] | None,
    since: int | None,
    boot_id: str | None,
    task_id: int | None,
) -> AsyncIterator[Event]:
    """Yields events until the caller stops.

    It has a connection of its own, so that a program that reads events slowly does not delay its other requests.

    Raises `HubError` if the hub refuses the subscription, `Disconnected` when the patience ends.
    """
    queue: asyncio.Queue[tuple[str, Json]] = asyncio.Queue(_QUEUE)
    at = _Position(since, boot_id)

    # Events that came before the answer of the subscription, which must be handled first.
    early: list[tuple[str, Json]] | None = None

    async def notice(method: str, params: Json) -> None:
        if early is not None:
            early.append((method, params))
        else:
            await queue.put((method, params))

    async def subscribe(connection: Connection) -> None:
        nonlocal early
        early = []
        wanted: dict[str, Any] = {"kinds": list(kinds) if kinds else None, "task_id": task_id, "since": at.seq, "boot_id": at.boot_id}
        early.insert(0, ("subscribed", await connection.request("watch", given(wanted))))
        while early:
            await queue.put(early.pop(0))
        early = None

    link = Link(address, hello={"protocol": 1}, patience=patience, notice=notice, on_hello=subscribe)
    watching = asyncio.ensure_future(_keep(link))
    try:
        while True:
            reading = asyncio.ensure_future(queue.get())
            done, _ = await asyncio.wait({reading, watching}, return_when=asyncio.FIRST_COMPLETED)
            if reading not in done:
                reading.cancel()
                watching.result()
                return
            event = at.take(*reading.result())
            if event == "lagged":
                link.drop()
            elif isinstance(event, Event):
                yield event
    finally:
        watching.cancel()
        link.close()


async def _keep(link: Link) -> None:
    """Keeps a connection open: its end is noticed at once, and the next one subscribes again."""
    while True:
        await link.request("ping", {})
        await (await link.open()).ended()


class _Position:
    """The newest event that was handed out, with the start of the hub that its number belongs to."""

    def __init__(self, seq: int | None, boot_id: str | None) -> None:
        self.seq, self.boot_id = seq, boot_id

    def take(self, method: str, params: Json) -> Event | str | None:
        if method == "subscribed":
            known, self.boot_id = self.boot_id, params["boot_id"]
            if self.seq is None:
                self.seq = params["seq"]
            elif known not in (None, self.boot_id) or params["seq"] < self.seq:
                # Numbers start again with each start of the hub; the events since then follow.
                self.seq = 0
            return Event("gap", self.seq, params["boot_id"], params) if params.get("gap") else None
        boot_id = self.boot_id or ""
        if method == "approval":
            return Event("question", self.seq or 0, boot_id, params)
        if method != "event":
            return None
        if params.get("lagged"):
            self.seq = params["since"]
            return "lagged"
        # After a reconnect the hub repeats events that were read but not handed out yet.
        if params["seq"] <= (self.seq or 0):
            return None
        self.seq = params["seq"]
        return Event(params["event"], params["seq"], boot_id, params)
