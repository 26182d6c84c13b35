"""The synchronous form of a run, for handlers on threads and for programs that agents start."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ._async_run import AsyncRun, Parked
from ._loop import run as _run
from ._requests import Template

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .types import Task, TaskFields, Usage


class Run:
    """A run: progress, children, and steps that belong to its task. See `AsyncRun`, whose methods these are."""

    def __init__(self, run: AsyncRun, loop: asyncio.AbstractEventLoop, *, is_program: bool = False) -> None:
        self._run, self._loop, self._is_program = run, loop, is_program
        self._stopped = threading.Event()
        loop.call_soon_threadsafe(run.on_stop, self._stopped.set)

    @property
    def task(self) -> Task:
        """The task."""
        return self._run.task

    @property
    def task_id(self) -> int:
        """The id of the task."""
        return self._run.task_id

    @property
    def prompt(self) -> str:
        """The prompt of the task."""
        return self._run.prompt

    @property
    def children(self) -> list[Mapping[str, Any]]:
        """The children for which an earlier run has waited."""
        return self._run.children

    @property
    def stopped(self) -> bool:
        """Whether the run must end: its task was cancelled, its lease is over, or its worker stops."""
        return self._stopped.is_set()

    @property
    def reason(self) -> str | None:
        """Why the run must end."""
        return self._run.reason

    def check(self) -> None:
        """Raises `RunStopped` if the run is over."""
        self._run.check()

    def stop(self, reason: str) -> None:
        """Asks the run to end; also from a signal handler, so it takes no lock."""
        self._loop.call_soon_threadsafe(self._run.stop, reason)

    def pause(self, seconds: float) -> bool:
        """Waits for a time or until the run is stopped; true if it goes on."""
        return not self._stopped.wait(seconds)

    def progress(self, data: Any) -> None:
        """Reports progress."""
        _run(self._run.progress(data), self._loop)

    def heartbeat(self) -> None:
        """Shows that the run goes on."""
        _run(self._run.heartbeat(), self._loop)

    def output(self, text: str) -> None:
        """Appends to the output of the run."""
        _run(self._run.output(text), self._loop)

    def add_usage(self, **usage: Unpack[Usage]) -> None:
        """Adds tokens and cost, which the ack of the run reports."""
        self._run.add_usage(**usage)

    def enqueue_child(self, prompt: str, **fields: Unpack[TaskFields]) -> int:
        """Adds a child of the run's task."""
        return _run(self._run.enqueue_child(prompt, **fields), self._loop)

    def wait_children(self) -> list[Task]:
        """Waits for the children without occupying the worker: ends this run while some are unfinished.

        In a program that an agent host has started this ends the program.
        """
        try:
            return _run(self._run.wait_children(), self._loop)
        except Parked:
            if self._is_program:
                # Another exit status would be a failure of the task.
                raise SystemExit(0) from None
            raise

    def step(self, key: str, prompt: str, *, timeout: float | None = None, **fields: Unpack[TaskFields]) -> str:
        """The result of a child that is made once per key."""
        return _run(self._run.step(key, prompt, timeout=timeout, **fields), self._loop)

    def start(self, key: str, prompt: str, **fields: Unpack[TaskFields]) -> int:
        """The id of a child that is made once per key."""
        return _run(self._run.start(key, prompt, **fields), self._loop)

    def map(
        self,
        key: str,
        prompt_template: Template,
        items: Iterable[Any],
        *,
        timeout: float | None = None,
        **fields: Unpack[TaskFields],
    ) -> list[str]:
        """The results of one child per item, each made once."""
        return _run(self._run.map(key, prompt_template, items, timeout=timeout, **fields), self._loop)

    def results(self, task_ids: Iterable[int], *, timeout: float | None = None) -> list[str]:
        """Waits for children and returns their results in order."""
        return _run(self._run.results(task_ids, timeout=timeout), self._loop)
