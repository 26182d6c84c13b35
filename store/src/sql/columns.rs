//! Rows as Rust values: reading columns from left to right, and binding values to the `?` of a statement.

use diesel::QueryResult;
use diesel::deserialize::{self, FromSql};
use diesel::query_builder::AstPass;
use diesel::result::Error;
use diesel::row::{Field, Row};
use diesel::sql_types::{BigInt, Binary, Double, Nullable, Text};
use diesel::sqlite::{Sqlite, SqliteValue};
use std::sync::Arc;

/// A row whose first columns are read already.
pub(crate) struct RowReader<'r, R> {
    row: &'r R,
    next: usize,
}

impl<'r, 'a, R: Row<'a, Sqlite>> RowReader<'r, R> {
    /// A row, before its first column.
    pub fn of(row: &'r R) -> RowReader<'r, R> {
        RowReader { row, next: 0 }
    }

    /// Reads the next value, which takes one column or several.
    ///
    /// # Errors
    /// A column is missing or has a value of another type.
    pub fn read<T: FromRow>(&mut self) -> QueryResult<T> {
        T::from_row(self)
    }

    /// Reads the value that takes all columns that are left. More columns than it takes fail the tests.
    ///
    /// # Errors
    /// As [`read`](RowReader::read).
    pub fn read_last<T: FromRow>(&mut self) -> QueryResult<T> {
        let value = self.read()?;
        let (read, all) = (self.next, self.row.field_count());
        debug_assert_eq!(read, all, "{}", std::any::type_name::<T>());
        Ok(value)
    }
}

/// A value that is read from one or more columns; [`row!`](super::row) implements it for structs.
pub(crate) trait FromRow: Sized {
    /// Reads the value from the next columns.
    ///
    /// # Errors
    /// A column is missing or has a value of another type.
    fn from_row<'a, R: Row<'a, Sqlite>>(columns: &mut RowReader<'_, R>) -> QueryResult<Self>;
}

/// A value of one column.
pub(crate) trait ColumnValue: Sized {
    /// Reads the value; `None` is null.
    ///
    /// # Errors
    /// The column has a value of another type.
    fn from_value(value: Option<SqliteValue<'_, '_, '_>>) -> deserialize::Result<Self>;
}

impl<T: ColumnValue> FromRow for T {
    fn from_row<'a, R: Row<'a, Sqlite>>(columns: &mut RowReader<'_, R>) -> QueryResult<T> {
        let field = columns.row.get(columns.next).ok_or(Error::NotFound)?;
        columns.next += 1;
        T::from_value(field.value()).map_err(Error::DeserializationError)
    }
}

/// Reads a struct from the columns of its fields, in this order; `field = convert` passes the value of the columns
/// through a function. A struct whose columns are in the order of its fields can be declared inside.
macro_rules! row {
    ($name:ty { $($field:ident $(= $convert:expr)?),* $(,)? }) => {
        impl $crate::sql::FromRow for $name {
            fn from_row<'a, R: diesel::row::Row<'a, diesel::sqlite::Sqlite>>(
                columns: &mut $crate::sql::RowReader<'_, R>,
            ) -> diesel::QueryResult<Self> {
                Ok(Self { $($field: $crate::sql::row!(@value columns.read()? $(, $convert)?)),* })
            }
        }
    };
    (@value $value:expr) => { $value };
    (@value $value:expr, $convert:expr) => { $convert($value) };
    ($(#[$of_struct:meta])* $vis:vis struct $name:ident {
        $($(#[$of_field:meta])* $of:vis $field:ident : $ty:ty),* $(,)?
    }) => {
        $(#[$of_struct])*
        $vis struct $name { $($(#[$of_field])* $of $field: $ty),* }
        $crate::sql::row! { $name { $($field),* } }
    };
}
pub(crate) use row;

/// Implements [`FromRow`] for tuples.
macro_rules! tuples {
    ($(($($part:ident)+))+) => {
        $(impl<$($part: FromRow),+> FromRow for ($($part),+) {
            fn from_row<'a, Q: Row<'a, Sqlite>>(columns: &mut RowReader<'_, Q>) -> QueryResult<Self> {
                Ok(($(columns.read::<$part>()?),+))
            }
        })+
    };
}
tuples! { (A B) (A B C) (A B C D) (A B C D E) }

impl<T: FromRow + Default, const N: usize> FromRow for [T; N] {
    fn from_row<'a, R: Row<'a, Sqlite>>(columns: &mut RowReader<'_, R>) -> QueryResult<[T; N]> {
        let mut all = [(); N].map(|()| T::default());
        for value in &mut all {
            *value = columns.read()?;
        }
        Ok(all)
    }
}

impl<T: ColumnValue> ColumnValue for Option<T> {
    fn from_value(value: Option<SqliteValue<'_, '_, '_>>) -> deserialize::Result<Option<T>> {
        value.map(|value| T::from_value(Some(value))).transpose()
    }
}

/// Implements [`ColumnValue`] for types, each by a conversion from the type that SQLite has for it.
macro_rules! column {
    ($($ty:ty: $from:ty => $convert:expr),* $(,)?) => {
        $(impl ColumnValue for $ty {
            fn from_value(value: Option<SqliteValue<'_, '_, '_>>) -> deserialize::Result<$ty> {
                let convert: fn($from) -> deserialize::Result<$ty> = $convert;
                convert(<$from>::from_value(value)?)
            }
        })*
    };
    ($($ty:ty as $sql:ty),* $(,)?) => {
        $(impl ColumnValue for $ty {
            fn from_value(value: Option<SqliteValue<'_, '_, '_>>) -> deserialize::Result<$ty> {
                FromSql::<$sql, Sqlite>::from_nullable_sql(value)
            }
        })*
    };
}
pub(super) use column;
column! { i64 as BigInt, f64 as Double, String as Text, Vec<u8> as Binary }
column! {
    i32: i64 => |number| Ok(number.try_into()?),
    u32: i64 => |number| Ok(number.try_into()?),
    // No count or amount is negative; a sum that the file shows as negative counts as nothing.
    u64: i64 => |number| Ok(number.try_into().unwrap_or(0)),
    bool: i64 => |number| Ok(number != 0),
    Arc<str>: String => |text| Ok(text.into()),
}

/// A value for the `?` of a statement: for one of them, or for one per part.
pub(crate) trait Bind {
    /// The number of `?`.
    const COUNT: usize;

    /// Binds the value to the next of them.
    ///
    /// # Errors
    /// diesel cannot bind it.
    fn bind<'b>(&'b self, statement: &mut Placeholders<'_, 'b>) -> QueryResult<()>;
}

/// A statement whose first `?` are bound already.
pub(crate) struct Placeholders<'a, 'b> {
    out: AstPass<'a, 'b, Sqlite>,
    /// The text between the `?` that are left.
    pieces: std::slice::Iter<'static, &'static str>,
}

impl<'a, 'b> Placeholders<'a, 'b> {
    /// A statement, before its first `?`; `pieces` is the text between them.
    pub fn of(out: AstPass<'a, 'b, Sqlite>, pieces: &'static [&'static str]) -> Self {
        let mut statement = Placeholders {
            out,
            pieces: pieces.iter(),
        };
        statement.push_text();
        statement
    }

    /// Binds the next value.
    ///
    /// # Errors
    /// As [`Bind::bind`].
    pub fn bind(mut self, value: &'b impl Bind) -> QueryResult<Self> {
        value.bind(&mut self)?;
        Ok(self)
    }

    fn push_text(&mut self) {
        self.out
            .push_sql(self.pieces.next().copied().unwrap_or_default());
    }
}

/// Implements [`Bind`] for types of one `?`.
macro_rules! bind_one {
    ($($ty:ty as $sql:ty),*) => {
        $(impl Bind for $ty {
            const COUNT: usize = 1;

            fn bind<'b>(&'b self, statement: &mut Placeholders<'_, 'b>) -> QueryResult<()> {
                statement.out.push_bind_param::<$sql, $ty>(self)?;
                statement.push_text();
                Ok(())
            }
        })*
    };
}
bind_one! { i64 as BigInt, &str as Text, Option<i64> as Nullable<BigInt>, Option<&str> as Nullable<Text> }

impl<T: Bind, const N: usize> Bind for [T; N] {
    const COUNT: usize = N * T::COUNT;

    fn bind<'b>(&'b self, statement: &mut Placeholders<'_, 'b>) -> QueryResult<()> {
        self.iter().try_for_each(|value| value.bind(statement))
    }
}

/// Binds a struct to one `?` per field, in this order.
macro_rules! bind {
    ($name:ty { $($field:ident),* $(,)? }) => {
        impl $crate::sql::Bind for $name {
            const COUNT: usize = <[&str]>::len(&[$(stringify!($field)),*]);

            fn bind<'b>(
                &'b self,
                statement: &mut $crate::sql::Placeholders<'_, 'b>,
            ) -> diesel::QueryResult<()> {
                $(self.$field.bind(statement)?;)*
                Ok(())
            }
        }
    };
}
pub(crate) use bind;
