//! Screen 4: the supervision tree, drawn like `kirosu tree`.

use super::canvas::{Canvas, PaintedLine};
use super::nothing;
use crate::cli::tree::{Args, draw};
use crate::console::model::Model;
use crate::console::query::TaskFilter;
use crate::console::view::View;
use kirosu_protocol::TreeNode;

/// Draws the screen.
pub fn draw(model: &Model, canvas: &mut Canvas<'_>) {
    let lines = lines(model);
    if lines.is_empty() {
        return nothing(model, canvas, model.tree.is_some(), "the tree is empty");
    }
    let mut cursor = model.cursors[View::Tree as usize];
    cursor.fit(lines.len(), canvas.height());
    for (y, pieces) in lines
        .iter()
        .skip(cursor.top)
        .take(canvas.height())
        .enumerate()
    {
        canvas.pieces(1, y, pieces);
        if cursor.top + y == cursor.at {
            canvas.choose(y);
        }
    }
}

/// The lines of the drawing that match the filter.
pub fn lines(model: &Model) -> Vec<PaintedLine> {
    let Some((tree, read)) = &model.tree else {
        return Vec::new();
    };
    let mut tree = tree.clone();
    pass(&mut tree, (model.now - read).max(0.0));
    let whole = Args {
        depth: None,
        all: false,
    };
    let room = usize::from(model.size.0).saturating_sub(2);
    let mut lines = draw::pieces(&tree, &whole, room);
    let query = TaskFilter::words(&model.filters[View::Tree as usize]);
    if !query.is_empty() {
        lines.retain(|pieces| query.matches_texts(pieces.iter().map(|(text, _)| text.as_str())));
    }
    lines
}

/// Updates the ages in the tree by the time since it was read.
fn pass(node: &mut TreeNode, seconds: f64) {
    node.uptime = node.uptime.map(|up| up + seconds);
    node.next_restart_in = node.next_restart_in.map(|left| (left - seconds).max(0.0));
    node.children
        .iter_mut()
        .for_each(|child| pass(child, seconds));
}
