"""Topologies: shapes in which agents work together."""

from __future__ import annotations

from typing import NamedTuple


class TopologyDef(NamedTuple):
    """A topology, with texts for people and prompts."""

    name: str
    description: str
    ascii_art: str
    usage_guidance: str


TOPOLOGIES: dict[str, TopologyDef] = {
    "single": TopologyDef(
        "Single Agent",
        "One task, one agent.",
        "task -> agent -> result",
        "One clear piece of work: fix a function, rename an option, write a test.",
    ),
    "chain": TopologyDef(
        "Linear Chain",
        "Steps one after another; each one works with the result before it.",
        "task -> step 1 -> step 2 -> step 3 -> result",
        "Work in phases that build on each other: collect facts, draft, check, publish.",
    ),
    "parallel": TopologyDef(
        "Parallel Swarm",
        "The same question for many items at once, and one agent that merges the answers.",
        "        +-> agent -+\ntask ---+-> agent -+--> merge -> result\n        +-> agent -+",
        "Many files, rows or points of view that can be handled alone.",
    ),
    "iterative": TopologyDef(
        "Iterative Swarm",
        "One agent writes and another one judges, until the judge agrees.",
        "task -> write -> judge -> result\n          ^        |\n          +--------+",
        "Quality matters more than speed: designs, texts, code with a review.",
    ),
    "autonomous": TopologyDef(
        "Autonomous Swarm",
        "An agent plans the work itself, within a budget, and the plan runs.",
        "goal -> planner -> plan -> agents -> result",
        "The steps are not known in advance: an open goal, or a changing environment.",
    ),
}


def get_topology_context() -> str:
    """All topologies as text for a prompt."""
    texts = [
        f"Key: {key}\nName: {one.name}\n{one.description}\nFor: {one.usage_guidance}\n{one.ascii_art}"
        for key, one in TOPOLOGIES.items()
    ]
    return "\n\n".join(texts)
