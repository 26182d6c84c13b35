//! Texts that are too long for one commit: they are stored in pieces, before the row that refers to them.
//!
//! A commit with megabytes of text takes tens of milliseconds, for which the requests of all other clients wait. Such a text
//! is divided: its row has the beginning, the table `text_piece` has the rest. [`OpenText`](super::Command::OpenText) checks
//! the request, as far as that is cheap, and announces the pieces; each [`StagePiece`](super::Command::StagePiece) stores one;
//! the last command carries the request out, and decides again. Other commands run in between.
//!
//! No row refers to the pieces before that last commit: a refused request drops them
//! ([`DropText`](super::Command::DropText)), and a start drops those of earlier starts. Dropped texts, and those of rows that
//! were pruned, are deleted some pieces per commit.

use crate::backend::{Result, StoreFault};
use crate::command::Command;
use crate::core::{CommandResult, Core};
use crate::outcome::Outcome;
use crate::row::{Flags, LongInput};
use crate::rules::key;
use crate::sql::long_text::{
    DeleteLongText, DeletePieces, DropLongText, DropStaged, InsertLongText, InsertPiece,
    SelectStaged, SelectUnused, UseLongText,
};
use kirosu_protocol::text::head;
use kirosu_protocol::{Ack, NewTask, TaskId};
use std::ops::{Range, RangeInclusive};
use std::sync::{Arc, OnceLock};

/// The id of the long texts of one row. [`Store::new_text`](crate::Store::new_text) gives it out.
pub type TextId = i64;

/// The longest text in bytes that is stored without pieces, if the texts of its request are long enough to be divided.
const WHOLE_BYTES: usize = 256 << 10;
/// Bytes of a longer text that its row has: as many as a list shows by default.
pub(crate) const ROW_BYTES: usize = 64 << 10;
/// The longest piece in bytes, but for the bytes of a character. The last one has more than a third of it.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces that one commit deletes.
const DELETED_PIECES: i64 = 2;

/// The number of a piece is that of its text, then one bit for the text of the row, then its place. The view `text_rest`
/// has the same rule.
const TEXT_BITS: u32 = 20;
const PLACE_BITS: u32 = TEXT_BITS - 1;

/// Whether a piece with this number is one of the second text of its row.
pub(crate) fn is_of_second(piece: i64) -> bool {
    piece >> PLACE_BITS & 1 == 1
}

/// The numbers of all pieces of a row.
pub(crate) fn pieces_of(text: TextId) -> RangeInclusive<i64> {
    text << TEXT_BITS..=((text + 1) << TEXT_BITS) - 1
}

/// The part of a text that its row has.
fn beginning(text: &str) -> &str {
    match text.len() > WHOLE_BYTES {
        true => head(text, ROW_BYTES),
        false => text,
    }
}

/// The number of a piece: `which` is 0 for the first text of the row, 1 for the second.
fn piece_id(text: TextId, which: usize, place: usize) -> i64 {
    text << TEXT_BITS | (which << PLACE_BITS | place) as i64
}

/// The ranges of the pieces of a text: equal ones, so that the last one is not short.
fn ranges(whole: &str) -> impl Iterator<Item = Range<usize>> {
    let begin = beginning(whole).len();
    let rest = &whole[begin..];
    let count = rest.len().div_ceil(PIECE_BYTES);
    let bound = move |place: usize| begin + head(rest, rest.len() * place / count).len();
    (0..count).map(move |place| bound(place)..bound(place + 1))
}

/// The texts of a row that is written at once: what the row has, and the records of their pieces.
pub(crate) struct DividedTexts<'a> {
    /// The texts or their beginnings.
    pub row: [Option<&'a str>; 2],
    /// The pieces, if there are any; `InsertPiece` stores each.
    pub pieces: Vec<InsertPiece<'a>>,
    /// The record that a row refers to them.
    pub long: Option<InsertLongText>,
}

/// Divides the texts of a row.
pub(crate) fn divide(texts: [Option<&str>; 2], id: TextId) -> DividedTexts<'_> {
    let row = texts.map(|text| text.map(beginning));
    let mut pieces = Vec::new();
    for (which, whole) in texts.into_iter().enumerate() {
        let whole = whole.unwrap_or_default();
        let piece = |(place, range): (usize, Range<usize>)| InsertPiece {
            id: piece_id(id, which, place),
            text: whole.get(range).unwrap_or_default(),
        };
        pieces.extend(ranges(whole).enumerate().map(piece));
    }
    let rest = |which: usize| {
        let bytes = |text: Option<&str>| text.map_or(0, str::len);
        (bytes(texts[which]) - bytes(row[which])) as i64
    };
    let long = (!pieces.is_empty()).then(|| InsertLongText {
        id,
        state: 1,
        first: rest(0),
        second: rest(1),
    });
    DividedTexts { row, pieces, long }
}

/// The texts of one row.
#[derive(Clone, Debug, PartialEq)]
enum RowTexts {
    /// Prompt and system prompt.
    Task(Arc<NewTask>),
    /// Result and error.
    Ack(Arc<Ack>),
    /// The result that a person gave.
    Answer(Arc<String>),
}

impl RowTexts {
    fn get(&self) -> [&str; 2] {
        let [first, second] = match self {
            RowTexts::Task(new) => [Some(&new.prompt), new.system_prompt.as_ref()],
            RowTexts::Ack(ack) => [ack.result.as_ref(), ack.error.as_ref()],
            RowTexts::Answer(text) => [Some(&**text), None],
        };
        [first, second].map(|text| text.map_or("", String::as_str))
    }

    /// The commands that store the pieces.
    fn stage(self, text: TextId, check: TextCheck) -> Vec<Command> {
        let mut commands = Vec::new();
        let mut bytes = [0; 2];
        for (which, whole) in self.get().into_iter().enumerate() {
            bytes[which] = whole.len() - beginning(whole).len();
            commands.extend(ranges(whole).enumerate().map(|(place, range)| {
                Command::StagePiece(TextPiece {
                    text,
                    which,
                    place,
                    of: self.clone(),
                    range,
                })
            }));
        }
        let open = NewLongText { text, bytes, check };
        commands.insert(0, Command::OpenText(open));
        commands
    }
}

/// A piece of a long text.
#[derive(Clone, Debug, PartialEq)]
pub struct TextPiece {
    /// The texts of the row.
    pub text: TextId,
    /// 0 for the first text of the row, 1 for the second.
    which: usize,
    place: usize,
    of: RowTexts,
    range: Range<usize>,
}

impl TextPiece {
    /// The text of the piece.
    pub fn text(&self) -> &str {
        self.of.get()[self.which]
            .get(self.range.clone())
            .unwrap_or_default()
    }
}

/// Announces the pieces of a row's texts.
#[derive(Clone, Debug, PartialEq)]
pub struct NewLongText {
    /// The texts.
    pub text: TextId,
    /// Bytes of the pieces of the first text, and of the second.
    bytes: [usize; 2],
    check: TextCheck,
}

/// The check of a request whose pieces are about to be stored.
#[derive(Clone, Debug, PartialEq)]
enum TextCheck {
    /// A new task, at this position of a request with several, depends on these.
    Dependencies(Vec<TaskId>, Option<usize>),
    /// An ack, with the beginnings of its texts.
    Ack(Box<Ack>),
    /// An answer to this `human` task.
    Answer(TaskId),
}

/// The long texts of a new task, whose [`NewTask`] has only their beginnings.
#[derive(Clone, Debug, PartialEq)]
pub struct LongTask {
    /// The texts.
    pub text: TextId,
    /// The whole request; `None` after a start, which has its hash if it has a key.
    whole: Option<Arc<NewTask>>,
    /// The hash of the whole request.
    body: OnceLock<i64>,
}

impl LongTask {
    /// Shortens the texts of a task at this position of a request with several tasks. Returns the commands that store their
    /// pieces.
    pub fn shorten(
        new: &mut NewTask,
        position: Option<usize>,
        text: TextId,
    ) -> (LongTask, Vec<Command>) {
        let mut whole = std::mem::take(new);
        let prompt = std::mem::take(&mut whole.prompt);
        let system_prompt = whole.system_prompt.take();
        *new = NewTask {
            prompt: beginning(&prompt).to_owned(),
            system_prompt: system_prompt.as_deref().map(beginning).map(str::to_owned),
            ..whole.clone()
        };
        (whole.prompt, whole.system_prompt) = (prompt, system_prompt);
        let whole = Arc::new(whole);
        let check = TextCheck::Dependencies(new.depends_on.clone(), position);
        let stage = RowTexts::Task(whole.clone()).stage(text, check);
        let body = OnceLock::new();
        let whole = Some(whole);
        (LongTask { text, whole, body }, stage)
    }

    /// The texts of a task that an earlier start has stored. `None`: the task has no idempotency key.
    pub(crate) fn stored(text: TextId, body: Option<i64>) -> LongTask {
        let whole = None;
        let body = body.map_or_else(OnceLock::new, OnceLock::from);
        LongTask { text, whole, body }
    }

    /// The hash of all parameters of the request but the key. The first call takes milliseconds per megabyte: it can be
    /// made ahead, on another thread.
    pub fn body(&self) -> i64 {
        let body = || self.whole.as_deref().map_or(0, key::body);
        *self.body.get_or_init(body)
    }

    pub(crate) fn input(&self) -> LongInput {
        LongInput {
            text: self.text,
            whole: self.whole.clone(),
        }
    }
}

/// The commands that carry out an ack with long texts. The last one is a [`LongAck`](Command::LongAck).
pub fn long_ack(mut whole: Ack, text: TextId) -> Vec<Command> {
    let (result, error) = (whole.result.take(), whole.error.take());
    let short = |text: &Option<String>| text.as_deref().map(beginning).map(str::to_owned);
    let ack = Box::new(Ack {
        result: short(&result),
        error: short(&error),
        ..whole.clone()
    });
    (whole.result, whole.error) = (result, error);
    let check = TextCheck::Ack(ack.clone());
    let mut commands = RowTexts::Ack(Arc::new(whole)).stage(text, check);
    commands.push(Command::LongAck { ack, text });
    commands
}

/// The commands that carry out a long answer to a `human` task. The last one is a [`LongAnswer`](Command::LongAnswer).
pub fn long_answer(task: TaskId, whole: String, by: Option<String>, text: TextId) -> Vec<Command> {
    let beginning = beginning(&whole).to_owned();
    let mut commands = RowTexts::Answer(Arc::new(whole)).stage(text, TextCheck::Answer(task));
    commands.push(Command::LongAnswer {
        task,
        beginning,
        by,
        text,
    });
    commands
}

impl Core {
    /// Checks a request whose pieces follow, and announces them.
    pub(crate) fn open_text(&mut self, new: &NewLongText) -> CommandResult<Outcome> {
        match &new.check {
            TextCheck::Dependencies(depends_on, position) => {
                self.check_dependencies(depends_on, *position)?;
            }
            TextCheck::Ack(ack) => drop(self.judge(ack)?),
            TextCheck::Answer(task) => self.check_answer(*task)?,
        }
        let [first, second] = new.bytes.map(|bytes| bytes as i64);
        self.write(InsertLongText {
            id: new.text,
            state: 0,
            first,
            second,
        })?;
        Ok(Outcome::Ok)
    }

    /// Stores a piece.
    pub(crate) fn stage_piece(&mut self, piece: &TextPiece) -> Result<Outcome> {
        self.write(InsertPiece {
            id: piece_id(piece.text, piece.which, piece.place),
            text: piece.text(),
        })?;
        Ok(Outcome::Ok)
    }

    /// A row that is written now refers to these texts.
    ///
    /// # Errors
    /// Not all of their pieces are stored.
    pub(crate) fn use_text(&mut self, text: Option<TextId>) -> Result<()> {
        let Some(id) = text else {
            return Ok(());
        };
        let (from, upto) = pieces_of(id).into_inner();
        match self.write(UseLongText { id, from, upto })? {
            1 => Ok(()),
            _ => Err(StoreFault::value(
                "the pieces of a long text are not stored",
            )),
        }
    }

    /// As [`use_text`](Core::use_text), of a task that is in memory.
    pub(crate) fn use_text_of(&mut self, task: TaskId, text: Option<TextId>) -> Result<()> {
        self.use_text(text)?;
        if text.is_some() {
            self.change(task, |row| row.flags.set(Flags::HAS_LONG_TEXTS));
        }
        Ok(())
    }

    /// No row will refer to these texts, unless one does already.
    pub(crate) fn drop_text(&mut self, id: TextId) -> Result<Outcome> {
        if self.write(DropLongText { id })? > 0 {
            self.unused_texts.push(id);
        }
        Ok(Outcome::Ok)
    }

    /// Drops the texts of requests that earlier starts did not finish.
    pub(crate) fn drop_staged_texts(&mut self) -> Result<()> {
        if self.db.number(SelectStaged {}.into())?.is_none() {
            return Ok(());
        }
        self.write(DropStaged {})?;
        self.find_unused_texts()?;
        self.commit()
    }

    /// Rows that referred to texts are deleted.
    pub(crate) fn find_unused_texts(&mut self) -> Result<()> {
        self.unused_texts = self.db.ids(SelectUnused {}.into())?;
        Ok(())
    }

    /// Deletes some pieces of texts to which no row refers.
    pub(crate) fn delete_pieces_of_unused_texts(&mut self) -> Result<()> {
        let Some(id) = self.unused_texts.last().copied() else {
            return Ok(());
        };
        let (from, upto) = pieces_of(id).into_inner();
        let limit = DELETED_PIECES;
        if (self.write(DeletePieces { from, upto, limit })? as i64) < limit {
            self.write(DeleteLongText { id })?;
            self.unused_texts.pop();
        }
        Ok(())
    }
}
