//! SQL types and their DuckDB handles.

use super::ffi::{api, Handle};
use std::ffi::{c_char, CString};

/// A SQL type that a function takes or gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// BOOLEAN.
    Boolean,
    /// INTEGER, 32 bits.
    Integer,
    /// BIGINT, 64 bits.
    BigInt,
    /// UINTEGER, 32 bits.
    UInteger,
    /// UBIGINT, 64 bits.
    UBigInt,
    /// DOUBLE.
    Double,
    /// VARCHAR, UTF-8.
    Varchar,
    /// A list of a type.
    List(Box<Type>),
    /// A struct with these fields, in order.
    Struct(Vec<(&'static str, Type)>),
}

/// An owned `duckdb_logical_type`.
pub struct LogicalType(Handle);

impl LogicalType {
    /// DuckDB's own form of a type.
    pub fn new(kind: &Type) -> Self {
        let handle = match kind {
            Type::Boolean => primitive(1),
            Type::Integer => primitive(4),
            Type::BigInt => primitive(5),
            Type::UInteger => primitive(8),
            Type::UBigInt => primitive(9),
            Type::Double => primitive(11),
            Type::Varchar => primitive(17),
            Type::List(child) => {
                let child = LogicalType::new(child);
                // SAFETY: `child` is a live type; DuckDB copies it.
                unsafe { (api().create_list_type)(child.handle()) }
            }
            Type::Struct(fields) => {
                let types: Vec<LogicalType> = fields.iter().map(|(_, kind)| LogicalType::new(kind)).collect();
                let names: Vec<CString> = fields
                    .iter()
                    .map(|(name, _)| CString::new(*name).expect("no NUL in a field name"))
                    .collect();
                let mut handles: Vec<Handle> = types.iter().map(LogicalType::handle).collect();
                let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
                // SAFETY: both arrays have `fields.len()` live elements; DuckDB copies types and names.
                unsafe {
                    (api().create_struct_type)(
                        handles.as_mut_ptr(),
                        pointers.as_mut_ptr(),
                        fields.len() as u64,
                    )
                }
            }
        };
        LogicalType(handle)
    }

    /// The handle, which lives as long as this.
    pub fn handle(&self) -> Handle {
        self.0
    }
}

impl Drop for LogicalType {
    fn drop(&mut self) {
        // SAFETY: the handle came from a `create_*_type` call and is destroyed only here.
        unsafe { (api().destroy_logical_type)(&mut self.0) }
    }
}

fn primitive(kind: u32) -> Handle {
    // SAFETY: takes a number only.
    unsafe { (api().create_logical_type)(kind) }
}
