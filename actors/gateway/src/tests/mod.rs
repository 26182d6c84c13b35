//! The gateway over real sockets, before a hub that says what the test wants.

mod kit;
mod patience;
mod schema;
