"""Long loops: a task that watches something for hours, reports, and adds tasks when something happens."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from ._async_run import AsyncRun, run_of_environment
from ._loop import background
from ._loop import run as _run
from .errors import HubError, RunStopped
from .run import Run
from .sync import Hub

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from .types import TaskFields

_HEARTBEAT_SECONDS = 20.0


def current_run(hub: Hub | None = None) -> Run | None:
    """The run of the agent that started this program (`KIROSU_TOKEN`), or `None` outside of one."""
    client = hub or Hub()
    loop = background()

    async def make() -> AsyncRun | None:
        return run_of_environment(client.asynchronous)

    found = _run(make())
    return None if found is None else Run(found, loop, is_program=True)


class Monitor:
    """A loop that ends when its task is cancelled, its worker stops, or SIGTERM or SIGINT comes.

        with Monitor(run) as monitor:            # in a worker; without `run` in a program that an agent's run starts
            for _ in monitor.every(5):
                price = read_price()
                monitor.progress({"price": price})
                if price < 95:
                    monitor.enqueue(f"Buy at {price}", idempotency_key=f"buy-{price}")

    Heartbeats are sent in the background, and one that is refused ends the loop. In a plain program without a run the loop
    ends with a signal only, and progress is dropped.

    In a worker, a loop that was stopped raises `RunStopped` at its end, so that the task is given back and not done.
    """

    def __init__(self, run: Run | None = None, *, hub: Hub | None = None, heartbeat_seconds: float = _HEARTBEAT_SECONDS) -> None:
        self._in_worker = run is not None
        self._own_hub = hub is None and run is None
        self._hub = hub if hub is not None or run is not None else Hub()
        self.run = run if run is not None else current_run(self._hub)
        self._seconds = heartbeat_seconds
        self._loop = background()
        self._signalled = threading.Event()
        self._previous: dict[int, Any] = {}
        self._beating: threading.Thread | None = None
        self._left = threading.Event()

    def __enter__(self) -> Self:
        if not self._in_worker:
            if threading.current_thread() is threading.main_thread():
                for number in (signal.SIGTERM, signal.SIGINT):
                    self._previous[number] = signal.signal(number, self._signal)
            if self.run is not None:
                self._beating = threading.Thread(target=self._beat, args=(self.run,), name="kirosu-heartbeat", daemon=True)
                self._beating.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        stopped = self.stopped
        self._left.set()
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if self._own_hub and self._hub is not None:
            self._hub.close()
        if kind is None and stopped and self._in_worker:
            raise RunStopped(self.reason or "the run was stopped")

    @property
    def stopped(self) -> bool:
        """Whether the loop must end."""
        return self._signalled.is_set() or (self.run is not None and self.run.stopped)

    @property
    def reason(self) -> str | None:
        """Why the loop must end."""
        if self.run is not None and self.run.reason:
            return self.run.reason
        return "a signal" if self._signalled.is_set() else None

    def every(self, seconds: float) -> Iterator[int]:
        """Yields 0, 1, 2, ..., the first at once and each further one `seconds` later, until the loop must end."""
        number = 0
        while not self.stopped:
            yield number
            number += 1
            if not self.pause(seconds):
                return

    def pause(self, seconds: float) -> bool:
        """Waits for a time or until the loop must end; true if it goes on."""
        return self.run.pause(seconds) if self.run is not None else not self._signalled.wait(seconds)

    def progress(self, data: Any) -> None:
        """Reports progress of the task. Of a run that is over it is dropped: the loop ends anyway."""
        if self.run is not None:
            try:
                self.run.progress(data)
            except RunStopped:
                pass

    def enqueue(self, prompt: str, **fields: Unpack[TaskFields]) -> int:
        """Adds a task, in a run a child of the run's task. With an `idempotency_key` it is added once."""
        if self.run is not None:
            return self.run.enqueue_child(prompt, **fields)
        assert self._hub is not None
        return self._hub.enqueue(prompt, **fields)

    def _signal(self, number: int, frame: FrameType | None) -> None:
        # The main thread may hold the lock of the event at this moment, so another thread sets it.
        self._loop.call_soon_threadsafe(self._signalled.set)
        if self.run is not None:
            self.run.stop("a signal")

    def _beat(self, run: Run) -> None:
        while not self._left.wait(self._seconds):
            try:
                run.heartbeat()
            except RunStopped:
                return
            except (OSError, HubError, asyncio.CancelledError):
                continue
