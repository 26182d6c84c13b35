//! Subscriptions to resources: a client is notified that a task or run has changed.
//!
//! Each has a connection to the hub, which limits the events to those of its task, and counts as a wait. Notices are coalesced:
//! the client reads the newest state after each.

use super::error::ToolError;
use super::resources::{ResourceAddress, unknown};
use super::tools::McpTools;
use crate::link::{HubError, RequestSlot};
use kirosu_protocol::client::{CallError, Client, ConnectionState, Notification};
use kirosu_protocol::{GetParams, Notice, WatchParams};
use rmcp::model::{ResourceUpdatedNotificationParam, SubscriptionFilter};
use rmcp::service::{Peer, SubscriptionContext};
use rmcp::{ErrorData, RoleServer};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// Maximum subscriptions of one client.
const PER_CLIENT: usize = 32;
/// Maximum time for a connection to a hub that has just answered.
const CONNECT: Duration = Duration::from_secs(5);
/// Minimum time between two notices about one resource.
const MIN_INTERVAL: Duration = Duration::from_millis(500);

/// The subscriptions of a session, of the protocol's revisions that have sessions. They end with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Subscriptions(Arc<Mutex<BTreeMap<String, Following>>>);

/// A task that follows a resource, until the drop.
#[derive(Debug)]
struct Following(AbortHandle);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Subscriptions {
    fn add(&self, uri: String, begin: impl FnOnce() -> AbortHandle) -> Result<(), ErrorData> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, it| !it.0.is_finished());
        if all.len() >= PER_CLIENT && !all.contains_key(&uri) {
            return Err(too_many());
        }
        all.insert(uri, Following(begin()));
        Ok(())
    }

    fn remove(&self, uri: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(uri);
    }
}

fn too_many() -> ErrorData {
    let text = format!("a client may subscribe to {PER_CLIENT} resources; unsubscribe from some");
    ErrorData::invalid_request(text, None)
}

/// The requested addresses that name something, as many as a client may have.
pub(super) fn accepted(requested: &SubscriptionFilter) -> SubscriptionFilter {
    let uris = requested.resource_subscriptions.iter().flatten();
    let known = uris.filter(|uri| ResourceAddress::read(uri).is_some());
    SubscriptionFilter::builder()
        .resource_subscriptions(known.take(PER_CLIENT))
        .build()
}

impl McpTools {
    /// `resources/subscribe`.
    ///
    /// # Errors
    /// There is no such resource, the client has too many, or the hub cannot be reached.
    pub(super) async fn follow(
        &self,
        uri: String,
        peer: Peer<RoleServer>,
    ) -> Result<(), ErrorData> {
        let mut changes = self.changes(&uri).await?;
        let told = uri.clone();
        self.subscriptions.add(uri, || {
            let following = tokio::spawn(async move {
                while changes.next().await {
                    let updated = ResourceUpdatedNotificationParam::new(told.clone());
                    if peer.notify_resource_updated(updated).await.is_err() {
                        return;
                    }
                }
            });
            following.abort_handle()
        })
    }

    /// `resources/unsubscribe`.
    pub(super) fn unfollow(&self, uri: &str) {
        self.subscriptions.remove(uri);
    }

    /// `subscriptions/listen`, until the client cancels it.
    ///
    /// # Errors
    /// A resource does not exist, or the hub cannot be reached.
    pub(super) async fn listen_to(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let uris = context.accepted().resource_subscriptions.clone();
        let mut following = JoinSet::new();
        for uri in uris.unwrap_or_default() {
            let mut changes = self.changes(&uri).await?;
            let sink = context.sink().clone();
            following.spawn(async move {
                // The client was answered before, so a change in between counts, too.
                let mut changed = true;
                while changed && sink.notify_resource_updated(uri.clone()).await.is_ok() {
                    changed = changes.next().await;
                }
            });
        }
        let waits = self.waits();
        tokio::select! {
            () = context.cancelled() => {}
            () = waits.ended() => {}
        }
        Ok(())
    }

    async fn changes(&self, uri: &str) -> Result<ResourceChanges, ErrorData> {
        let address = ResourceAddress::read(uri).ok_or_else(|| unknown(uri))?;
        let refused = super::as_tasks::refused;
        let ask = GetParams {
            task_id: address.task_id(),
            ..GetParams::default()
        };
        let found = self.request_idempotent(ask).await;
        found.map_err(|why| refused(why.into()))?;
        let slot = self.waits().slot().map_err(refused)?;
        let changes = ResourceChanges::begin(self.hub.new_client(), address, slot).await;
        changes.map_err(refused)
    }
}

/// The changes of a task or run.
struct ResourceChanges {
    client: Client,
    notifications: Receiver<Arc<Notification>>,
    state: watch::Receiver<ConnectionState>,
    watch: WatchParams,
    _slot: RequestSlot,
}

impl ResourceChanges {
    /// # Errors
    /// The hub refuses or cannot be reached.
    async fn begin(
        client: Client,
        address: ResourceAddress,
        slot: RequestSlot,
    ) -> Result<ResourceChanges, ToolError> {
        let kinds: &[&str] = match address {
            ResourceAddress::Task(_) => &["task", "progress"],
            ResourceAddress::Result(_) => &["task"],
            ResourceAddress::Output(_) => &["task", "output"],
            ResourceAddress::Run(_) => &["task", "run", "step"],
        };
        let watch = WatchParams {
            task_id: Some(address.task_id()),
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            ..WatchParams::default()
        };
        let (notifications, mut state) = (client.notifications(), client.state());
        let connected = state.wait_for(|state| matches!(state, ConnectionState::Connected(_)));
        // A failure is that of the request, too.
        let _ = tokio::time::timeout(CONNECT, connected).await;
        client.request(&watch).await.map_err(HubError::from)?;
        Ok(ResourceChanges {
            client,
            notifications,
            state,
            watch,
            _slot: slot,
        })
    }

    /// Waits for the next change, at least [`MIN_INTERVAL`]. A return of the hub counts as one, because events may be missed.
    /// False: there are no more.
    async fn next(&mut self) -> bool {
        loop {
            tokio::select! {
                received = self.notifications.recv() => match received {
                    Ok(received) if matches!(received.notice(), Some(Notice::Event(_))) => break,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return false,
                },
                changed = self.state.changed() => match changed {
                    Ok(()) if self.watch_again().await => break,
                    _ => return false,
                },
            }
        }
        tokio::time::sleep(MIN_INTERVAL).await;
        // One notice is for all changes of that time.
        while let Ok(_) | Err(TryRecvError::Lagged(_)) = self.notifications.try_recv() {}
        true
    }

    /// Waits for the hub, and asks for the events again.
    async fn watch_again(&mut self) -> bool {
        loop {
            let connected = self
                .state
                .wait_for(|state| matches!(state, ConnectionState::Connected(_)));
            if connected.await.is_err() {
                return false;
            }
            match self.client.request(&self.watch).await {
                Ok(_) => return true,
                Err(CallError::Disconnected { .. }) => {}
                Err(_) => return false,
            }
        }
    }
}
