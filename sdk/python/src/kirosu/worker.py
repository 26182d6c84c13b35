"""Workers: they lease tasks, run a function for each, and report its end."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import logging
import secrets
import signal
import threading
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from . import _address
from ._async_run import AsyncRun, Outcome, Parked, TaskError
from ._link import Connection, Json, Link
from ._requests import given
from .aio import AsyncHub
from .errors import Disconnected, HubError, RunStopped
from .run import Run
from .types import Task

log = logging.getLogger("kirosu.worker")

Handler = Callable[[Any], Any]
_WAIT_SECONDS = 300


class Worker:
    """A worker that calls `handler` for each task.

    A plain function gets a `Run` and runs on a thread; a coroutine function gets an `AsyncRun` and runs on the event loop. It
    returns the result (text, or other JSON, or an `Outcome`), or raises: `TaskError` for a failure with a class, any other
    exception for one that counts as an attempt.

    Lease requests wait in the hub, heartbeats run in the background, and every report has the fence of its lease. SIGTERM and
    SIGINT stop it: it leases nothing more, runs have `grace_seconds` to end, and the others are given back, so that their
    attempts do not count. A second signal does not wait.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        queues: Sequence[str] = ("default",),
        types: Sequence[str] | None = None,
        exclude_types: Sequence[str] | None = None,
        concurrency: int = 1,
        lease_seconds: float = 60.0,
        grace_seconds: float = 10.0,
        name: str = "worker",
        hub: str | None = None,
        key: str | None = None,
        tls_fingerprint: str | None = None,
        tls_ca: str | None = None,
    ) -> None:
        if concurrency < 1:
            raise ValueError("concurrency must be at least 1")
        self.handler, self.name, self.concurrency = handler, name, concurrency
        self.lease_seconds, self.grace_seconds = lease_seconds, grace_seconds
        self._wanted = given(
            {
                "worker_id": name,
                "queues": [queues] if isinstance(queues, str) else list(queues),
                "types": list(types) if types else None,
                "exclude_types": list(exclude_types) if exclude_types else None,
                "lease_seconds": lease_seconds,
            }
        )
        self._address = _address.find(hub, key, tls_fingerprint=tls_fingerprint, tls_ca=tls_ca)
        self._runs: dict[tuple[int, int], AsyncRun] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._early_stop = False

    def run(self) -> None:
        """Works until a signal or `stop`. Call it in the main thread, so that signals reach it."""
        asyncio.run(self.serve())

    def stop(self) -> None:
        """Stops the worker in order; from any thread. A second call ends the time that runs have."""
        self._early_stop = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop)

    async def serve(self) -> None:
        """As `run`, within an event loop."""
        self._loop = asyncio.get_running_loop()
        self._stopping, self._hurry, self._freed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._free, self._tasks = self.concurrency, set[asyncio.Task[None]]()
        session = {
            "protocol": 1,
            "session_id": f"{self.name}/{uuid.uuid4()}",
            "session_secret": secrets.token_hex(16),
            "name": self.name,
        }
        # The hub may be away for hours: work goes on when it returns.
        self._link = Link(
            self._address, hello=session, patience=None, notice=self._notice, on_hello=self._reconcile
        )
        self._hub = AsyncHub._over(self._link, None)
        signals = self._take_signals()
        try:
            if self._early_stop:
                self._stop()
            await self._lease_tasks()
        finally:
            # An error of the hub, such as a key that was revoked, ends the worker in the same order.
            if not self._stopping.is_set():
                self._stop()
            await self._end()
            for number in signals:
                self._loop.remove_signal_handler(number)
            self._link.close()
            self._loop = None

    def _take_signals(self) -> list[int]:
        assert self._loop is not None
        if threading.current_thread() is not threading.main_thread():
            return []
        numbers = [int(signal.SIGTERM), int(signal.SIGINT)]
        for number in numbers:
            self._loop.add_signal_handler(number, self._stop)
        return numbers

    def _stop(self) -> None:
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()
        for run in self._runs.values():
            run.stop("the worker stops")

    # ---- leases

    async def _lease_tasks(self) -> None:
        while not self._stopping.is_set():
            if self._free < 1:
                self._freed.clear()
                await _first(self._freed.wait(), self._stopping.wait())
                continue
            room = min(self._free, self._link.limits["max_tasks_per_lease"])
            leasing = self._link.request("lease", {**self._wanted, "max_tasks": room, "wait_seconds": self._longest_wait()})
            answer = await _first(leasing, self._stopping.wait())
            # Tasks that came with the signal are given back at the end.
            if not self._stopping.is_set():
                for raw in answer["tasks"]:
                    self._begin(Task.of(raw))

    def _longest_wait(self) -> float:
        return min(_WAIT_SECONDS, float(self._link.limits["wait_ms_max"]) / 1000)

    def _begin(self, task: Task) -> None:
        token = task.raw.get("run_token")
        run = AsyncRun(task, AsyncHub._over(self._link, token), holder=self._hub, waits=self._waits)
        self._runs[task.task_id, task.fence] = run
        self._free -= 1
        running = asyncio.ensure_future(self._carry_out(run))
        self._tasks.add(running)
        running.add_done_callback(self._tasks.discard)

    def _waits(self, waiting: bool) -> None:
        # A run that waits for its children leaves its place to another task; otherwise children in the queue of their parents
        # could wait for the parents. After the wait there may be more runs than places for a while.
        self._free += 1 if waiting else -1
        self._freed.set()

    async def _notice(self, method: str, params: Json) -> None:
        run = self._runs.get((params.get("task_id", 0), params.get("fence", 0)))
        if run is not None and method in ("cancel", "lease_lost"):
            run.stop(params.get("reason") or method, lost=True)

    async def _reconcile(self, connection: Connection) -> None:
        """After each `hello`: gives back the leases of which this worker has no run."""
        for lease in connection.hello.get("leases") or ():
            if (lease["task_id"], lease["fence"]) not in self._runs:
                with contextlib.suppress(HubError):
                    await connection.request("release", {"task_id": lease["task_id"], "fence": lease["fence"]})

    # ---- one run

    async def _carry_out(self, run: AsyncRun) -> None:
        beating = asyncio.ensure_future(self._beat(run))
        try:
            report = await self._report(run)
            beating.cancel()
            if run.lost:
                log.info("task %d: the run was dropped: %s", run.task_id, run.reason)
            elif report is not None:
                await self._about(run, "ack", **report)
            elif self._stopping.is_set():
                await self._about(run, "release", reason="the worker stopped")
        finally:
            beating.cancel()
            self._runs.pop((run.task_id, run.task.fence), None)
            self._free += 1
            self._freed.set()

    async def _about(self, run: AsyncRun, method: str, **params: Any) -> None:
        try:
            await self._hub.call(method, task_id=run.task_id, fence=run.task.fence, **params)
        except HubError as why:
            log.warning("%s of task %d was refused: %s", method, run.task_id, why)
            if method == "ack" and why.name in ("invalid_params", "too_large") and params.get("status") == "done":
                await self._about(run, "ack", status="failed", error=f"the result was refused: {why}")
        except Disconnected as why:
            log.warning("%s of task %d was not sent: %s", method, run.task_id, why)

    async def _beat(self, run: AsyncRun) -> None:
        while True:
            await asyncio.sleep(self.lease_seconds / 3)
            try:
                await self._hub.call("heartbeat", task_id=run.task_id, fence=run.task.fence)
            except HubError as why:
                run.stop(why.message, lost=True)
                return

    async def _report(self, run: AsyncRun) -> Json | None:
        """The parameters of the ack, or `None` for a run that must not be acked."""
        handling = asyncio.ensure_future(self._handle(run))
        # An exception of a run that is over has no further use.
        handling.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        milliseconds = run.task.raw.get("timeout_ms")
        limit = milliseconds / 1000 if milliseconds else None
        stopped = asyncio.ensure_future(run.stopped.wait())
        try:
            await asyncio.wait({handling, stopped}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if not handling.done() and not run.stopped.is_set():
                run.stop("the time of the task is over", over=True)
                await self._give_up(run, handling, 0)
                return {"status": "failed", "class": "timeout", "error": f"the run took longer than {limit} s"}
            if not handling.done():
                await self._give_up(run, handling, 0 if run.lost else self.grace_seconds)
            return self._ended(run, handling)
        finally:
            stopped.cancel()

    async def _give_up(self, run: AsyncRun, handling: asyncio.Future[Any], grace: float) -> None:
        """Waits for a handler that must end, then cancels it. A thread cannot be cancelled: its result is dropped."""
        if grace > 0:
            hurry = asyncio.ensure_future(self._hurry.wait())
            await asyncio.wait({handling, hurry}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
            hurry.cancel()
        if not handling.done():
            run.stop("the run had its time to end", over=True)
            handling.cancel()
            await asyncio.wait({handling}, timeout=self.grace_seconds)

    def _ended(self, run: AsyncRun, handling: asyncio.Future[Any]) -> Json | None:
        usage = {"usage": run.usage} if run.usage else {}
        if run.parked:
            return {"status": "failed", "class": "parked", **usage}
        if not handling.done() or handling.cancelled():
            return None
        why = handling.exception()
        if isinstance(why, RunStopped) and run.stopped.is_set():
            return None
        if isinstance(why, TaskError):
            more = given({"class": why.kind, "retry_at": why.retry_at, "result": why.result})
            return {"status": "failed", "error": str(why), **more, **usage}
        if why is not None:
            log.error("task %d failed", run.task_id, exc_info=why)
            return {"status": "failed", "error": f"{type(why).__name__}: {why}", **usage}
        return {**_done(run.task, handling.result()), **usage}

    async def _handle(self, run: AsyncRun) -> Any:
        if inspect.iscoroutinefunction(self.handler):
            return await self.handler(run)
        assert self._loop is not None
        return await _on_thread(self.handler, Run(run, self._loop), f"{self.name}-{run.task_id}")

    async def _end(self) -> None:
        # Reports wait for a hub that is away, but not for ever once the worker stops.
        limit = asyncio.ensure_future(asyncio.sleep(2 * self.grace_seconds + 5))
        while self._tasks and not limit.done():
            await asyncio.wait({limit, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        limit.cancel()
        # A lease that the hub has granted while the worker stopped is in the answer of a further `hello`, and given back.
        self._link.drop()
        with contextlib.suppress(OSError, HubError):
            await asyncio.wait_for(self._link.open(), self.grace_seconds or 1)


def _done(task: Task, result: Any) -> Json:
    outcome = result if isinstance(result, Outcome) else Outcome(result)
    text = outcome.result if isinstance(outcome.result, str) or outcome.result is None else json.dumps(outcome.result, ensure_ascii=False)
    more = given({"provider": outcome.provider, "model": outcome.model, "conversation": outcome.conversation})
    if task.raw.get("accept") and not outcome.accepted:
        error = "the handler has not checked the conditions in `accept`: it must return Outcome(accepted=True)"
        return {"status": "failed", "class": "not_accepted", "error": error, "result": text, **more}
    return {"status": "done", **given({"result": text, "accepted": outcome.accepted or None}), **more}


async def _first(one: Awaitable[Any], other: Awaitable[Any]) -> Any:
    """The result of the awaitable that ends first; the other one is cancelled."""
    both = {asyncio.ensure_future(one), asyncio.ensure_future(other)}
    try:
        done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        return min(done, key=lambda ended: not isinstance(ended.result(), dict)).result()
    finally:
        for future in both:
            future.cancel()


async def _on_thread(handler: Handler, run: Run, name: str) -> Any:
    """The result of a function on a daemon thread, which does not keep the process alive when the worker has ended."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Any] = loop.create_future()

    def report(result: Any, why: BaseException | None) -> None:
        if ended.done():
            return
        # A future does not take every exception; the worker knows from the run itself that it is parked.
        if why is None or isinstance(why, Parked):
            ended.set_result(result)
        else:
            ended.set_exception(why if isinstance(why, Exception) else RuntimeError(f"{type(why).__name__}: {why}"))

    def target() -> None:
        result, why = None, None
        try:
            result = handler(run)
        except BaseException as error:  # noqa: BLE001 - whatever ends the handler ends the run
            why = error
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(report, result, why)

    threading.Thread(target=target, name=name, daemon=True).start()
    return await ended
