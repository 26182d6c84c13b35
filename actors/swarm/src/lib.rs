//! The swarm: pools of agent sessions that lease tasks and run them through providers.
