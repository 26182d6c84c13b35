//! Draws on a part of the frame: texts at positions, cut at its border, in few colours.

use crate::terminal::paint::Paint;
use crate::terminal::text;
use kirosu_protocol::text::visible;
use ratatui::buffer::{Buffer, Cell, CellDiffOption, CellWidth};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use std::num::NonZeroU16;

/// The painted pieces of a line.
pub type PaintedLine = Vec<(String, Paint)>;

/// A part of the frame.
pub struct Canvas<'a> {
    /// The frame.
    pub frame: &'a mut Buffer,
    /// The part, in coordinates of the frame.
    pub area: Rect,
    colour: bool,
}

impl<'a> Canvas<'a> {
    /// The whole frame.
    pub fn new(frame: &'a mut Buffer, colour: bool) -> Canvas<'a> {
        let area = frame.area;
        Canvas {
            frame,
            area,
            colour,
        }
    }

    /// A part of this part.
    pub fn part(&mut self, area: Rect) -> Canvas<'_> {
        Canvas {
            area: self.area.intersection(area),
            frame: self.frame,
            colour: self.colour,
        }
    }

    /// Number of lines.
    pub fn height(&self) -> usize {
        usize::from(self.area.height)
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        usize::from(self.area.width)
    }

    /// Writes at most `most` columns of a sanitized text at a column and line. Returns the column after it.
    pub fn text(&mut self, x: usize, y: usize, text: &str, paint: Paint, most: usize) -> usize {
        let most = most.min(self.width().saturating_sub(x));
        if y >= self.height() || most == 0 {
            return x;
        }
        // No more than could be shown, whatever the length. A cluster of many accents has many characters.
        let start: String = text
            .chars()
            .filter_map(visible)
            .take(8 * most + 8)
            .collect();
        let shown = text::fit(&start, most);
        let (left, top) = (self.area.x + x as u16, self.area.y + y as u16);
        let style = self.style(paint);
        let mut x = left;
        for (cluster, wide) in text::clusters(&shown).filter(|(_, wide)| *wide > 0) {
            let end = x + wide as u16;
            put(&mut self.frame[(x, top)], cluster, wide, style);
            // Cells that a wide cluster covers.
            ((x + 1)..end).for_each(|x| self.frame[(x, top)].reset());
            x = end;
        }
        usize::from(x - self.area.x)
    }

    /// Like [`text`](Canvas::text), up to the border.
    pub fn line(&mut self, x: usize, y: usize, text: &str, paint: Paint) -> usize {
        self.text(x, y, text, paint, usize::MAX)
    }

    /// Writes pieces one after the other. Returns the column after them.
    pub fn pieces(&mut self, x: usize, y: usize, pieces: &[(String, Paint)]) -> usize {
        let put = |x, (text, paint): &(String, Paint)| self.line(x, y, text, *paint);
        pieces.iter().fold(x, put)
    }

    /// Writes a sentence in the middle, wrapped.
    pub fn sentence(&mut self, text: &str, paint: Paint) {
        let width = self.width().saturating_sub(4).clamp(1, 90);
        let rows = crate::console::transcript::wrap(text, width);
        let top = self.height().saturating_sub(rows.len()) / 2;
        for (at, row) in rows.iter().enumerate() {
            let x = self.width().saturating_sub(text::width(row.trim_end())) / 2;
            self.line(x, top + at, row, paint);
        }
    }

    /// Marks the place where the user types.
    pub fn cursor(&mut self, x: usize, y: usize) {
        if x < self.width() && y < self.height() {
            let place = (self.area.x + x as u16, self.area.y + y as u16);
            if let Some(cell) = self.frame.cell_mut(place) {
                cell.set_style(Style::new().add_modifier(Modifier::REVERSED));
            }
        }
    }

    /// Marks the chosen line.
    pub fn choose(&mut self, y: usize) {
        if y < self.height() {
            let line = Rect::new(self.area.x, self.area.y + y as u16, self.area.width, 1);
            // Without the colours of the line, so that the mark is one bar.
            let style = Style::reset().add_modifier(Modifier::REVERSED);
            self.frame.set_style(line, style);
        }
    }

    /// The terminal's style for a paint.
    pub fn style(&self, paint: Paint) -> Style {
        let plain = Style::new();
        match (paint, self.colour) {
            (Paint::Plain, _) => plain,
            (Paint::Bold, _) => plain.add_modifier(Modifier::BOLD),
            (Paint::Dim, _) => plain.add_modifier(Modifier::DIM),
            (Paint::Good, true) => plain.fg(Color::Green),
            (Paint::Busy, true) => plain.fg(Color::Cyan),
            (Paint::Attention, true) => plain.fg(Color::Yellow),
            (Paint::Bad, true) => plain.fg(Color::Red),
            (Paint::Good | Paint::Busy, false) => plain,
            (Paint::Attention | Paint::Bad, false) => plain.add_modifier(Modifier::BOLD),
        }
    }
}

/// Puts a cluster into a cell. Where the terminal library has another width for it than [`text::clusters`], that one counts.
fn put(cell: &mut Cell, cluster: &str, wide: usize, style: Style) {
    cell.set_symbol(cluster).set_style(style);
    let forced = NonZeroU16::new(wide as u16).filter(|_| usize::from(cluster.cell_width()) != wide);
    cell.set_diff_option(forced.map_or(CellDiffOption::None, CellDiffOption::ForcedWidth));
}
