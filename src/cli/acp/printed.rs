//! Splits the printed output of a run into the answer and what is about it: tools, reasoning, questions for permission.

/// The beginnings of lines that are not part of the answer, as the agents' hosts print them.
const ASIDE: [&str; 3] = ["[tool ", "[thinks] ", "[asks for permission: "];
/// The beginning of a line of a tool's output.
const INDENT: &str = "  ";

/// A piece of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrintedPiece {
    /// A part of the answer.
    Answer(String),
    /// Tools and reasoning.
    Aside(String),
}

/// The kind of the line that is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LineKind {
    #[default]
    Answer,
    Aside,
}

/// Reads the output of one attempt, piece by piece.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The beginning of a line whose kind is not known yet; shorter than the longest of [`ASIDE`].
    held: String,
    /// The kind of a line whose beginning was read; `None` at the beginning of a line.
    kind: Option<LineKind>,
    /// Whether the last line was of a tool, so that its output may follow.
    after_tool: bool,
    /// The answer so far, without white space.
    answer: String,
}

impl Splitter {
    /// The pieces of a further text.
    pub fn push(&mut self, text: &str) -> Vec<PrintedPiece> {
        let mut pieces = Vec::new();
        for part in text.split_inclusive('\n') {
            self.part(part, &mut pieces);
        }
        pieces
    }

    /// The rest, at the end of the attempt.
    pub fn finish(&mut self) -> Vec<PrintedPiece> {
        let mut pieces = Vec::new();
        let held = std::mem::take(&mut self.held);
        self.emit(LineKind::Answer, &held, &mut pieces);
        pieces
    }

    /// Whether a result was printed: white space and the end of lines do not count.
    pub fn has_printed(&self, result: &str) -> bool {
        let result: String = result.chars().filter(|c| !c.is_whitespace()).collect();
        self.answer.contains(&result)
    }

    /// Reads a line or a part of one.
    fn part(&mut self, part: &str, pieces: &mut Vec<PrintedPiece>) {
        let kind = match self.kind {
            Some(kind) => kind,
            None => {
                self.held.push_str(part);
                let Some(kind) = self.kind_of(&self.held) else {
                    return;
                };
                self.kind = Some(kind);
                self.after_tool = match kind {
                    LineKind::Answer => false,
                    LineKind::Aside => self.after_tool || self.held.starts_with(ASIDE[0]),
                };
                let line = std::mem::take(&mut self.held);
                self.emit(kind, &line, pieces);
                if line.ends_with('\n') {
                    self.kind = None;
                }
                return;
            }
        };
        self.emit(kind, part, pieces);
        if part.ends_with('\n') {
            self.kind = None;
        }
    }

    /// The kind of a line by its beginning; `None` if more of it must be read.
    fn kind_of(&self, line: &str) -> Option<LineKind> {
        let tool_output = [INDENT].into_iter().filter(|_| self.after_tool);
        let mut starts = ASIDE.into_iter().chain(tool_output);
        if starts.clone().any(|start| line.starts_with(start)) {
            return Some(LineKind::Aside);
        }
        let is_open = !line.ends_with('\n') && starts.any(|start| start.starts_with(line));
        (!is_open).then_some(LineKind::Answer)
    }

    fn emit(&mut self, kind: LineKind, text: &str, pieces: &mut Vec<PrintedPiece>) {
        if text.is_empty() {
            return;
        }
        if kind == LineKind::Answer {
            let dense = text.chars().filter(|c| !c.is_whitespace());
            self.answer.extend(dense);
        }
        match (pieces.last_mut(), kind) {
            (Some(PrintedPiece::Answer(last)), LineKind::Answer)
            | (Some(PrintedPiece::Aside(last)), LineKind::Aside) => last.push_str(text),
            (_, LineKind::Answer) => pieces.push(PrintedPiece::Answer(text.to_owned())),
            (_, LineKind::Aside) => pieces.push(PrintedPiece::Aside(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer and the rest, of a text that arrives in pieces of `size` bytes.
    fn split(text: &str, size: usize) -> (String, String, Splitter) {
        let (mut answer, mut aside) = (String::new(), String::new());
        let mut splitter = Splitter::default();
        let chars: Vec<char> = text.chars().collect();
        let mut pieces: Vec<PrintedPiece> = chars
            .chunks(size)
            .flat_map(|part| splitter.push(&part.iter().collect::<String>()))
            .collect();
        pieces.extend(splitter.finish());
        for piece in pieces {
            match piece {
                PrintedPiece::Answer(text) => answer.push_str(&text),
                PrintedPiece::Aside(text) => aside.push_str(&text),
            }
        }
        (answer, aside, splitter)
    }

    #[test]
    fn tools_and_reasoning_are_apart_from_the_answer_however_they_arrive() {
        let text = "I look.\n[tool shell: ls]\n  a b\n  c\n[thinks] so\nDone [tool x] at last.\n  indented\n[to";
        for size in [1, 2, 7, 1000] {
            let (answer, aside, splitter) = split(text, size);
            assert_eq!(
                answer, "I look.\nDone [tool x] at last.\n  indented\n[to",
                "{size}"
            );
            assert_eq!(
                aside, "[tool shell: ls]\n  a b\n  c\n[thinks] so\n",
                "{size}"
            );
            assert!(splitter.has_printed("I look.Done [tool x] at last."));
            assert!(splitter.has_printed("") && !splitter.has_printed("so"));
        }
    }

    #[test]
    fn a_text_is_passed_on_at_once_unless_its_kind_is_open() {
        let mut splitter = Splitter::default();
        let answer = |text: &str| vec![PrintedPiece::Answer(text.into())];
        assert_eq!(splitter.push("He"), answer("He"));
        assert_eq!(splitter.push("llo [tool"), answer("llo [tool"));
        assert_eq!(splitter.push(" \n["), answer(" \n"));
        assert_eq!(splitter.push("to"), []);
        assert_eq!(splitter.push("morrow"), answer("[tomorrow"));
    }
}
