//! Start, life and stop of a process that serves: the hub, its pools, its gateway, or several of them.
//!
//! [`tree`] starts the actors, [`app`] announces the process, handles signals and stops it, [`reload`] applies changed
//! settings.

mod app;
mod error;
mod page;
mod parts;
mod reload;
mod role;
#[cfg(test)]
mod tests;
mod tree;

use crate::blocking;
use crate::doctor;
use crate::signals::Signals;
use crate::systemd::Manager;
use kirosu_config::Loaded;

pub use app::App;
pub use error::BootError;
pub use role::{Role, keep_code_to_python_tasks};
pub use tree::start;

/// Serves in this role until a signal or a client ends the process.
///
/// # Errors
/// The process cannot start, or its supervisor gave up.
pub fn run(loaded: Loaded, role: Role) -> Result<(), BootError> {
    crate::panics::to_log();
    kirosu_providers::containment::close_to_others();
    let serve = async move {
        let mut signals = Signals::listen()?;
        kirosu_providers::containment::raise_limit();
        if role.has_pools()
            && let Some(warning) = doctor::too_few_files(&loaded.settings)
        {
            tracing::warn!("{warning}");
        }
        let app = start(&loaded, role, Manager::from_environment()).await?;
        #[cfg(feature = "fault-injection")]
        crate::watchdog::fault::hang_on_signal(&app.threads)?;
        app.announce(&loaded);
        let app = app.notify_ready(&loaded.settings).await?;
        app.serve(&mut signals, loaded, role).await
    };
    let runtime = blocking::runtime()?;
    let system = actix_rt::System::with_tokio_rt(move || runtime);
    let served = system.block_on(async {
        tokio::task::spawn_local(blocking::keep_a_thread());
        // In a task of its own: the future passed to `block_on` is polled at every event of this thread.
        tokio::task::spawn_local(serve).await
    });
    served.unwrap_or_else(|error| Err(BootError::System(std::io::Error::other(error))))
}
