"""Connections to a hub: framing, ids, pipelining, reconnects. Everything else of the package is above this module."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket as sockets
import ssl
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ._address import Address, listens_as_this_user
from .errors import Busy, Disconnected, HubError, Internal, ShuttingDown, TooLarge, WrongHub, hub_error

Json = dict[str, Any]
Notice = Callable[[str, Json], Awaitable[None]]

_CHUNK = 256 * 1024
_CONNECT_SECONDS = 10
# The limits of a hub with default settings, until `hello` has returned those of this one.
_LIMITS: Json = {
    "line_bytes": 16 * 1024 * 1024,
    "in_flight_per_connection": 1024,
    "batch": 10_000,
    "wait_ms_max": 3_600_000,
    "max_tasks_per_lease": 1000,
}


class Connection:
    """One connection. It ends with its first fault; `Link` makes the next one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, notice: Notice | None) -> None:
        self.limits = dict(_LIMITS)
        self.hello: Json = {}
        self._reader, self._writer, self._notice = reader, writer, notice
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._count = 0
        self._failure: Exception | None = None
        self._reading = asyncio.ensure_future(self._read())

    @classmethod
    async def open(cls, address: Address, notice: Notice | None) -> Connection:
        """Connects. Raises `OSError`, and `WrongHub` for a hub that is not the expected one."""
        try:
            reader, writer = await asyncio.wait_for(_streams(address), _CONNECT_SECONDS)
        except asyncio.TimeoutError:
            raise Disconnected(f"no connection to {address.shown} within {_CONNECT_SECONDS} s") from None
        try:
            _prepare(address, writer)
        except BaseException:
            writer.close()
            raise
        return cls(reader, writer, notice)

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._failure is not None

    async def request(self, method: str, params: Mapping[str, Any]) -> Json:
        """Sends a request and returns its result; further requests may be sent before the answer.

        Raises `HubError` for the hub's error, `TooLarge` before a line that the hub would skip, `Disconnected` if the
        connection ends before the answer.
        """
        if self._failure is not None:
            raise Disconnected(str(self._failure)) from self._failure
        self._count += 1
        number = self._count
        request = {"id": number, "method": method, "params": params}
        line = json.dumps(request, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "surrogatepass")
        if len(line) > self.limits["line_bytes"]:
            # The hub would skip the line, and its answer could not name the request.
            raise TooLarge(
                f"the request has {len(line)} bytes, the hub takes {self.limits['line_bytes']}", -32006, {"code": "too_large"}
            )
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write(line + b"\n")
            await self._writer.drain()
            return await answer
        except OSError as why:
            self._end(why)
            raise Disconnected(str(why)) from why
        finally:
            self._waiting.pop(number, None)
            if answer.done() and not answer.cancelled():
                # Else a failure that this request has met in another way is reported as one that no caller took.
                answer.exception()

    async def ended(self) -> None:
        """Returns when the connection has ended."""
        await asyncio.wait({self._reading})

    def close(self, why: Exception | None = None) -> None:
        """Ends the connection; unanswered requests raise `Disconnected`."""
        self._reading.cancel()
        self._end(why or Disconnected("the connection was closed"))

    async def _read(self) -> None:
        rest = bytearray()
        try:
            while chunk := await self._reader.read(_CHUNK):
                begin = len(rest)
                rest += chunk
                if rest.find(b"\n", begin) < 0:
                    continue
                *lines, last = rest.split(b"\n")
                rest = last
                for line in lines:
                    if line.strip():
                        await self._take(line)
            raise Disconnected("the hub closed the connection")
        except Exception as why:  # noqa: BLE001 - whatever comes that is no answer ends the connection
            self._end(why)

    async def _take(self, line: bytes | bytearray) -> None:
        message = json.loads(line)
        if not isinstance(message, dict):
            raise ValueError("the hub sent something else than an object")
        if "method" in message and "id" not in message:
            if self._notice is not None:
                await self._notice(message["method"], message.get("params") or {})
            return
        error = message.get("error")
        if message.get("id") is None:
            # An error about the connection as a whole, such as too many connections.
            raise hub_error(error or {"message": "the hub sent an answer without an id"})
        answer = self._waiting.get(message["id"])
        if answer is None or answer.done():
            return
        if error is not None:
            answer.set_exception(hub_error(error))
        else:
            answer.set_result(message.get("result") or {})

    def _end(self, why: Exception) -> None:
        if self._failure is None:
            self._failure = why
        self._writer.close()
        for answer in self._waiting.values():
            if not answer.done():
                if isinstance(self._failure, HubError):
                    answer.set_exception(self._failure)
                else:
                    answer.set_exception(Disconnected(str(self._failure) or type(self._failure).__name__))


async def _streams(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.socket is not None:
        return await asyncio.open_unix_connection(address.socket)
    context = address.context()
    name = address.host if context else None
    return await asyncio.open_connection(address.host, address.port, ssl=context, server_hostname=name)


def _prepare(address: Address, writer: asyncio.StreamWriter) -> None:
    """Checks who is at the other end, before a key is sent. Raises `WrongHub`."""
    secure = writer.get_extra_info("ssl_object")
    if secure is not None:
        address.check(secure.getpeercert(binary_form=True))
    peer: sockets.socket = writer.get_extra_info("socket")
    if address.key_is_own and not _is_own(address, peer):
        raise WrongHub(
            f"the hub at {address.shown} is of another user, so it does not get the key of this user's hub; give its key"
        )
    if address.socket is None:
        # A wait can be silent for an hour; without these a machine that vanished would not be noticed.
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6)):
            if hasattr(sockets, name):
                peer.setsockopt(sockets.IPPROTO_TCP, getattr(sockets, name), value)
        peer.setsockopt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1)


def _is_own(address: Address, peer: sockets.socket) -> bool:
    if address.socket is None:
        return listens_as_this_user(address.port)
    credentials = peer.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, struct.calcsize("3i"))
    return bool(struct.unpack("3i", credentials)[1] == os.getuid())


class Link:
    """A hub across connections: each request is sent until it is answered, on one connection after another.

    `patience` is the number of seconds for which a request is repeated while the hub cannot be reached, is busy or restarts;
    `None` means no limit. `on_hello` runs after each `hello`, before other requests.
    """

    def __init__(
        self,
        address: Address,
        *,
        hello: Mapping[str, Any] | None,
        patience: float | None,
        notice: Notice | None = None,
        on_hello: Callable[[Connection], Awaitable[None]] | None = None,
    ) -> None:
        self.address, self.patience = address, patience
        self.limits = dict(_LIMITS)
        self._hello, self._notice, self._on_hello = hello, notice, on_hello
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    async def request(
        self, method: str, params: Mapping[str, Any], *, patience: float | None | object = ..., repeat: bool = True
    ) -> Json:
        """Sends a request until it is answered. With `repeat` false a request that was sent is not sent again.

        Raises `HubError`; `Disconnected` when the patience ends or the link is closed.
        """
        limit = self.patience if patience is ... else patience
        deadline = None if limit is None else time.monotonic() + float(limit)  # type: ignore[arg-type]
        pauses = Pauses()
        while True:
            sent = False
            try:
                connection = await self._open()
                sent = True
                return await connection.request(method, params)
            except ssl.SSLCertVerificationError:
                raise
            except (OSError, Busy, Internal, ShuttingDown) as why:
                # `busy` and an unreachable hub had no effect; others may have taken effect.
                if sent and not repeat and not isinstance(why, Busy):
                    raise
                pause = pauses.next()
                if self._closed or (deadline is not None and time.monotonic() + pause > deadline):
                    raise
                await asyncio.sleep(pause)

    async def _open(self) -> Connection:
        async with self._opening:
            if self._closed:
                raise Disconnected("the client is closed")
            if self._connection is not None and not self._connection.closed:
                return self._connection
            connection = await Connection.open(self.address, self._notice)
            try:
                if self._hello is not None:
                    # The key in `hello` covers the connection.
                    key = {"auth_token": self.address.key} if self.address.key else {}
                    connection.hello = await connection.request("hello", {**self._hello, **key})
                    connection.limits.update(connection.hello.get("limits") or {})
                    self.limits = connection.limits
                if self._on_hello is not None:
                    await self._on_hello(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
            return connection

    async def open(self) -> Connection:
        """Connects unless it is connected; without repeats. Raises `OSError` and `HubError`."""
        return await self._open()

    def drop(self) -> None:
        """Ends the current connection; the next request opens another one."""
        if self._connection is not None:
            self._connection.close()

    def close(self) -> None:
        """Ends the connection for good."""
        self._closed = True
        self.drop()


class Pauses:
    """Growing pauses with a random part, so that many clients do not return at the same moment."""

    def __init__(self, first: float = 0.05, most: float = 5.0) -> None:
        self._next, self._most = first, most

    def next(self) -> float:
        """The next pause in seconds."""
        pause = self._next
        self._next = min(pause * 2, self._most)
        return pause * (0.5 + random.random() / 2)
