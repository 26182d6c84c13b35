"""The event loop of the synchronous classes: one per process, on a thread of its own."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

from .errors import Disconnected

T = TypeVar("T")

# The most seconds that the end of the process waits for the loop.
_END_SECONDS = 2

_lock = threading.Lock()
_loop: tuple[int, asyncio.AbstractEventLoop] | None = None


def background() -> asyncio.AbstractEventLoop:
    """The loop of this process. A child process of `fork` gets its own, because threads do not survive a fork."""
    global _loop
    with _lock:
        if _loop is None or _loop[0] != os.getpid():
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever, name="kirosu", daemon=True)
            thread.start()
            atexit.register(_end, os.getpid(), loop, thread)
            _loop = os.getpid(), loop
        return _loop[1]


def _end(pid: int, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    """Ends what runs on the loop, at the end of its process."""
    if pid != os.getpid():
        return

    async def cancel() -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    with contextlib.suppress(TimeoutError, FutureTimeout):
        asyncio.run_coroutine_threadsafe(cancel(), loop).result(_END_SECONDS)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_END_SECONDS)
    if not thread.is_alive():
        loop.close()


def close_with(owner: object, close: Callable[[], None]) -> None:
    """Calls a function on the loop when an object is collected, so that a forgotten client leaves no connection open."""
    loop = background()

    def collected() -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(close)

    weakref.finalize(owner, collected).atexit = False


def run(coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop | None = None) -> T:
    """Runs a coroutine on the loop and returns its result. An interruption, such as Ctrl-C, cancels it.

    Raises `Disconnected` on threads that still work while the process ends.
    """
    try:
        future = asyncio.run_coroutine_threadsafe(coroutine, loop or background())
    except RuntimeError:
        coroutine.close()
        raise Disconnected("the process ends") from None
    try:
        return future.result()
    except CancelledError:
        raise Disconnected("the process ends") from None
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
        loop = background()
        ending = end()
        try:
            ended = asyncio.run_coroutine_threadsafe(ending, loop)
            # The collector may run this on the thread of the loop, which must not wait for itself.
            if asyncio._get_running_loop() is not loop:
                ended.result(_END_SECONDS)
        except (RuntimeError, FutureTimeout, TimeoutError):
            ending.close()
