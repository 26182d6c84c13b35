//! The adapters: one file per kind of provider.

mod arguments;
mod command;
mod echo;
mod find;
mod python;

pub(crate) use command::Command;
pub(crate) use echo::Echo;
pub(crate) use python::Python;
