//! What a SQL function takes: typed arguments, read from the columns of a chunk.

use super::{Type, Vector};

/// A SQL type as an argument. The implementing type is a marker; [`Argument::Value`] is what the
/// function gets, borrowed from the chunk.
pub trait Argument: 'static {
    /// What the function gets of a row.
    type Value<'v>;
    /// The type of the column.
    fn sql_type() -> Type;
    /// Reads a row that is not NULL.
    fn read<'v>(column: &Vector<'v>, row: usize) -> Result<Self::Value<'v>, String>;
}

/// VARCHAR as `&str`.
pub struct Text;

impl Argument for Text {
    type Value<'v> = &'v str;
    fn sql_type() -> Type {
        Type::Varchar
    }
    fn read<'v>(column: &Vector<'v>, row: usize) -> Result<&'v str, String> {
        column.read_text(row)
    }
}

impl Argument for bool {
    type Value<'v> = bool;
    fn sql_type() -> Type {
        Type::Boolean
    }
    fn read(column: &Vector, row: usize) -> Result<bool, String> {
        Ok(column.read_bool(row))
    }
}

macro_rules! plain_argument {
    ($($rust:ty => $sql:expr),*) => {$(
        impl Argument for $rust {
            type Value<'v> = $rust;
            fn sql_type() -> Type {
                $sql
            }
            fn read(column: &Vector, row: usize) -> Result<$rust, String> {
                Ok(column.read(row))
            }
        }
    )*};
}
plain_argument!(i32 => Type::Integer, i64 => Type::BigInt, f64 => Type::Double);

/// A list of numbers as a slice. A NULL element is an error.
macro_rules! list_argument {
    ($($rust:ty => $sql:expr),*) => {$(
        impl Argument for Vec<$rust> {
            type Value<'v> = &'v [$rust];
            fn sql_type() -> Type {
                Type::List(Box::new($sql))
            }
            fn read<'v>(column: &Vector<'v>, row: usize) -> Result<&'v [$rust], String> {
                let entry: super::vector::ListEntry = column.read(row);
                let child = column.list_child();
                let elements = entry.offset as usize..(entry.offset + entry.length) as usize;
                if elements.into_iter().any(|element| !child.is_valid(element)) {
                    return Err("the list has a NULL element".into());
                }
                Ok(column.read_list(row))
            }
        }
    )*};
}
list_argument!(i32 => Type::Integer, u32 => Type::UInteger, u64 => Type::UBigInt);

/// The arguments of a function: a tuple of [`Argument`]s.
pub trait Parameters: 'static {
    /// What the function gets of a row: a tuple of the arguments' values.
    type Values<'v>;
    /// The types of the columns, in order.
    fn sql_types() -> Vec<Type>;
    /// One row of the columns; `None` when any of them is NULL there.
    fn read<'v>(columns: &[Vector<'v>], row: usize) -> Result<Option<Self::Values<'v>>, String>;
}

macro_rules! tuple_parameters {
    ($($name:ident $index:tt),*) => {
        impl<$($name: Argument),*> Parameters for ($($name,)*) {
            type Values<'v> = ($($name::Value<'v>,)*);
            fn sql_types() -> Vec<Type> {
                vec![$($name::sql_type()),*]
            }
            fn read<'v>(columns: &[Vector<'v>], row: usize) -> Result<Option<Self::Values<'v>>, String> {
                if !columns.iter().all(|column| column.is_valid(row)) {
                    return Ok(None);
                }
                Ok(Some(($($name::read(&columns[$index], row)?,)*)))
            }
        }
    };
}
tuple_parameters!(A 0);
tuple_parameters!(A 0, B 1);
tuple_parameters!(A 0, B 1, C 2);
tuple_parameters!(A 0, B 1, C 2, D 3);

impl Parameters for () {
    type Values<'v> = ();
    fn sql_types() -> Vec<Type> {
        Vec::new()
    }
    fn read(_: &[Vector], _: usize) -> Result<Option<()>, String> {
        Ok(Some(()))
    }
}
