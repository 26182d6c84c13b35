"""Settings files of the Python version: `~/.kiro` and, before it, `.kiro` of the working directory.

The program `kirosu` has settings of its own (docs/configuration.md) and reads none of these.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

if sys.version_info >= (3, 11):
    import tomllib

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
    paths = GLOBAL_CONFIG_FILE, LOCAL_CONFIG_FILE
    if sys.version_info >= (3, 11):
        return _merged({}, paths, tomllib.load)
    for path in paths:
        if path.exists():
            log.warning("%s was not read: TOML needs Python 3.11", path)
    return {}


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
