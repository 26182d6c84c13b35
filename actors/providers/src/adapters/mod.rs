//! The adapters: one file per kind of provider.

pub(crate) mod arguments;
mod command;
pub(crate) mod defaults_file;
mod echo;
pub(crate) mod find;
mod mcp;
mod python;
mod usage_file;

pub(crate) use command::CommandProvider;
pub(crate) use echo::EchoProvider;
pub(crate) use python::PythonProvider;
