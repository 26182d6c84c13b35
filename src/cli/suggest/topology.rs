//! The topologies: the ways in which agents can work together on a task.

use serde_json::{Value, json};

/// A way in which agents work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topology {
    Single,
    Chain,
    Parallel,
    Iterative,
    Autonomous,
}

impl Topology {
    pub const ALL: [Topology; 5] = [
        Topology::Single,
        Topology::Chain,
        Topology::Parallel,
        Topology::Iterative,
        Topology::Autonomous,
    ];

    /// The topology with this key, in any case.
    pub fn of(key: &str) -> Option<Topology> {
        let key = key.trim().to_ascii_lowercase();
        Topology::ALL.into_iter().find(|it| it.key() == key)
    }

    /// The word in answers and `--json`.
    pub const fn key(self) -> &'static str {
        match self {
            Topology::Single => "single",
            Topology::Chain => "chain",
            Topology::Parallel => "parallel",
            Topology::Iterative => "iterative",
            Topology::Autonomous => "autonomous",
        }
    }

    /// The name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Topology::Single => "Single Agent",
            Topology::Chain => "Linear Chain",
            Topology::Parallel => "Parallel Swarm",
            Topology::Iterative => "Iterative Swarm",
            Topology::Autonomous => "Autonomous Swarm",
        }
    }

    pub const fn description(self) -> &'static str {
        match self {
            Topology::Single => "one agent does all of it",
            Topology::Chain => "steps one after another, each with the result of the one before",
            Topology::Parallel => {
                "agents work on the parts at the same time, and one merges their results"
            }
            Topology::Iterative => {
                "one agent writes, another reviews, until the review has no fault"
            }
            Topology::Autonomous => "an agent plans the work itself, within a budget",
        }
    }

    /// The tasks that it suits.
    pub const fn suits(self) -> &'static str {
        match self {
            Topology::Single => {
                "a small task that is complete in itself: fix a typo, answer a question"
            }
            Topology::Chain => "stages that need each other: research, outline, write, check",
            Topology::Parallel => "many files or records, or several views of one thing",
            Topology::Iterative => {
                "open or creative work whose quality matters: a design, an article"
            }
            Topology::Autonomous => "work whose steps are not known before: watch, find out, react",
        }
    }

    pub const fn diagram(self) -> &'static str {
        match self {
            Topology::Single => "task -> agent -> result",
            Topology::Chain => "task -> step 1 -> step 2 -> step 3 -> result",
            Topology::Parallel => {
                "     /-> agent -\\\ntask --> agent --> merge -> result\n     \\-> agent -/"
            }
            Topology::Iterative => {
                "task -> write -> review -> result\n          ^        |\n          \\-faults-/"
            }
            Topology::Autonomous => {
                "goal -> planner -> plan -> agents -> result\n           ^                |\n           \\-- plan again --/"
            }
        }
    }

    /// It as JSON.
    pub fn json(self) -> Value {
        json!({
            "topology": self.key(),
            "name": self.name(),
            "description": self.description(),
            "suits": self.suits(),
        })
    }
}
