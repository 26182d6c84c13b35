//! Roles of a process: the parts of the tree that it runs.

/// The parts that a process runs. Every role but [`Role::Pools`] also runs a gateway if the settings enable one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `kirosu hub`: a hub without pools.
    Hub,
    /// `kirosu up`: a hub and the configured pools.
    HubAndPools,
    /// `kirosu agent`: pools for a hub in another process.
    Pools,
    /// `kirosu api`: a gateway for a hub in another process.
    Gateway,
}

impl Role {
    pub(super) fn has_hub(self) -> bool {
        matches!(self, Role::Hub | Role::HubAndPools)
    }

    pub(super) fn has_pools(self) -> bool {
        matches!(self, Role::Pools | Role::HubAndPools)
    }
}
