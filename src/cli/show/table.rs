//! Tables: aligned and cut to the terminal's width for people, tab-separated and whole for programs.

use super::layout::{self, GAP, Place};
use super::paint::Paint;
use super::text::{fit, one_line, width};
use super::{Failure, Screen};

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its heading.
    pub name: &'static str,
    /// Numbers stand to the right.
    pub right: bool,
    /// Gives way when the terminal is too narrow.
    pub shrinks: bool,
    /// Left out on a terminal while every cell holds this.
    pub dull: Option<&'static str>,
    /// Left out on a narrow terminal, the highest first; 0: never.
    pub yields: u8,
}

impl Column {
    /// Text that is shown whole.
    pub const fn text(name: &'static str) -> Column {
        Column {
            name,
            right: false,
            shrinks: false,
            dull: Some(""),
            yields: 0,
        }
    }

    /// A number.
    pub const fn number(name: &'static str) -> Column {
        Column {
            right: true,
            ..Column::text(name)
        }
    }

    /// Text that is cut where the room ends.
    pub const fn long(name: &'static str) -> Column {
        Column {
            shrinks: true,
            ..Column::text(name)
        }
    }

    /// Left out on a terminal while every cell holds `value`.
    pub const fn unless(self, value: &'static str) -> Column {
        Column {
            dull: Some(value),
            ..self
        }
    }
}

impl Column {
    /// Left out on a narrow terminal; of several the one with the highest `order` goes first.
    pub const fn yields(self, order: u8) -> Column {
        Column {
            yields: order,
            ..self
        }
    }
}

/// One cell: what people see, and what programs get where that differs.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    exact: Option<String>,
    paint: Paint,
}

impl Cell {
    /// The same text for people and programs.
    pub fn new(text: impl Into<String>) -> Cell {
        Cell {
            text: text.into(),
            exact: None,
            paint: Paint::Plain,
        }
    }

    /// Painted.
    pub fn painted(self, paint: Paint) -> Cell {
        Cell { paint, ..self }
    }

    /// With what programs get instead, such as a moment for `3 s ago`.
    pub fn exact(self, text: impl Into<String>) -> Cell {
        Cell {
            exact: Some(text.into()),
            ..self
        }
    }
}

/// A table under construction.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    pub fn new(columns: impl Into<Vec<Column>>) -> Table {
        Table {
            columns: columns.into(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: one cell a column.
    pub fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.rows.push(cells.into());
    }

    /// Prints it.
    pub fn print(&self, screen: &Screen) -> Result<(), Failure> {
        screen.print(&self.render(screen.width, screen.colour))
    }

    /// As text: for a terminal of that many columns, or for a program.
    pub fn render(&self, columns: Option<usize>, colour: bool) -> String {
        match columns {
            Some(columns) => self.aligned(columns, colour),
            None => self.separated(),
        }
    }

    fn separated(&self) -> String {
        let line = |row: &Vec<Cell>| {
            let cell = |c: &Cell| one_line(c.exact.as_ref().unwrap_or(&c.text));
            row.iter().map(cell).collect::<Vec<_>>().join("\t") + "\n"
        };
        self.rows.iter().map(line).collect()
    }

    fn aligned(&self, room: usize, colour: bool) -> String {
        let mut text = String::new();
        for pieces in self.lines(room) {
            let start = text.len();
            for (piece, paint) in pieces {
                text.push_str(&paint.on(&piece, colour));
            }
            text.truncate(start + text[start..].trim_end().len());
            text.push('\n');
        }
        text
    }

    /// Its heading and rows for so many columns: the pieces of each line, blanks between them included.
    pub fn lines(&self, room: usize) -> Vec<Vec<(String, Paint)>> {
        let texts: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| one_line(&cell.text)).collect())
            .collect();
        let places = layout::fit(&self.columns, self.natural(&texts), room);
        let at = |place: &Place| place.column;
        let heads = places
            .iter()
            .map(at)
            .map(|at| (self.columns[at].name, Paint::Dim));
        let mut lines = vec![self.line(&places, heads)];
        for (row, cells) in texts.iter().zip(&self.rows) {
            let cells = places
                .iter()
                .map(at)
                .map(|at| (row[at].as_str(), cells[at].paint));
            lines.push(self.line(&places, cells));
        }
        lines
    }

    /// The columns that tell something, each as wide as its widest cell.
    fn natural(&self, texts: &[Vec<String>]) -> Vec<Place> {
        let dull = |at: usize| {
            let same = |row: &Vec<String>| Some(row[at].as_str()) == self.columns[at].dull;
            !texts.is_empty() && texts.iter().all(same)
        };
        let wide = |at: usize| {
            let cells = texts.iter().map(|row| width(&row[at])).max();
            cells.unwrap_or(0).max(width(self.columns[at].name))
        };
        let told = (0..self.columns.len()).filter(|at| !dull(*at));
        told.map(|column| Place {
            column,
            width: wide(column),
        })
        .collect()
    }

    fn line<'a>(
        &self,
        places: &[Place],
        cells: impl Iterator<Item = (&'a str, Paint)>,
    ) -> Vec<(String, Paint)> {
        let mut line = Vec::new();
        let mut pending = 0;
        for ((text, paint), place) in cells.zip(places) {
            let (column, wide) = (&self.columns[place.column], place.width);
            let text = match column.shrinks {
                true => fit(text, wide),
                false => text.to_owned(),
            };
            let pad = wide.saturating_sub(width(&text));
            let (before, after) = if column.right { (pad, 0) } else { (0, pad) };
            line.push((" ".repeat(pending + before), Paint::Plain));
            line.push((text, paint));
            pending = after + GAP;
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new([
            Column::number("ID"),
            Column::text("STATUS"),
            Column::text("QUEUE").unless("default"),
            Column::long("PROMPT"),
        ]);
        let cell = Cell::new;
        table.row([
            cell("7"),
            cell("done"),
            cell("default"),
            cell("a prompt that\nis rather long"),
        ]);
        table.row([cell("123"), cell("queued"), cell("default"), cell("short")]);
        table
    }

    #[test]
    fn fits_the_terminal_and_leaves_out_what_tells_nothing() {
        assert_eq!(
            sample().render(Some(30), false),
            " ID  STATUS  PROMPT\n  7  done    a prompt that is…\n123  queued  short\n"
        );
        let wide = sample().render(Some(200), false);
        assert!(wide.contains("a prompt that is rather long\n"), "{wide}");
    }

    #[test]
    fn programs_get_everything_between_tabs() {
        assert_eq!(
            sample().render(None, false),
            "7\tdone\tdefault\ta prompt that is rather long\n123\tqueued\tdefault\tshort\n"
        );
    }
}
