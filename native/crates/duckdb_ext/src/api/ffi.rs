//! The part of `duckdb_ext_api_v1` that this extension calls, declared by slot number.
//!
//! The struct is a table of function pointers whose order is frozen by DuckDB from v1.2.0 on: new
//! functions are only ever added behind. Slots that are not called are padding; the assertions at
//! the end fail the build if a named slot moves.

use std::ffi::{c_char, c_void};
use std::mem::{offset_of, size_of};
use std::sync::OnceLock;

/// A pointer to something only DuckDB looks into.
pub type Handle = *mut c_void;
/// `idx_t`.
pub type Index = u64;
/// `duckdb_state`: 0 is success.
pub type State = u32;
/// `DuckDBSuccess`.
pub const SUCCESS: State = 0;

/// `duckdb_scalar_function_t`: reads a chunk from `input` and writes as many results to `output`.
pub type ScalarCallback = unsafe extern "C" fn(info: Handle, input: Handle, output: Handle);
/// `duckdb_delete_callback_t`: frees what a function was registered with.
pub type DeleteCallback = unsafe extern "C" fn(data: *mut c_void);

type Unused<const N: usize> = [*const c_void; N];

/// DuckDB's functions: each field is that of `duckdb.h` with `duckdb_` before its name, which says what it does.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Api {
    _0: Unused<3>,
    pub connect: unsafe extern "C" fn(database: Handle, out: *mut Handle) -> State,
    _4: Unused<2>,
    pub disconnect: unsafe extern "C" fn(connection: *mut Handle),
    _7: Unused<149>,
    pub create_logical_type: unsafe extern "C" fn(kind: u32) -> Handle,
    _157: Unused<2>,
    pub create_list_type: unsafe extern "C" fn(child: Handle) -> Handle,
    _160: Unused<3>,
    pub create_struct_type:
        unsafe extern "C" fn(types: *mut Handle, names: *mut *const c_char, count: Index) -> Handle,
    _164: Unused<20>,
    pub destroy_logical_type: unsafe extern "C" fn(kind: *mut Handle),
    _185: Unused<5>,
    pub data_chunk_get_vector: unsafe extern "C" fn(chunk: Handle, column: Index) -> Handle,
    pub data_chunk_get_size: unsafe extern "C" fn(chunk: Handle) -> Index,
    _192: Unused<2>,
    pub vector_get_data: unsafe extern "C" fn(vector: Handle) -> *mut c_void,
    pub vector_get_validity: unsafe extern "C" fn(vector: Handle) -> *mut u64,
    pub vector_ensure_validity_writable: unsafe extern "C" fn(vector: Handle),
    _197: Unused<1>,
    pub vector_assign_string_element_len:
        unsafe extern "C" fn(vector: Handle, row: Index, text: *const c_char, length: Index),
    pub list_vector_get_child: unsafe extern "C" fn(vector: Handle) -> Handle,
    pub list_vector_get_size: unsafe extern "C" fn(vector: Handle) -> Index,
    pub list_vector_set_size: unsafe extern "C" fn(vector: Handle, size: Index) -> State,
    pub list_vector_reserve: unsafe extern "C" fn(vector: Handle, capacity: Index) -> State,
    pub struct_vector_get_child: unsafe extern "C" fn(vector: Handle, index: Index) -> Handle,
    _204: Unused<5>,
    pub create_scalar_function: unsafe extern "C" fn() -> Handle,
    pub destroy_scalar_function: unsafe extern "C" fn(function: *mut Handle),
    pub scalar_function_set_name: unsafe extern "C" fn(function: Handle, name: *const c_char),
    _212: Unused<3>,
    pub scalar_function_add_parameter: unsafe extern "C" fn(function: Handle, kind: Handle),
    pub scalar_function_set_return_type: unsafe extern "C" fn(function: Handle, kind: Handle),
    pub scalar_function_set_extra_info:
        unsafe extern "C" fn(function: Handle, data: *mut c_void, destroy: Option<DeleteCallback>),
    pub scalar_function_set_function: unsafe extern "C" fn(function: Handle, callback: ScalarCallback),
    pub register_scalar_function: unsafe extern "C" fn(connection: Handle, function: Handle) -> State,
    pub scalar_function_get_extra_info: unsafe extern "C" fn(info: Handle) -> *mut c_void,
    pub scalar_function_set_error: unsafe extern "C" fn(info: Handle, message: *const c_char),
}

macro_rules! assert_slots {
    ($($field:ident = $slot:literal),* $(,)?) => {
        $(const _: () = assert!(offset_of!(Api, $field) == $slot * size_of::<Handle>());)*
    };
}
assert_slots! {
    connect = 3, disconnect = 6, create_logical_type = 156, create_list_type = 159,
    create_struct_type = 163, destroy_logical_type = 184, data_chunk_get_vector = 190,
    data_chunk_get_size = 191, vector_get_data = 194, vector_get_validity = 195,
    vector_ensure_validity_writable = 196, vector_assign_string_element_len = 198,
    list_vector_get_child = 199, list_vector_get_size = 200, list_vector_set_size = 201,
    list_vector_reserve = 202, struct_vector_get_child = 203, create_scalar_function = 209,
    destroy_scalar_function = 210, scalar_function_set_name = 211,
    scalar_function_add_parameter = 215, scalar_function_set_return_type = 216,
    scalar_function_set_extra_info = 217, scalar_function_set_function = 218,
    register_scalar_function = 219, scalar_function_get_extra_info = 220,
    scalar_function_set_error = 221,
}

// SAFETY: the table holds function pointers that DuckDB never changes and that any thread may call.
unsafe impl Send for Api {}
// SAFETY: as above; nothing in it is ever written after it was filled.
unsafe impl Sync for Api {}

/// `duckdb_extension_access`: what DuckDB hands to the init function.
#[repr(C)]
pub struct Access {
    /// Tells why the extension cannot be loaded.
    pub set_error: unsafe extern "C" fn(info: Handle, message: *const c_char),
    /// The database that loads the extension.
    pub get_database: unsafe extern "C" fn(info: Handle) -> *mut Handle,
    /// The table of functions, at least of a version such as `v1.2.0`; null where DuckDB is older.
    pub get_api: unsafe extern "C" fn(info: Handle, version: *const c_char) -> *const Api,
}

/// The table of the DuckDB that loaded this library, filled by the init function.
pub static API: OnceLock<Api> = OnceLock::new();

/// The C API. Panics when called before DuckDB loaded the extension, which only a test could do.
pub fn api() -> &'static Api {
    API.get().expect("DuckDB has not loaded the extension")
}
