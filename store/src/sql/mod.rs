//! The statements, as diesel query types that are prepared once per connection (docs/decisions/008).
//!
//! diesel prepares most UPDATEs, upserts, BEGIN and COMMIT again at each use, which costs more than running them. A type
//! with a static query id is found in the connection's statement cache instead. Each type here is one fixed text with
//! one `?` per field, in order. The structs are also the records of [`Backend`](crate::backend::Backend): the code above
//! it fills the fields and does not see the text.

pub(crate) mod approval;
pub(crate) mod attempt;
pub(crate) mod cold;
pub(crate) mod counter;
pub(crate) mod generation;
pub(crate) mod people;
pub(crate) mod records;
pub(crate) mod sets;
pub(crate) mod task;
pub(crate) mod tx;
pub(crate) mod usage;
pub(crate) mod work;

use diesel::connection::LoadConnection;
use diesel::deserialize::FromSql;
use diesel::query_builder::{Query, QueryFragment, QueryId};
use diesel::result::Error;
use diesel::row::{Field, Row};
use diesel::sql_types::{BigInt, Nullable, Text, Untyped};
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
        { $($field:ident : $ty:ty => $sql:ty),* $(,)? } $text:expr) => {
        // One `?` per field, or the crate does not compile.
        const _: () = assert!(
            $crate::sql::placeholders($text) == <[&str]>::len(&[$(stringify!($field)),*]),
            concat!(stringify!($name), ": as many `?` as fields are needed")
        );

        $($doc)*
        pub(crate) struct $name $($life)* { $(pub $field: $ty),* }

        impl $($life)* diesel::query_builder::QueryFragment<diesel::sqlite::Sqlite> for $name $($life)* {
            fn walk_ast<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, diesel::sqlite::Sqlite>,
            ) -> diesel::QueryResult<()> {
                // Cut once: this runs several times for each execution.
                static PIECES: std::sync::LazyLock<Vec<&'static str>> =
                    std::sync::LazyLock::new(|| $text.split('?').collect());
                let mut pieces = PIECES.iter().copied();
                out.push_sql(pieces.next().unwrap_or_default());
                $(
                    out.push_bind_param::<$sql, $ty>(&self.$field)?;
                    out.push_sql(pieces.next().unwrap_or_default());
                )*
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

/// The number of `?` in a statement.
pub(crate) const fn placeholders(text: &str) -> usize {
    let (bytes, mut at, mut count) = (text.as_bytes(), 0, 0);
    while at < bytes.len() {
        count += (bytes[at] == b'?') as usize;
        at += 1;
    }
    count
}

/// A value that is read from a row, column by column.
pub(crate) trait FromRow: Sized {
    /// The number of columns; a query that returns another number fails the tests (`debug_assert`).
    const COLUMNS: usize;

    /// Reads the present row.
    ///
    /// # Errors
    /// A column is missing or has a value of another type.
    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<Self>;
}

/// Column `index` of a row as a number, text, or none.
pub(crate) fn column<'a, S, T>(row: &impl Row<'a, Sqlite>, index: usize) -> QueryResult<T>
where
    T: FromSql<S, Sqlite>,
{
    let field = row.get(index).ok_or(Error::NotFound)?;
    T::from_nullable_sql(field.value()).map_err(Error::DeserializationError)
}

/// A number.
pub(crate) fn int<'a>(row: &impl Row<'a, Sqlite>, index: usize) -> QueryResult<i64> {
    column::<BigInt, i64>(row, index)
}

/// A number or null.
pub(crate) fn maybe_int<'a>(row: &impl Row<'a, Sqlite>, index: usize) -> QueryResult<Option<i64>> {
    column::<Nullable<BigInt>, Option<i64>>(row, index)
}

/// A text.
pub(crate) fn text<'a>(row: &impl Row<'a, Sqlite>, index: usize) -> QueryResult<String> {
    column::<Text, String>(row, index)
}

/// A text or null.
pub(crate) fn maybe_text<'a>(
    row: &impl Row<'a, Sqlite>,
    index: usize,
) -> QueryResult<Option<String>> {
    column::<Nullable<Text>, Option<String>>(row, index)
}

impl FromRow for i64 {
    const COLUMNS: usize = 1;

    fn from_row<'a>(row: &impl Row<'a, Sqlite>) -> QueryResult<i64> {
        int(row, 0)
    }
}

fn read<'a, T: FromRow>(row: &impl Row<'a, Sqlite>) -> QueryResult<T> {
    debug_assert_eq!(
        row.field_count(),
        T::COLUMNS,
        "{}",
        std::any::type_name::<T>()
    );
    T::from_row(row)
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
    conn.load(statement)?.map(|row| read(&row?)).collect()
}

/// The first row of a statement's answer.
pub(crate) fn first<T, Q>(conn: &mut SqliteConnection, statement: Q) -> QueryResult<Option<T>>
where
    T: FromRow,
    Q: Query<SqlType = Untyped> + QueryFragment<Sqlite> + QueryId,
{
    match conn.load(statement)?.next() {
        Some(row) => read(&row?).map(Some),
        None => Ok(None),
    }
}
