"""The hub's address and the client's key, from arguments and the environment."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from .errors import WrongHub

HOST, PORT = "127.0.0.1", 8765
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True)
class Address:
    """A hub, and the key for it. `socket` is the path of a Unix socket, and excludes host and port."""

    host: str = HOST
    port: int = PORT
    socket: str | None = None
    key: str | None = None
    # Whether the key is that of the data folder, which only a hub of this user gets.
    key_is_own: bool = False
    tls_fingerprint: str | None = None
    tls_ca: str | None = None

    @property
    def shown(self) -> str:
        """The address for messages."""
        return self.socket or f"{self.host}:{self.port}"

    @property
    def tls(self) -> bool:
        """Whether the connection uses TLS."""
        return self.socket is None and bool(self.tls_fingerprint or self.tls_ca)

    def context(self) -> ssl.SSLContext | None:
        """The settings of TLS, or `None` without it.

        A pinned fingerprint identifies the certificate by itself, so names and authorities are checked only with `tls_ca`.
        """
        if not self.tls:
            return None
        context = ssl.create_default_context(cafile=self.tls_ca)
        if self.tls_ca is None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def check(self, certificate: bytes | None) -> None:
        """Compares the certificate of the hub, in DER, with the pinned fingerprint.

        Raises `WrongHub` if it differs.
        """
        if self.tls_fingerprint is None:
            return
        wanted = self.tls_fingerprint.removeprefix("sha256:").replace(":", "").lower()
        if certificate is None or sha256(certificate).hexdigest() != wanted:
            raise WrongHub(f"the certificate of the hub at {self.shown} has another fingerprint")


def split(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, where an IPv6 address may be in brackets.

    Raises `ValueError` for another form.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise ValueError(f"{text!r} is not HOST:PORT")
    return host.strip("[]") or HOST, int(port)


def find(
    hub: str | None,
    key: str | None,
    *,
    tls_fingerprint: str | None = None,
    tls_ca: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Address:
    """The address from the arguments, else from the environment, else the default one.

    `KIROSU_HUB` and `KIROSU_TOKEN` belong together: an agent's run has them, and they come before `KIRO_SWARM_HOST`,
    `KIRO_SWARM_PORT` and `KIRO_SWARM_KEY`. The token is not sent to an address from elsewhere.

    Raises `ValueError` for an address of another form.
    """
    variables = os.environ if environment is None else environment
    token = variables.get("KIROSU_TOKEN") or None
    if hub is None:
        hub = variables.get("KIROSU_HUB") or variables.get("KIROSU_HUB__SOCKET") or None
    elif hub != variables.get("KIROSU_HUB"):
        token = None
    socket, host, port = None, HOST, PORT
    if hub is None:
        host = variables.get("KIRO_SWARM_HOST") or variables.get("KIROSU_HUB__HOST") or HOST
        text = variables.get("KIRO_SWARM_PORT") or variables.get("KIROSU_HUB__PORT") or str(PORT)
        host, port = split(f"[{host}]:{text}")
    elif "/" in hub and not hub.startswith("tcp://"):
        socket = hub.removeprefix("unix:")
    else:
        host, port = split(hub.removeprefix("tcp://"))
    key = key or token or variables.get("KIRO_SWARM_KEY") or None
    is_own = False
    # Only a hub of this machine can have made the key in the data folder, and a run has no right to it. Elsewhere than on
    # Linux this package cannot see whose program listens.
    if sys.platform == "linux" and key is None and not variables.get("KIROSU_TOKEN") and (socket or host in _LOOPBACK):
        key = own_key(variables)
        is_own = key is not None
    return Address(
        host,
        port,
        socket,
        key,
        is_own,
        tls_fingerprint or variables.get("KIROSU_HUB__TLS_FINGERPRINT") or None,
        tls_ca or variables.get("KIROSU_HUB__TLS_CA") or None,
    )


def key_for(host: str, port: int) -> str | None:
    """The key of the environment for an address: `KIRO_SWARM_KEY`, or the token of a run if the address is that of its hub."""
    if key := os.environ.get("KIRO_SWARM_KEY"):
        return key
    try:
        of_run = split(os.environ.get("KIROSU_HUB", ""))
    except ValueError:
        return None
    same = of_run == (host, port) or (of_run[1] == port and {of_run[0], host} <= _LOOPBACK)
    return os.environ.get("KIROSU_TOKEN") if same else None


def own_key(variables: Mapping[str, str]) -> str | None:
    """The key that the hub made in its data folder.

    `None` without one, and for a file that another user could have written or read.
    """
    if folder := variables.get("KIROSU_DATA_DIR"):
        folders = [Path(folder)]
    else:
        share = variables.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        folders = [Path(share) / "kirosu", Path("/var/lib/kirosu")]
    for path in folders:
        try:
            descriptor = os.open(path / "hub.key", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        with open(descriptor, encoding="utf-8") as file:
            status = os.fstat(descriptor)
            if status.st_uid == os.getuid() and status.st_mode & 0o077 == 0:
                return file.read(4096).strip() or None
    return None


def listens_as_this_user(port: int) -> bool:
    """Whether every listener on a port of this machine belongs to the user of this process.

    The key of the data folder is sent only there: without the check, another user could listen on the hub's port while the
    hub is down, and get the key.
    """
    found = False
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            local, state, owner = fields[1], fields[3], int(fields[7])
            if state == "0A" and int(local.rpartition(":")[2], 16) == port:
                found = True
                if owner != os.getuid():
                    return False
    return found
