//! Text for terminals, shared by the command line and the dashboard: without escape sequences, measured in columns,
//! painted, with times for people.

pub mod escapes;
pub mod paint;
pub mod sanitizer;
pub mod text;
pub mod time;
pub mod zone;

/// The name of the person at the terminal: `USER` or `LOGNAME`.
pub fn user_name() -> Option<String> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    variable("USER").or_else(|| variable("LOGNAME"))
}
