//! The gateway over real sockets, with a hub that gives the answers of the test.

mod kit;
mod schema;
mod timeouts;
