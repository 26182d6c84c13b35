//! The statements, as diesel query types that are prepared once per connection (docs/decisions/008).
//!
//! diesel prepares most UPDATEs, upserts, BEGIN and COMMIT again at each use, which costs more than running them. A type
//! with a static query id is found in the connection's statement cache instead. Each type here is one fixed text with
//! one `?` per value, in order. The structs are also the records of [`Backend`](crate::backend::Backend): the code above
//! it fills the fields and does not see the text.

pub(crate) mod access;
pub(crate) mod approval;
pub(crate) mod attempt;
pub(crate) mod batch;
pub(crate) mod children_wait;
pub(crate) mod cold;
mod columns;
pub(crate) mod counter;
pub(crate) mod generation;
pub(crate) mod handoff;
pub(crate) mod long_text;
pub(crate) mod notify;
pub(crate) mod people;
pub(crate) mod plan;
pub(crate) mod records;
pub(crate) mod schedule;
pub(crate) mod sets;
pub(crate) mod task;
pub(crate) mod tx;
pub(crate) mod usage;
pub(crate) mod work;

pub(crate) use columns::{Bind, FromRow, Placeholders, RowReader, bind, row};
use columns::{ColumnValue, column};
use diesel::connection::LoadConnection;
use diesel::query_builder::{Query, QueryFragment, QueryId};
use diesel::sql_types::Untyped;
use diesel::sqlite::Sqlite;
use diesel::{Connection, QueryResult, SqliteConnection};

/// Defines a statement: a struct whose fields are bound, in order, to the `?` of one fixed text.
macro_rules! statement {
    ($(#[$doc:meta])* $name:ident { $($fields:tt)* } $text:expr) => {
        $crate::sql::statement!(@make [$(#[$doc])*] $name [] [] { $($fields)* } $text);
    };
    ($(#[$doc:meta])* $name:ident <$life:lifetime> { $($fields:tt)* } $text:expr) => {
        $crate::sql::statement!(@make [$(#[$doc])*] $name [<$life>] [<'static>] { $($fields)* } $text);
    };
    (@make [$($doc:tt)*] $name:ident [$($life:tt)*] [$($fixed:tt)*]
        { $($field:ident : $ty:ty),* $(,)? } $text:expr) => {
        // One `?` per value, or the crate does not compile.
        const _: () = {
            #[allow(clippy::extra_unused_lifetimes, reason = "a statement may bind only numbers")]
            const fn needed $($life)* () -> usize { 0 $(+ <$ty as $crate::sql::Bind>::COUNT)* }
            assert!(
                $crate::sql::placeholders($text) == needed(),
                concat!(stringify!($name), ": as many `?` as values are needed")
            );
        };

        $($doc)*
        pub(crate) struct $name $($life)* { $(pub $field: $ty),* }

        impl $($life)* diesel::query_builder::QueryFragment<diesel::sqlite::Sqlite> for $name $($life)* {
            fn walk_ast<'b>(
                &'b self,
                out: diesel::query_builder::AstPass<'_, 'b, diesel::sqlite::Sqlite>,
            ) -> diesel::QueryResult<()> {
                // Cut once: this runs several times for each execution.
                static PIECES: std::sync::LazyLock<Vec<&'static str>> =
                    std::sync::LazyLock::new(|| $text.split('?').collect());
                $crate::sql::Placeholders::of(out, &PIECES)$(.bind(&self.$field)?)*;
                Ok(())
            }
        }

        impl $($life)* diesel::query_builder::QueryId for $name $($life)* {
            type QueryId = $name $($fixed)*;

            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl $($life)* diesel::query_builder::Query for $name $($life)* {
            type SqlType = diesel::sql_types::Untyped;
        }
    };
}
pub(crate) use statement;

/// Defines an INSERT: the columns have the names of the fields. The text is the one before the columns, and one that
/// follows the values.
macro_rules! insert {
    ($(#[$doc:meta])* $name:ident $(<$life:lifetime>)? {
        $first:ident : $first_ty:ty $(, $field:ident : $ty:ty)* $(,)?
    } $into:literal $($rest:literal)?) => {
        $crate::sql::statement! {
            $(#[$doc])*
            $name $(<$life>)? { $first: $first_ty $(, $field: $ty)* }
            concat!($into, " (", stringify!($first) $(, ", ", stringify!($field))*,
                    ") VALUES (?" $(, $crate::sql::insert!(@mark $field))*, ")" $(, $rest)?)
        }
    };
    (@mark $field:ident) => { ", ?" };
}
pub(crate) use insert;

/// The number of `?` in a statement.
pub(crate) const fn placeholders(text: &str) -> usize {
    let (bytes, mut at, mut count) = (text.as_bytes(), 0, 0);
    while at < bytes.len() {
        count += (bytes[at] == b'?') as usize;
        at += 1;
    }
    count
}

/// Runs a statement. Returns the number of rows that it changed.
pub(crate) fn run<Q>(conn: &mut SqliteConnection, statement: Q) -> QueryResult<usize>
where
    Q: QueryFragment<Sqlite> + QueryId,
{
    conn.execute_returning_count(&statement)
}

/// Every row of a statement's answer.
pub(crate) fn all<T, Q>(conn: &mut SqliteConnection, statement: Q) -> QueryResult<Vec<T>>
where
    T: FromRow,
    Q: Query<SqlType = Untyped> + QueryFragment<Sqlite> + QueryId,
{
    conn.load(statement)?
        .map(|row| RowReader::of(&row?).read_last())
        .collect()
}

/// The first row of a statement's answer.
pub(crate) fn first<T, Q>(conn: &mut SqliteConnection, statement: Q) -> QueryResult<Option<T>>
where
    T: FromRow,
    Q: Query<SqlType = Untyped> + QueryFragment<Sqlite> + QueryId,
{
    match conn.load(statement)?.next() {
        Some(row) => RowReader::of(&row?).read_last().map(Some),
        None => Ok(None),
    }
}
