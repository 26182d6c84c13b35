//! Builds providers from their options: the list of kinds.

use std::sync::Arc;

use crate::acp::AcpProvider;
use crate::adapters::{CommandProvider, EchoProvider, PythonProvider};
use crate::containment::Containment;
use crate::http::HttpProvider;
use crate::options::{BuildError, ProviderOptions};
use crate::provider::Provider;
use crate::router::RouterProvider;

/// Builds the provider that `options` describe, with its processes in `containment`.
///
/// # Errors
/// [`BuildError`] for an unknown kind or an incomplete definition. A program that is missing on this
/// machine is not an error here: see [`Provider::probe`].
pub fn build(
    options: &ProviderOptions,
    containment: &Containment,
) -> Result<Arc<dyn Provider>, BuildError> {
    match options.kind.as_str() {
        "echo" => Ok(Arc::new(EchoProvider::new(options))),
        "command" => Ok(Arc::new(CommandProvider::new(options, containment)?)),
        "openai" | "anthropic" => Ok(Arc::new(HttpProvider::new(options)?)),
        "acp" => Ok(Arc::new(AcpProvider::new(options, containment)?)),
        "python" => Ok(Arc::new(PythonProvider::new(options, containment)?)),
        "router" => Ok(Arc::new(RouterProvider::new(options, containment)?)),
        _ => Err(BuildError::UnknownKind {
            name: options.name.clone(),
            kind: options.kind.clone(),
        }),
    }
}
