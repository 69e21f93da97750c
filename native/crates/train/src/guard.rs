//! A panic becomes an error of the engine.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Mutex;
use tillage_protocol::EngineError;

static LAST: Mutex<Option<String>> = Mutex::new(None);

/// Keeps panics from being printed; [`guarded`] reports them instead.
pub fn install_hook() {
    std::panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload
            .downcast_ref::<&str>()
            .map(|s| (*s).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned());
        let place = info.location().map(|l| format!(" ({}:{})", l.file(), l.line())).unwrap_or_default();
        let message = format!("{}{place}", text.unwrap_or_else(|| "no message".into()));
        // The first panic tells the cause; those of other threads follow from it.
        LAST.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(message);
    }));
}

/// Runs `f`; a panic in it becomes an internal error that names its place.
///
/// # Errors
/// Those of `f`, and `panic`.
pub fn guarded<T>(f: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    LAST.lock().unwrap_or_else(|e| e.into_inner()).take();
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| {
        let what = LAST.lock().unwrap_or_else(|e| e.into_inner()).take();
        Err(EngineError::internal(
            "panic",
            format!("The engine failed: {}.", what.unwrap_or_else(|| "no message".into())),
        ))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_panic_is_an_internal_error() {
        let error = super::guarded::<()>(|| panic!("at {}", 7)).unwrap_err();
        assert_eq!((error.blame, error.code.as_str()), (tillage_protocol::Blame::Internal, "panic"));
    }
}
