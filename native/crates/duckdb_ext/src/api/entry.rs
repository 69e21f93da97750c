//! What DuckDB calls when it loads the file.

use super::ffi::{api, Access, Handle, API, SUCCESS};
use super::scalar::guard;
use std::ffi::CString;

/// The version of the C API that the extension is written against; the footer of the file says the
/// same (`scripts/sign-extension.mjs`).
const API_VERSION: &std::ffi::CStr = c"v1.2.0";

/// Registers every function with the database that loads the extension. Gives `false`, with a
/// message set, when that cannot be done.
///
/// # Safety
/// Called by DuckDB with the arguments of its extension loader.
#[no_mangle]
pub unsafe extern "C" fn tillage_init_c_api(info: Handle, access: *const Access) -> bool {
    // SAFETY: DuckDB's loader passes a live access table.
    let access = unsafe { &*access };
    match guard("tillage", || initialise(info, access)) {
        Ok(()) => true,
        Err(message) => {
            let message = CString::new(message.replace('\0', "\\0")).unwrap_or_default();
            // SAFETY: DuckDB copies the message.
            unsafe { (access.set_error)(info, message.as_ptr()) };
            false
        }
    }
}

fn initialise(info: Handle, access: &Access) -> Result<(), String> {
    // SAFETY: the version is a C string; the table is null or holds at least the v1.2.0 slots.
    let table = unsafe { (access.get_api)(info, API_VERSION.as_ptr()).as_ref() };
    let table = table.ok_or("this DuckDB does not offer the C API v1.2.0 (it is older than 1.2)")?;
    // A second database in the same process brings the same table.
    API.get_or_init(|| *table);
    let mut connection: Handle = std::ptr::null_mut();
    // SAFETY: `get_database` gives a pointer to the handle of the database that is loading.
    let state = unsafe {
        let database = (access.get_database)(info);
        if database.is_null() {
            return Err("DuckDB gave no database to register functions with".into());
        }
        (api().connect)(*database, &mut connection)
    };
    if state != SUCCESS {
        return Err("cannot connect to the database that loads the extension".into());
    }
    let outcome = crate::functions::all().into_iter().try_for_each(|function| function.register(connection));
    // SAFETY: the connection was opened above and is used nowhere else.
    unsafe { (api().disconnect)(&mut connection) };
    outcome
}
