//! Tasks as people handle them: answered, waited for with a reason, and in groups.

mod answer;
mod files;
mod groups;
mod kit;
mod waiting;
