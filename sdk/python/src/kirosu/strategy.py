"""Suggestions and plans by a provider, as in the Python version. `kirosu suggest` and `kirosu run-recursive` do more."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
from typing import Any

from .agent import DEFAULT_MODEL
from .providers import LLMProvider, get_provider
from .topology_defs import TOPOLOGIES, get_topology_context

log = logging.getLogger("kirosu.strategy")

SUGGEST_SYSTEM_PROMPT = f"""You choose the topology in which AI agents should work on a task. These exist:

{get_topology_context()}

Answer with one JSON object and nothing else:
{{"topology": one of {", ".join(TOPOLOGIES)}, "reasoning": one or two sentences, "command": a command line of kirosu}}"""


def suggest_strategy(task_description: str) -> dict[str, Any]:
    """The provider's choice: `topology`, `reasoning` and `command`; or `error` with a `topology` to fall back to."""
    try:
        answer = _provider().run(f"Which topology fits this task?\n{task_description}", system_prompt=SUGGEST_SYSTEM_PROMPT)
    except Exception as why:
        log.error("No suggestion: %s", why)
        return {"error": str(why), "topology": "single"}
    text = without_fences(answer)
    if not text:
        return {"error": "the answer was empty", "topology": "single", "command": "kirosu agent"}
    try:
        choice = json.loads(text)
    except ValueError:
        choice = None
    if not isinstance(choice, dict):
        return {"error": "the answer is not a JSON object", "raw_response": text, "topology": "unknown"}
    return choice


def print_strategy_suggestion(task_description: str) -> None:
    """Prints the provider's choice for a task."""
    choice = suggest_strategy(task_description)
    if "error" in choice:
        print(f"Error: {choice['error']}")
        if "raw_response" in choice:
            print(choice["raw_response"])
        return
    known = TOPOLOGIES.get(str(choice.get("topology")))
    print(known.name if known else choice.get("topology"))
    if known:
        print(known.ascii_art)
    print(f"\nWhy: {choice.get('reasoning', '')}\nCommand: {choice.get('command', '')}")


def print_available_strategies() -> None:
    """Prints the topologies."""
    for one in TOPOLOGIES.values():
        print(f"{one.name:<20} {one.description}")


class RecursiveStrategy:
    """Lets a provider plan the work for a goal, and runs the plan."""

    PLANNER_SYSTEM_PROMPT = """You plan the work for a goal as a list of steps for AI agents. Answer with YAML and nothing else:

pipeline:
  - id: first
    module: agents.researcher
    config:
      prompt: "..."
  - id: second
    module: agents.coder
    depends_on: [first]
    config:
      prompt: "Use this: {{ steps.first.result }}"

Modules are agents.researcher, agents.coder and agents.general_worker."""

    @staticmethod
    def execute(task_description: str) -> None:
        """Writes the plan to recursive_plan.yml and runs it with `kirosu run-pipeline`. A failure is printed."""
        try:
            answer = _provider().run(f"Plan this: {task_description}", system_prompt=RecursiveStrategy.PLANNER_SYSTEM_PROMPT)
            plan = without_fences(answer)
            if not plan:
                raise RuntimeError("the planner's answer is empty")
            with open("recursive_plan.yml", "w") as file:
                file.write(plan + "\n")
            print(plan)
            program = os.environ.get("KIROSU_BIN") or shutil.which("kirosu") or "kirosu"
            subprocess.run([program, "run-pipeline", "--file", "recursive_plan.yml"], check=True)
        except Exception as why:
            log.error("The plan did not run: %s", why)
            print(f"Error: {why}")


def without_fences(text: str | None) -> str:
    """The text without the Markdown fence that models put around an answer."""
    lines = (text or "").strip().splitlines()
    if lines and lines[0].startswith("```"):
        lines = lines[1:]
    if lines and lines[-1].strip() == "```":
        lines = lines[:-1]
    return "\n".join(lines).strip("\n") if any(line.strip() for line in lines) else ""


def _provider() -> LLMProvider:
    return get_provider(os.environ.get("KIRO_PROVIDER"), os.environ.get("MITTELO_KIRO_MODEL") or DEFAULT_MODEL)
