//! A panic becomes an error: of the engine where the engine panics, of the input where a library does that reads it.

use crate::EngineError;
use std::any::Any;
use std::cell::RefCell;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Mutex;

static LAST: Mutex<Option<String>> = Mutex::new(None);

thread_local! {
    /// What a library said when it panicked, while this thread waits for that.
    static AWAITED: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

/// Keeps panics from being printed; [`guarded`] and [`caught`] report them instead.
pub fn install_hook() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|l| format!(" ({}:{})", l.file(), l.line())).unwrap_or_default();
        let message = format!("{}{place}", text(info.payload()));
        let awaited = AWAITED.with_borrow_mut(|awaited| match awaited {
            Some(said) => {
                said.get_or_insert_with(|| message.clone());
                true
            }
            None => false,
        });
        if !awaited {
            // The first panic tells the cause; those of other threads follow from it.
            LAST.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(message);
        }
    }));
}

/// Runs `f`; a panic in it, or in threads that it waits for, becomes an internal error that names its place.
///
/// # Errors
/// Those of `f`, and `panic`.
pub fn guarded<T>(f: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    LAST.lock().unwrap_or_else(|e| e.into_inner()).take();
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        let what = LAST.lock().unwrap_or_else(|e| e.into_inner()).take();
        let what = what.unwrap_or_else(|| text(&*payload));
        Err(EngineError::internal("panic", format!("The engine failed: {what}.")))
    })
}

/// Runs what a library makes of somebody's file on this thread. Where the library panics instead of refusing the file, what it said
/// comes back, so that the caller can name the file. What `f` was working on must be thrown away then.
///
/// # Errors
/// The panic's message and place.
pub fn caught<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    let outer = AWAITED.replace(Some(None));
    let done = catch_unwind(AssertUnwindSafe(f));
    let said = AWAITED.replace(outer).flatten();
    done.map_err(|payload| said.unwrap_or_else(|| text(&*payload)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Blame;

    /// The hook and the first panic belong to the process: one test at a time.
    static ALONE: Mutex<()> = Mutex::new(());

    #[test]
    fn a_panic_is_an_internal_error() {
        let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
        let error = guarded::<()>(|| panic!("at {}", 7)).unwrap_err();
        assert_eq!((error.blame, error.code.as_str()), (Blame::Internal, "panic"));
        assert!(error.message.contains("at 7"), "{}", error.message);
    }

    #[test]
    fn a_panic_of_a_library_is_told_and_forgotten() {
        let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
        install_hook();
        let said = caught(|| -> u8 { panic!("a bad file") }).unwrap_err();
        assert!(said.contains("a bad file (") && said.contains("guard.rs"), "{said}");
        assert_eq!(caught(|| 5), Ok(5));
        // It is not the cause of what comes later.
        let error = guarded::<()>(|| {
            let _ = caught(|| panic!("handled"));
            panic!("the cause")
        });
        assert!(error.unwrap_err().message.contains("the cause"));
        let thread = guarded::<()>(|| {
            std::thread::spawn(|| panic!("elsewhere")).join().map_err(|_| EngineError::internal("x", "y"))
        });
        assert_eq!(thread.unwrap_err().code, "x");
    }
}
