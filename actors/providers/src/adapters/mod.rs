//! The adapters: one file per kind of provider.

mod agent_cli;
pub(crate) mod arguments;
mod command;
mod defaults_file;
mod echo;
pub(crate) mod find;
mod mcp;
mod python;
mod usage_file;

pub(crate) use agent_cli::AgentCli;
pub(crate) use command::CommandProvider;
pub(crate) use echo::EchoProvider;
pub(crate) use python::PythonProvider;
