//! The adapters: one file per kind of provider.

mod command;
mod echo;
mod python;

pub(crate) use command::Command;
pub(crate) use echo::Echo;
pub(crate) use python::Python;
