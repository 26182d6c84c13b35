//! Draws on a part of the frame: texts at positions, cut at its border, in few colours.

use crate::terminal::paint::Paint;
use crate::terminal::text;
use kirosu_protocol::text::visible;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

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
        let start: String = text
            .chars()
            .filter_map(visible)
            .take(4 * most + 4)
            .collect();
        let shown = text::fit(&start, most);
        let (left, top) = (self.area.x + x as u16, self.area.y + y as u16);
        let style = self.style(paint);
        let (end, _) = self.frame.set_stringn(left, top, shown, most, style);
        usize::from(end - self.area.x)
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
