//! The roles of credentials.

use crate::Right;

wire_enum! {
    /// What a credential is for. Every role but `work` may also look on.
    pub enum AccessRole {
        /// Looks on: tasks, pools, metrics, events.
        Observe,
        /// Adds, cancels and retries tasks.
        Enqueue,
        /// Leases tasks and reports on their runs: an agent host.
        Work,
        /// Decides as a person: approves, answers, rejects.
        Person,
        /// Does everything but decide as a person.
        Admin,
    }
}

impl AccessRole {
    /// Whether a credential of this role has the right.
    pub fn has(self, right: Right) -> bool {
        match right {
            Right::Connect => true,
            Right::Observe => self != AccessRole::Work,
            Right::Enqueue => matches!(self, AccessRole::Enqueue | AccessRole::Admin),
            Right::Work => matches!(self, AccessRole::Work | AccessRole::Admin),
            Right::Person => self == AccessRole::Person,
            Right::Admin => self == AccessRole::Admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_person_decides_as_one_and_an_agent_host_sees_its_own_tasks_alone() {
        let roles = |right| -> Vec<&str> {
            let has = AccessRole::ALL.into_iter().filter(|role| role.has(right));
            has.map(AccessRole::as_str).collect()
        };
        assert_eq!(roles(Right::Connect).len(), AccessRole::ALL.len());
        assert_eq!(
            roles(Right::Observe),
            ["observe", "enqueue", "person", "admin"]
        );
        assert_eq!(roles(Right::Enqueue), ["enqueue", "admin"]);
        assert_eq!(roles(Right::Work), ["work", "admin"]);
        assert_eq!(roles(Right::Person), ["person"]);
        assert_eq!(roles(Right::Admin), ["admin"]);
    }
}
