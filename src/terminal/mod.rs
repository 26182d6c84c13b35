//! Text for terminals, shared by the command line and the dashboard: without escape sequences, measured in columns,
//! painted, with times for people.

pub mod escapes;
pub mod paint;
pub mod sanitizer;
pub mod text;
pub mod time;
pub mod zone;
