//! Tables: aligned and cut to the terminal's width for people; tab-separated and complete for programs.

use super::layout::{self, ColumnWidth, GAP};
use super::{Failure, Screen};
use crate::console::transcript::wrap;
use crate::terminal::paint::Paint;
use crate::terminal::text::{fit, fit_counted, one_line, width};

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Heading.
    pub name: &'static str,
    /// Whether the text is aligned to the right, as for numbers.
    pub right: bool,
    /// Whether the column is cut if the terminal is too narrow.
    pub shrinks: bool,
    /// The column is left out on a terminal if every cell has this text.
    pub dull: Option<&'static str>,
    /// Whether a cut cell ends with the number of characters that it leaves out.
    pub counted: bool,
    /// Order in which columns are left out on a narrow terminal, the highest first; 0 means never.
    pub yields: u8,
}

impl Column {
    /// A column of text that is never cut.
    pub const fn text(name: &'static str) -> Column {
        Column {
            name,
            right: false,
            shrinks: false,
            dull: Some(""),
            counted: false,
            yields: 0,
        }
    }

    /// A column of numbers.
    pub const fn number(name: &'static str) -> Column {
        Column {
            right: true,
            ..Column::text(name)
        }
    }

    /// A column of text that is cut on a narrow terminal.
    pub const fn long(name: &'static str) -> Column {
        Column {
            shrinks: true,
            ..Column::text(name)
        }
    }

    /// Leaves the column out on a terminal if every cell is `value`.
    pub const fn unless(self, value: &'static str) -> Column {
        Column {
            dull: Some(value),
            ..self
        }
    }
}

impl Column {
    /// Ends a cut cell with the number of characters that it leaves out, as in `… [+12]`.
    pub const fn counted(self) -> Column {
        Column {
            counted: true,
            ..self
        }
    }

    /// Leaves the column out on a narrow terminal, the one with the highest `order` first.
    pub const fn yields(self, order: u8) -> Column {
        Column {
            yields: order,
            ..self
        }
    }
}

/// A cell: the text for people, and the text for programs if it differs.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    exact: Option<String>,
    paint: Paint,
}

impl Cell {
    /// A cell with the same text for people and programs.
    pub fn new(text: impl Into<String>) -> Cell {
        Cell {
            text: text.into(),
            exact: None,
            paint: Paint::Plain,
        }
    }

    /// Paints the cell.
    pub fn painted(self, paint: Paint) -> Cell {
        Cell { paint, ..self }
    }

    /// Sets the text for programs, such as an exact time for `3 s ago`.
    pub fn exact(self, text: impl Into<String>) -> Cell {
        Cell {
            exact: Some(text.into()),
            ..self
        }
    }
}

/// A table.
#[derive(Clone, Debug)]
pub struct TextTable {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl TextTable {
    /// A table without rows.
    pub fn new(columns: impl Into<Vec<Column>>) -> TextTable {
        TextTable {
            columns: columns.into(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; it must have one cell per column.
    pub fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.rows.push(cells.into());
    }

    /// Prints the table.
    pub fn print(&self, screen: &Screen) -> Result<(), Failure> {
        screen.print(&self.render(screen.width, screen.colour))
    }

    /// Prints the table, then each cell of a [counted](Column::counted) column that was cut, as a whole, with the first
    /// cell of its row.
    ///
    /// # Errors
    /// As [`Screen::print`].
    pub fn print_whole(&self, screen: &Screen) -> Result<(), Failure> {
        self.print(screen)?;
        let Some(columns) = screen.width else {
            return Ok(());
        };
        let plain = self.render(Some(columns), false);
        let counted = (0..self.columns.len()).filter(|at| self.columns[*at].counted);
        for at in counted {
            for row in &self.rows {
                let text = one_line(&row[at].text);
                if !plain.contains(&text) {
                    let name = row.first().map_or("", |cell| cell.text.as_str());
                    let lines = wrap(&text, columns.saturating_sub(2)).join("\n  ");
                    screen.print(&format!("\n{name} in full:\n  {lines}"))?;
                }
            }
        }
        Ok(())
    }

    /// The table as text: for a terminal of `columns` columns, or for programs if `None`.
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

    /// Heading and rows for a terminal of `room` columns: the painted pieces of each line, including the blanks between
    /// them.
    pub fn lines(&self, room: usize) -> Vec<Vec<(String, Paint)>> {
        let texts: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| one_line(&cell.text)).collect())
            .collect();
        let widths = layout::fit(&self.columns, self.natural(&texts), room);
        let at = |it: &ColumnWidth| it.column;
        let heads = widths
            .iter()
            .map(at)
            .map(|at| (self.columns[at].name, Paint::Dim));
        let mut lines = vec![self.line(&widths, heads)];
        for (row, cells) in texts.iter().zip(&self.rows) {
            let cells = widths
                .iter()
                .map(at)
                .map(|at| (row[at].as_str(), cells[at].paint));
            lines.push(self.line(&widths, cells));
        }
        lines
    }

    /// The columns that are shown, each as wide as its widest cell.
    fn natural(&self, texts: &[Vec<String>]) -> Vec<ColumnWidth> {
        let dull = |at: usize| {
            let same = |row: &Vec<String>| Some(row[at].as_str()) == self.columns[at].dull;
            !texts.is_empty() && texts.iter().all(same)
        };
        let wide = |at: usize| {
            let cells = texts.iter().map(|row| width(&row[at])).max();
            cells.unwrap_or(0).max(width(self.columns[at].name))
        };
        let shown = (0..self.columns.len()).filter(|at| !dull(*at));
        shown
            .map(|column| ColumnWidth {
                column,
                width: wide(column),
            })
            .collect()
    }

    fn line<'a>(
        &self,
        widths: &[ColumnWidth],
        cells: impl Iterator<Item = (&'a str, Paint)>,
    ) -> Vec<(String, Paint)> {
        let mut line = Vec::new();
        let mut pending = 0;
        for ((text, paint), it) in cells.zip(widths) {
            let (column, wide) = (&self.columns[it.column], it.width);
            let text = match (column.shrinks, column.counted) {
                (true, true) => fit_counted(text, wide),
                (true, false) => fit(text, wide),
                (false, _) => text.to_owned(),
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

    fn sample() -> TextTable {
        let mut table = TextTable::new([
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
    fn a_table_fits_the_terminal_and_omits_dull_columns() {
        assert_eq!(
            sample().render(Some(30), false),
            " ID  STATUS  PROMPT\n  7  done    a prompt that is…\n123  queued  short\n"
        );
        let wide = sample().render(Some(200), false);
        assert!(wide.contains("a prompt that is rather long\n"), "{wide}");
    }

    #[test]
    fn programs_get_complete_tab_separated_rows() {
        assert_eq!(
            sample().render(None, false),
            "7\tdone\tdefault\ta prompt that is rather long\n123\tqueued\tdefault\tshort\n"
        );
    }

    #[test]
    fn emoji_and_hindi_fit_an_80_column_terminal() {
        for prompt in ["✅✅✅ done ", "हिन्दी में लिखा हुआ ", "日本語の文 "]
        {
            let mut table = sample();
            table.row([
                Cell::new("9"),
                Cell::new("done"),
                Cell::new("default"),
                Cell::new(prompt.repeat(20)),
            ]);
            let text = table.render(Some(80), false);
            let widths = text.lines().map(width).collect::<Vec<_>>();
            assert!(widths.iter().all(|it| *it <= 80), "{widths:?}\n{text}");
            assert!(widths.iter().any(|it| *it >= 78), "{widths:?}\n{text}");
        }
    }
}
