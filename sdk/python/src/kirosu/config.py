"""Settings files of the Python version: `~/.kiro` and, before it, `.kiro` of the working directory.

The program `kirosu` has settings of its own (docs/configuration.md) and reads none of these.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

try:
    import tomllib
except ImportError:  # Python 3.10
    tomllib = None  # type: ignore[assignment]

log = logging.getLogger("kirosu.config")

GLOBAL_CONFIG_DIR = Path.home() / ".kiro"
GLOBAL_CONFIG_FILE = GLOBAL_CONFIG_DIR / "config.toml"
GLOBAL_MCP_FILE = GLOBAL_CONFIG_DIR / "settings" / "mcp.json"
DEFAULT_DB_PATH = GLOBAL_CONFIG_DIR / "kirosu.db"
LOCAL_CONFIG_DIR = Path.cwd() / ".kiro"
LOCAL_CONFIG_FILE = LOCAL_CONFIG_DIR / "config.toml"
LOCAL_MCP_FILE = LOCAL_CONFIG_DIR / "settings" / "mcp.json"


def load_config() -> dict[str, Any]:
    """The settings of both files, the local ones first. A file with faults is left out, with a warning."""
    if tomllib is None:
        present = [path for path in (GLOBAL_CONFIG_FILE, LOCAL_CONFIG_FILE) if path.exists()]
        if present:
            log.warning("%s needs Python 3.11 or newer, and was not read", present[0])
        return {}
    return _merged({}, (GLOBAL_CONFIG_FILE, LOCAL_CONFIG_FILE), tomllib.load)


def load_mcp_config() -> dict[str, Any]:
    """The MCP servers of both files, the local ones first."""
    return _merged({"mcpServers": {}}, (GLOBAL_MCP_FILE, LOCAL_MCP_FILE), json.load)


def get_db_path() -> str:
    """The path of the database: `path` of the table `database`, else `~/.kiro/kirosu.db`, whose folder is made."""
    path = load_config().get("database", {}).get("path")
    if path:
        return os.path.expanduser(str(path))
    DEFAULT_DB_PATH.parent.mkdir(parents=True, exist_ok=True)
    return str(DEFAULT_DB_PATH)


def get_agent_config(agent_name: str) -> dict[str, Any]:
    """The settings of an agent, from the table `agents`."""
    settings: dict[str, Any] = load_config().get("agents", {}).get(agent_name, {})
    return settings


def _merged(start: dict[str, Any], paths: tuple[Path, ...], load: Callable[[IO[bytes]], dict[str, Any]]) -> dict[str, Any]:
    settings = start
    for path in paths:
        try:
            with open(path, "rb") as file:
                settings = _over(settings, load(file))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as why:
            log.warning("%s was not read: %s", path, why)
    return settings


def _over(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Both tables, with the values of `more` where both have one; inner tables likewise."""
    merged = dict(base)
    for name, value in more.items():
        old = merged.get(name)
        merged[name] = _over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
