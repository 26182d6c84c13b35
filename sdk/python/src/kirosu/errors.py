"""Exceptions of this package. All are `KirosuError`, which is a `RuntimeError`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .types import Task


class KirosuError(RuntimeError):
    """Base of every exception of this package."""


class Disconnected(KirosuError, ConnectionError):
    """The hub could not be reached in time, or the client was closed."""


class WrongHub(KirosuError):
    """The program at the hub's address is not the expected one: its certificate, or its user, is another one."""


class WaitTimeout(KirosuError, TimeoutError):
    """A wait for tasks ended before the tasks did."""


class TaskFailed(KirosuError):
    """A task whose result was wanted has failed or was cancelled."""

    def __init__(self, task: Task) -> None:
        super().__init__(f"task {task.task_id} is {task.status}: {task.error or 'no reason was given'}")
        self.task = task


class RunStopped(KirosuError):
    """The run must end: its task was cancelled, its lease is over, or the worker stops."""


class HubError(KirosuError):
    """An error that the hub answered; docs/protocol.md lists the codes."""

    def __init__(self, message: str, code: int = 0, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.data: dict[str, Any] = dict(data or {})

    @property
    def name(self) -> str:
        """The stable name of the code, such as `stale_lease`."""
        return str(self.data.get("code", ""))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.code, self.data)


class InvalidParams(HubError):
    """A parameter is missing, of the wrong type or out of range."""


class Unauthorized(HubError):
    """The key or token is wrong or missing, or the run of the token is over."""


class Forbidden(HubError):
    """The key lacks a right (`data["right"]`), or a limit of it is reached (`data["limit"]`)."""


class UnknownTask(HubError):
    """No task has this id, or it was pruned."""


class StaleLease(HubError):
    """The client no longer holds the lease: drop the run."""


class WrongState(HubError):
    """The task's state, in `data["status"]`, does not allow this."""


class Busy(HubError):
    """The hub is at a limit; the request had no effect."""


class TooLarge(HubError):
    """The request is beyond a limit of size or nesting."""


class ShuttingDown(HubError):
    """The hub, or a pool of it, is being stopped."""


class NotFound(HubError):
    """There is no such pool, key, schedule or permission request."""


class StaleApproval(HubError):
    """The question is already decided, or its agent no longer waits; see `data["why"]`."""


class Internal(HubError):
    """The hub failed; `data["effect"]` is `none` or `unknown`."""


_BY_NAME: dict[str, type[HubError]] = {
    "invalid_params": InvalidParams,
    "unauthorized": Unauthorized,
    "forbidden": Forbidden,
    "unknown_task": UnknownTask,
    "stale_lease": StaleLease,
    "wrong_state": WrongState,
    "busy": Busy,
    "too_large": TooLarge,
    "shutting_down": ShuttingDown,
    "not_found": NotFound,
    "stale_approval": StaleApproval,
    "internal": Internal,
}


def hub_error(error: Mapping[str, Any]) -> HubError:
    """The exception for the `error` of an answer."""
    data = error.get("data")
    data = data if isinstance(data, Mapping) else {}
    kind = _BY_NAME.get(str(data.get("code", "")), HubError)
    return kind(str(error.get("message", error)), int(error.get("code") or 0), data)
