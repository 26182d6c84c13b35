"""The event loop of the synchronous classes: one per process, on a thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: tuple[int, asyncio.AbstractEventLoop] | None = None


def background() -> asyncio.AbstractEventLoop:
    """The loop of this process. A child process of `fork` gets its own, because threads do not survive a fork."""
    global _loop
    with _lock:
        if _loop is None or _loop[0] != os.getpid():
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="kirosu", daemon=True).start()
            _loop = os.getpid(), loop
        return _loop[1]


def run(coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop | None = None) -> T:
    """Runs a coroutine on the loop and returns its result. An interruption, such as Ctrl-C, cancels it."""
    future = asyncio.run_coroutine_threadsafe(coroutine, loop or background())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def iterate(items: AsyncIterator[T]) -> Iterator[T]:
    """The items of an asynchronous iterator, whose resources are released when the iteration ends."""

    async def end() -> None:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()

    async def following() -> tuple[T] | None:
        async for item in items:
            return (item,)
        return None

    try:
        while (item := run(following())) is not None:
            yield item[0]
    finally:
        run(end())
