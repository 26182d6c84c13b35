//! Pages of a run's items.

use crate::cli::{Failure, HubClient};
use kirosu_protocol::{ItemInfo, RUN_ITEMS_LIMIT_MAX, RunItemsParams};

/// The items of a run that match, page by page.
pub struct ItemPages<'a> {
    hub: &'a HubClient,
    params: RunItemsParams,
    /// Items that are still wanted; `None` means all.
    left: Option<u64>,
    is_over: bool,
}

impl<'a> ItemPages<'a> {
    /// All items that match, or the first `most`.
    pub fn new(hub: &'a HubClient, params: RunItemsParams, most: Option<u64>) -> ItemPages<'a> {
        ItemPages {
            hub,
            params,
            left: most,
            is_over: most == Some(0),
        }
    }

    /// The next page; `None` after the last one.
    ///
    /// # Errors
    /// The hub refuses, or does not come back after a broken connection.
    pub async fn next(&mut self) -> Result<Option<Vec<ItemInfo>>, Failure> {
        if self.is_over {
            return Ok(None);
        }
        let most = u64::from(RUN_ITEMS_LIMIT_MAX);
        let wanted = self.left.unwrap_or(most).min(most);
        self.params.limit = u32::try_from(wanted).ok();
        let page = self.hub.request_idempotent(&self.params).await?;
        self.left = self
            .left
            .map(|left| left.saturating_sub(page.items.len() as u64));
        self.is_over = page.next.is_none() || self.left == Some(0);
        self.params.cursor = page.next;
        Ok(Some(page.items))
    }
}
