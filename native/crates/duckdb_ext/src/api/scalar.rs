//! Scalar functions: from a Rust function to a registered SQL function.

use super::ffi::{api, Handle, SUCCESS};
use super::types::LogicalType;
use super::{Parameters, Type, Value, Vector};
use std::any::Any;
use std::ffi::{c_void, CString};
use std::panic::{catch_unwind, AssertUnwindSafe};

type Evaluate = dyn Fn(&[Vector], &Vector, usize) -> Result<(), String> + Send + Sync;

/// A SQL function: name, types, and what it does to a chunk.
pub struct Function {
    /// What SQL calls it.
    pub name: &'static str,
    /// Types of its arguments, in order.
    pub parameters: Vec<Type>,
    /// Type of its result.
    pub returns: Type,
    evaluate: Box<Evaluate>,
}

impl Function {
    /// Wraps `row`, which is called for each row that has no NULL argument. `S` is scratch space
    /// (tables, the last compiled pattern): made anew for every chunk and kept from row to row.
    pub fn new<P, R, S, F>(name: &'static str, row: F) -> Function
    where
        P: Parameters,
        R: Value,
        S: Default,
        F: for<'v> Fn(&mut S, P::Values<'v>) -> Result<R, String> + Send + Sync + 'static,
    {
        let evaluate = move |columns: &[Vector], output: &Vector, rows: usize| {
            let mut scratch = S::default();
            for index in 0..rows {
                match P::read(columns, index)? {
                    Some(values) => row(&mut scratch, values)?.write(output, index)?,
                    None => R::write_null(output, index),
                }
            }
            Ok(())
        };
        Function { name, parameters: P::sql_types(), returns: R::sql_type(), evaluate: Box::new(evaluate) }
    }

    /// Registers the function with the database of `connection`, which owns it from then on.
    pub(super) fn register(self, connection: Handle) -> Result<(), String> {
        let name = CString::new(self.name).expect("no NUL in a function name");
        let display_name = self.name;
        // SAFETY: the handle is created, filled and destroyed here; DuckDB copies name and types.
        // The boxed function goes to DuckDB, which frees it through `drop_function` exactly once.
        let state = unsafe {
            let mut handle = (api().create_scalar_function)();
            (api().scalar_function_set_name)(handle, name.as_ptr());
            for kind in &self.parameters {
                (api().scalar_function_add_parameter)(handle, LogicalType::new(kind).handle());
            }
            (api().scalar_function_set_return_type)(handle, LogicalType::new(&self.returns).handle());
            (api().scalar_function_set_function)(handle, run);
            let data = Box::into_raw(Box::new(self)).cast::<c_void>();
            (api().scalar_function_set_extra_info)(handle, data, Some(drop_function));
            let state = (api().register_scalar_function)(connection, handle);
            (api().destroy_scalar_function)(&mut handle);
            state
        };
        if state == SUCCESS {
            Ok(())
        } else {
            Err(format!("DuckDB did not register the function {display_name}"))
        }
    }
}

unsafe extern "C" fn drop_function(data: *mut c_void) {
    // SAFETY: `data` is the box made in `register`; DuckDB calls this once.
    let function = unsafe { Box::from_raw(data.cast::<Function>()) };
    // Nothing to report to here; a panic must not cross the boundary all the same.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(function)));
}

/// The callback of every function: finds the [`Function`] in the extra info and runs it.
unsafe extern "C" fn run(info: Handle, input: Handle, output: Handle) {
    let failure = guard("till", || {
        // SAFETY: the extra info is the `Function` that `register` boxed; it lives as long as the
        // catalog entry, which the running query holds.
        let function = unsafe { &*(api().scalar_function_get_extra_info)(info).cast::<Function>() };
        guard(function.name, || {
            // SAFETY: DuckDB hands over a chunk with one flat vector a parameter and a writable
            // flat result vector; all live until this callback returns.
            let (rows, columns, output) = unsafe {
                let rows = (api().data_chunk_get_size)(input) as usize;
                let columns: Vec<Vector> = (0..function.parameters.len())
                    .map(|column| Vector::from_handle((api().data_chunk_get_vector)(input, column as u64)))
                    .collect();
                (rows, columns, Vector::from_handle(output))
            };
            (function.evaluate)(&columns, &output, rows)
                .map_err(|message| format!("{}: {message}", function.name))
        })
    });
    if let Err(message) = failure {
        let message = CString::new(message.replace('\0', "\\0")).unwrap_or_default();
        // SAFETY: DuckDB copies the message.
        unsafe { (api().scalar_function_set_error)(info, message.as_ptr()) }
    }
}

/// Runs `body` and turns a panic into an `Err` that says so.
pub(super) fn guard<T>(name: &str, body: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        let message =
            format!("{name}: internal error, please report it: {}", panic_message(payload.as_ref()));
        // Dropping a payload can panic again; it is leaked instead.
        std::mem::forget(payload);
        Err(message)
    })
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use super::guard;

    #[test]
    fn a_panic_becomes_an_error_that_names_the_function() {
        let error = guard::<()>("till_words", || panic!("index {} out of range", 7)).unwrap_err();
        assert_eq!(error, "till_words: internal error, please report it: index 7 out of range");
        let error = guard::<()>("till_words", || std::panic::panic_any(3_u8)).unwrap_err();
        assert!(error.ends_with("a panic without a message"), "{error}");
    }

    #[test]
    fn results_pass_through() {
        assert_eq!(guard("f", || Ok(3)), Ok(3));
        assert_eq!(guard::<()>("f", || Err("no".into())), Err("no".into()));
    }
}
