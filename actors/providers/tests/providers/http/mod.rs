//! Model APIs over real sockets, against a small server that plays scripts of good and bad responses.

mod answers;
mod failures;
mod limits;
mod service;
