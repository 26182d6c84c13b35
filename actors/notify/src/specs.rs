//! The supervisor of the targets, and the handle that replaces them.

use crate::options::{NotifyOptions, TargetOptions};
use crate::target::TargetActor;
use kirosu_supervision::{
    BackoffPolicy, ChildSpec, Intensity, SupervisorError, SupervisorHandle, SupervisorSpec,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// A crash is a fault; what has been delivered by then is stored.
const BACKOFF: BackoffPolicy =
    BackoffPolicy::between(Duration::from_millis(100), Duration::from_secs(30));

/// Replaces the targets. Cheap to clone.
#[derive(Clone)]
pub struct NotifyHandle {
    supervisor: SupervisorHandle,
    options: NotifyOptions,
    /// The names of the present targets.
    names: Arc<Mutex<Vec<String>>>,
}

impl std::fmt::Debug for NotifyHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NotifyHandle").finish_non_exhaustive()
    }
}

/// The spec of the supervisor `notify` with its targets, and the handle on it.
pub fn specs(options: NotifyOptions, targets: Vec<TargetOptions>) -> (ChildSpec, NotifyHandle) {
    // A failing target must not end the hub's process.
    let mut supervisor = SupervisorSpec::new("notify").intensity(Intensity::UNLIMITED);
    let names = targets.iter().map(|target| target.name.clone()).collect();
    for target in targets {
        supervisor = supervisor.child(spec(&options, target));
    }
    let handle = NotifyHandle {
        supervisor: supervisor.handle(),
        options,
        names: Arc::new(Mutex::new(names)),
    };
    (ChildSpec::supervisor(supervisor), handle)
}

fn spec(options: &NotifyOptions, target: TargetOptions) -> ChildSpec {
    let options = options.clone();
    ChildSpec::simple(target.name.clone(), move |child| {
        TargetActor::new(child.clone(), options.clone(), target.clone())
    })
    .kind("target")
    .backoff(BACKOFF)
}

impl NotifyHandle {
    /// Stops all targets, and starts these. One that waits after a failure tries again at once.
    pub async fn set(&self, targets: Vec<TargetOptions>) {
        let mut names = self.names.lock().await;
        for name in names.drain(..) {
            if let Err(error) = self.supervisor.remove_child(name.as_str()).await {
                tracing::error!(target_name = name, %error, "the target of notifications was not removed");
            }
        }
        for target in targets {
            let name = target.name.clone();
            match self
                .supervisor
                .start_child(spec(&self.options, target))
                .await
            {
                Ok(()) | Err(SupervisorError::NotStarted(_)) => names.push(name),
                Err(error) => {
                    tracing::error!(target_name = name, %error, "the target of notifications was not added");
                }
            }
        }
    }
}
