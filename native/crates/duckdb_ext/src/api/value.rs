//! What a SQL function gives: Rust values, written into a result column.

use super::{Type, Vector};

/// A Rust type that has a SQL type.
pub trait Value: Sized {
    /// The type of the column that it is written to.
    fn sql_type() -> Type;
    /// Writes the value to a row of a vector of that type.
    fn write(&self, column: &Vector, row: usize) -> Result<(), String>;
    /// Makes a row NULL, with all that lies inside it.
    fn write_null(column: &Vector, row: usize) {
        column.set_null(row);
    }
    /// Writes the elements of a list from `row` on.
    fn write_all(values: &[Self], column: &Vector, row: usize) -> Result<(), String> {
        values.iter().enumerate().try_for_each(|(index, value)| value.write(column, row + index))
    }
}

macro_rules! plain_value {
    ($($rust:ty => $sql:expr),*) => {$(
        impl Value for $rust {
            fn sql_type() -> Type {
                $sql
            }
            fn write(&self, column: &Vector, row: usize) -> Result<(), String> {
                column.write(row, *self);
                Ok(())
            }
            fn write_all(values: &[Self], column: &Vector, row: usize) -> Result<(), String> {
                column.write_slice(row, values);
                Ok(())
            }
        }
    )*};
}
plain_value!(
    i32 => Type::Integer, i64 => Type::BigInt, u32 => Type::UInteger, u64 => Type::UBigInt,
    f64 => Type::Double
);

impl Value for bool {
    fn sql_type() -> Type {
        Type::Boolean
    }
    fn write(&self, column: &Vector, row: usize) -> Result<(), String> {
        column.write_bool(row, *self);
        Ok(())
    }
}

macro_rules! text_value {
    ($($rust:ty),*) => {$(
        impl Value for $rust {
            fn sql_type() -> Type {
                Type::Varchar
            }
            fn write(&self, column: &Vector, row: usize) -> Result<(), String> {
                // DuckDB's string length is 32 bits wide.
                if u32::try_from(self.len()).is_err() {
                    return Err(format!("the result has {} bytes; a text may have 4 GiB", self.len()));
                }
                column.write_text(row, self);
                Ok(())
            }
        }
    )*};
}
text_value!(String, &'static str);

impl<T: Value> Value for Option<T> {
    fn sql_type() -> Type {
        T::sql_type()
    }
    fn write(&self, column: &Vector, row: usize) -> Result<(), String> {
        match self {
            Some(value) => value.write(column, row),
            None => {
                T::write_null(column, row);
                Ok(())
            }
        }
    }
    fn write_null(column: &Vector, row: usize) {
        T::write_null(column, row);
    }
}

impl<T: Value> Value for Vec<T> {
    fn sql_type() -> Type {
        Type::List(Box::new(T::sql_type()))
    }
    fn write(&self, column: &Vector, row: usize) -> Result<(), String> {
        let first = column.list_append(row, self.len())?;
        T::write_all(self, &column.list_child(), first)
    }
}

/// Makes a struct a SQL STRUCT: `sql_struct!(Name { field: type, ... })` lists its fields in the
/// order that SQL shows.
#[macro_export]
macro_rules! sql_struct {
    ($name:ty { $($field:ident : $kind:ty),* $(,)? }) => {
        impl $crate::api::Value for $name {
            fn sql_type() -> $crate::api::Type {
                $crate::api::Type::Struct(vec![
                    $((stringify!($field), <$kind as $crate::api::Value>::sql_type())),*
                ])
            }
            #[allow(unused_assignments)] // the last increment
            fn write(&self, column: &$crate::api::Vector, row: usize) -> Result<(), String> {
                let mut child = 0;
                $(
                    $crate::api::Value::write(&self.$field, &column.struct_child(child), row)?;
                    child += 1;
                )*
                Ok(())
            }
            #[allow(unused_assignments)]
            fn write_null(column: &$crate::api::Vector, row: usize) {
                column.set_null(row);
                let mut child = 0;
                $(
                    <$kind as $crate::api::Value>::write_null(&column.struct_child(child), row);
                    child += 1;
                )*
            }
        }
    };
}
