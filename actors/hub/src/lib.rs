//! The hub: writer, readers, event bus, reaper, leases, listener, connections.
