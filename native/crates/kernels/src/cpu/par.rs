//! Splitting work between threads.
#![allow(unsafe_code)]

use rayon::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(target_arch = "x86_64")]
use std::sync::Mutex;

/// Calls `f` on one of the threads of the pool, unless it is called there already, and keeps the others from falling
/// asleep meanwhile: the products of a token take less time than waking a thread for each of them.
pub fn pooled<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    if rayon::current_thread_index().is_some() {
        return f();
    }
    let done = Done(AtomicBool::new(false));
    rayon::scope(|scope| {
        (1..rayon::current_num_threads()).for_each(|_| scope.spawn(|_| done.wait()));
        // Set when `f` panics too.
        let _end = End(&done);
        f()
    })
}

struct Done(AtomicBool);

/// Polls for work in a loop, about as long as a thread needs to wake up; then polls between which other programs may have the
/// processor. Whoever has found nothing in all of them may as well sleep.
const EAGER: u32 = 500;
const PATIENT: u32 = 2_000;

impl Done {
    /// Works on what the pool has, until the end or until there has been nothing for long.
    fn wait(&self) {
        let mut idle = 0;
        while idle < EAGER + PATIENT && !self.0.load(Ordering::Acquire) {
            if rayon::yield_now() == Some(rayon::Yield::Executed) {
                idle = 0;
                continue;
            }
            idle += 1;
            if idle < EAGER {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

struct End<'a>(&'a Done);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0 .0.store(true, Ordering::Release);
    }
}

/// Buffers that are kept between calls, whichever thread makes them: as many as are used at the same time.
#[cfg(target_arch = "x86_64")]
pub(crate) struct Spare<T>(Mutex<Vec<T>>);

#[cfg(target_arch = "x86_64")]
impl<T: Default> Spare<T> {
    pub(crate) const fn new() -> Self {
        Spare(Mutex::new(Vec::new()))
    }

    /// Calls `f` with one of them, or with a new one.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let mut own = self.0.lock().unwrap_or_else(|e| e.into_inner()).pop().unwrap_or_default();
        let result = f(&mut own);
        self.0.lock().unwrap_or_else(|e| e.into_inner()).push(own);
        result
    }
}

/// Calls `f` on consecutive ranges that cover `0..n`, at least `grain` long, one a thread.
pub(crate) fn ranges(n: usize, grain: usize, f: impl Fn(Range<usize>) + Sync) {
    let parts = (n / grain.max(1)).clamp(1, rayon::current_num_threads());
    if parts == 1 {
        return f(0..n);
    }
    (0..parts).into_par_iter().with_max_len(1).for_each(|p| f(n * p / parts..n * (p + 1) / parts));
}

/// Rows that one thread should take at least, so that it has some 16k numbers to work on.
pub(crate) fn row_grain(width: usize) -> usize {
    (16_384 / width.max(1)).max(1)
}

/// A slice that several threads write, each in its own part.
pub(crate) struct Disjoint<'a, T = f32> {
    ptr: *mut T,
    len: usize,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: access goes through `part` only, whose callers promise that no two threads hold overlapping parts.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}
// SAFETY: as above; the pointer is to plain numbers owned by the borrowed slice.
unsafe impl<T: Send> Send for Disjoint<'_, T> {}

impl<'a, T> Disjoint<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Disjoint { ptr: slice.as_mut_ptr(), len: slice.len(), life: PhantomData }
    }

    /// A part of the slice.
    ///
    /// # Safety
    /// No other part that overlaps `range` may be alive.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: in bounds by the assertion; not aliased by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.add(range.start), range.end - range.start) }
    }

    /// The address of an element, for a strided write.
    pub(crate) fn at(&self, index: usize) -> *mut T {
        assert!(index < self.len);
        self.ptr.wrapping_add(index)
    }
}
