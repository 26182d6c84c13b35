//! The hub's faces to the web: REST, MCP and metrics. Each is a client of the hub like any other.
