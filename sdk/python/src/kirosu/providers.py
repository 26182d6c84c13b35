"""Programs that answer a prompt, as `KiroAgent` runs them. The pools of `kirosu up` have many more (docs/providers.md)."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from typing import Protocol


class LLMProvider(Protocol):
    """A way to get an answer to a prompt."""

    def run(self, prompt: str, system_prompt: str | None = None, workdir: str | None = None) -> str:
        """The answer. Raises `RuntimeError` if there is none."""
        ...


class KiroCliProvider:
    """`kiro-cli`, with all of its tools, as in the Python version."""

    def __init__(self, model: str | None = None) -> None:
        self.model = model

    def run(self, prompt: str, system_prompt: str | None = None, workdir: str | None = None) -> str:
        """The answer of the program."""
        command = ["kiro-cli", "chat", "--no-interactive", "--wrap", "never"]
        command += ["--model", self.model] if self.model else []
        return _answer([*command, "--trust-all-tools", _joined(prompt, system_prompt)], workdir)


class CodexProvider:
    """`codex exec` without its sandbox, as in the Python version. `KIRO_CODEX_EXTRA_ARGS` has further arguments."""

    def __init__(self, model: str | None = "gpt-5.1-codex-mini") -> None:
        self.model = model

    def run(self, prompt: str, system_prompt: str | None = None, workdir: str | None = None) -> str:
        """The answer of the program."""
        command = ["codex", "exec", "--dangerously-bypass-approvals-and-sandbox"]
        command += ["--model", self.model] if self.model else []
        command += shlex.split(os.environ.get("KIRO_CODEX_EXTRA_ARGS", ""))
        return _answer([*command, _joined(prompt, system_prompt)], workdir)


class EchoProvider:
    """Answers each prompt with itself: a stand-in for trials and tests."""

    def run(self, prompt: str, system_prompt: str | None = None, workdir: str | None = None) -> str:
        """The prompt."""
        return prompt


def get_provider(name: str | None = None, model: str | None = None) -> LLMProvider:
    """The provider of a name: `kiro` (the default), `codex` or `echo`. Without a name `KIRO_PROVIDER` counts.

    Raises `ValueError` for another name.
    """
    name = name or os.environ.get("KIRO_PROVIDER") or "kiro"
    if name == "kiro":
        return KiroCliProvider(model)
    if name == "codex":
        return CodexProvider(model)
    if name == "echo":
        return EchoProvider()
    raise ValueError(f"there is no provider {name!r} here: kiro, codex or echo; the pools of `kirosu up` have others")


def _joined(prompt: str, system_prompt: str | None) -> str:
    return f"System: {system_prompt}\n\nUser: {prompt}" if system_prompt else prompt


def _answer(command: Sequence[str], workdir: str | None) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=workdir)
    if ended.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {(ended.stderr or ended.stdout or '').strip()}")
    return ended.stdout or ""
