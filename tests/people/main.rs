//! Tasks as people handle them: answered, waited for with a reason, and in groups.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../rest/http.rs"]
mod http;
#[path = "../dashboard/tmux.rs"]
mod tmux;

mod answer;
mod files;
mod groups;
mod kit;
mod waiting;
