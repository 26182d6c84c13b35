//! The screens.

/// A screen of the dashboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum View {
    /// The list of tasks.
    #[default]
    Tasks,
    /// One task.
    Task,
    /// Pools, accounts of providers, and agents.
    #[value(alias = "agents")]
    Pools,
    /// The supervision tree.
    Tree,
    /// Events, the newest first.
    Events,
    /// Tasks and permission requests that wait for a person.
    Inbox,
    /// Runs of plans.
    Runs,
    /// Schedules.
    Schedules,
}

impl View {
    /// Number of screens.
    pub const COUNT: usize = 8;

    /// All screens, in the order of their keys.
    pub const ALL: [View; View::COUNT] = [
        View::Tasks,
        View::Task,
        View::Pools,
        View::Tree,
        View::Events,
        View::Inbox,
        View::Runs,
        View::Schedules,
    ];

    /// The name that is shown.
    pub fn name(self) -> &'static str {
        match self {
            View::Tasks => "Tasks",
            View::Task => "Task",
            View::Pools => "Pools",
            View::Tree => "Tree",
            View::Events => "Events",
            View::Inbox => "Inbox",
            View::Runs => "Runs",
            View::Schedules => "Schedules",
        }
    }
}
