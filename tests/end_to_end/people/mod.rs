//! Tasks as people handle them: answered, waited for with a reason, and in groups.

mod answer;
mod files;
mod groups;
pub mod kit;
mod waiting;
