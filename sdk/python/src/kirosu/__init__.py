"""Kirosu for Python: clients, workers, monitors and code-first plans for the durable task queue of AI agents."""

from ._async_run import AsyncRun, Outcome, TaskError
from ._binary import HubServer, find_binary
from .agent import HubClient, KiroAgent
from .aio import AsyncHub
from .errors import (
    Busy,
    Disconnected,
    Forbidden,
    HubError,
    Internal,
    InvalidParams,
    KirosuError,
    NotFound,
    RunStopped,
    ShuttingDown,
    StaleApproval,
    StaleLease,
    TaskFailed,
    TooLarge,
    Unauthorized,
    UnknownTask,
    WaitTimeout,
    WrongHub,
    WrongState,
)
from .flow import AsyncFlow
from .hub import run_hub
from .monitor import Monitor, current_run
from .run import Run
from .sync import Flow, Hub
from .types import Event, Group, NewTask, Task, TaskFields, Usage
from .worker import Worker

__version__ = "0.1.0"

__all__ = [
    "AsyncFlow",
    "AsyncHub",
    "AsyncRun",
    "Busy",
    "Disconnected",
    "Event",
    "Flow",
    "Forbidden",
    "Group",
    "Hub",
    "HubClient",
    "HubError",
    "HubServer",
    "Internal",
    "InvalidParams",
    "KiroAgent",
    "KirosuError",
    "Monitor",
    "NewTask",
    "NotFound",
    "Outcome",
    "Run",
    "RunStopped",
    "ShuttingDown",
    "StaleApproval",
    "StaleLease",
    "Task",
    "TaskError",
    "TaskFailed",
    "TaskFields",
    "TooLarge",
    "Unauthorized",
    "UnknownTask",
    "Usage",
    "WaitTimeout",
    "Worker",
    "WrongHub",
    "WrongState",
    "current_run",
    "find_binary",
    "run_hub",
]
