"""Parameters of requests: pure functions, shared by all clients of this package."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Template = str | Callable[[Any], str]
_BATCH_TASKS = 2000
_BATCH_BYTES = 4 * 1024 * 1024
_NAME_BYTES = 256


def given(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that have a value."""
    return {name: value for name, value in params.items() if value is not None}


def new_key() -> str:
    """An idempotency key for a request that may have to be sent again."""
    return f"sdk-{uuid.uuid4().hex}"


def key_name(*parts: str) -> str:
    """An idempotency key of parts; one that would be longer than the hub takes is shortened by a hash."""
    name = "/".join(parts)
    if len(name.encode()) <= _NAME_BYTES:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()
    return name.encode()[: _NAME_BYTES - len(digest) - 1].decode(errors="ignore") + "-" + digest


def repeatable(method: str, params: Mapping[str, Any]) -> bool:
    """Whether a request that may have taken effect can be sent again."""
    if method == "enqueue":
        return "idempotency_key" in params
    if method == "enqueue_batch":
        return all("idempotency_key" in task for task in params.get("tasks", ()))
    return method not in ("lease", "schedule_run")


def fill(template: Template, item: Any, index: int) -> str:
    """The prompt for an item: `{item}`, `{index}`, and the fields of an item that is a mapping; or what a function returns."""
    if callable(template):
        return template(item)
    fields = {str(name): value for name, value in item.items()} if isinstance(item, Mapping) else {}
    return template.format(**{**fields, "item": item, "index": index})


def batches(tasks: Iterable[dict[str, Any]], most: int) -> Iterator[list[dict[str, Any]]]:
    """Lists of tasks within the hub's limits of number and size."""
    batch: list[dict[str, Any]] = []
    size = 0
    for task in tasks:
        length = len(json.dumps(task, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        if batch and (len(batch) >= min(most, _BATCH_TASKS) or size + length > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(task)
        size += length
    if batch:
        yield batch


def pieces(items: Iterable[Any], most: int) -> Iterator[list[Any]]:
    """Lists of items of at most `most` bytes of JSON; a greater item is a list of its own, which the hub refuses."""
    piece: list[Any] = []
    size = 2
    for item in items:
        length = len(json.dumps(item, ensure_ascii=False).encode("utf-8", "surrogatepass")) + 2
        if piece and size + length > most:
            yield piece
            piece, size = [], 2
        piece.append(item)
        size += length
    if piece:
        yield piece
