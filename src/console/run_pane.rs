//! The opened run on screen 7, and the opened step of it.

use super::cursor::ListCursor;
use kirosu_protocol::{ItemInfo, RunAnswer, TaskId};

/// The opened run on screen 7.
#[derive(Clone, Debug, Default)]
pub struct RunPane {
    /// Its number.
    pub id: TaskId,
    /// The hub's answer; `None` until it is known.
    pub answer: Option<Box<RunAnswer>>,
    /// The reason why the hub does not return the run.
    pub failure: Option<String>,
    /// The chosen step.
    pub cursor: ListCursor,
    /// The step whose items are shown; `None` while the steps are shown.
    pub items: Option<ItemsPane>,
}

impl RunPane {
    /// A run of which only the number is known.
    pub fn new(id: TaskId) -> RunPane {
        RunPane {
            id,
            ..RunPane::default()
        }
    }
}

/// The first number of items that is requested, and the number by which that grows.
const ITEMS: usize = 200;
/// The most items of a step that are shown.
pub const ITEMS_MOST: usize = 5000;

/// The first items of a step, those that failed first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemsRequest {
    /// The path of the step.
    pub step: String,
    /// Number of items.
    pub most: usize,
}

/// The items of a step. The list grows when the cursor comes near its end.
#[derive(Clone, Debug)]
pub struct ItemsPane {
    /// The items to load.
    pub request: ItemsRequest,
    /// The loaded items; `None` before they arrive.
    pub items: Option<Vec<ItemInfo>>,
    /// Whether there are more than the loaded ones.
    pub more: bool,
    /// The chosen item.
    pub cursor: ListCursor,
}

impl ItemsPane {
    /// A step of which only the path is known.
    pub fn new(step: String) -> ItemsPane {
        ItemsPane {
            request: ItemsRequest { step, most: ITEMS },
            items: None,
            more: false,
            cursor: ListCursor::default(),
        }
    }

    /// Number of loaded items.
    pub fn len(&self) -> usize {
        self.items.as_ref().map_or(0, Vec::len)
    }

    /// The chosen item.
    pub fn chosen(&self) -> Option<&ItemInfo> {
        self.items.as_ref()?.get(self.cursor.at)
    }

    /// Requests more items if the cursor is near the end of the loaded ones.
    pub fn look_ahead(&mut self, height: usize) {
        let is_near = self.cursor.at + height >= self.len();
        if self.more && is_near && self.request.most <= self.len() {
            self.request.most = (self.request.most + ITEMS).min(ITEMS_MOST);
        }
    }

    /// Takes the items of a request; those of another step are ignored. The chosen item stays chosen, unless it is the first.
    pub fn arrive(&mut self, request: &ItemsRequest, items: Vec<ItemInfo>, more: bool) {
        if request.step != self.request.step {
            return;
        }
        let chosen = self.chosen().map(|item| item.index);
        let found = chosen.filter(|_| self.cursor.at > 0);
        let found = found.and_then(|index| items.iter().position(|item| item.index == index));
        self.items = Some(items);
        self.more = more;
        if let Some(at) = found {
            self.cursor.shift(self.cursor.at, at);
        }
    }
}
