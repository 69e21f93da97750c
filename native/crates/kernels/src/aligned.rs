//! Memory whose large blocks begin at a cache line.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};

/// Bytes from which on a block begins at a cache line.
const LARGE: usize = 4096;
/// Bytes of a cache line, and of the widest vectors.
const LINE: usize = 64;

/// The system's memory, with blocks of 4 KiB and more at a multiple of 64 bytes: a vector of 16 numbers is then in one cache line and
/// not across two. For `#[global_allocator]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Aligned;

fn aligned(layout: Layout) -> Layout {
    if layout.size() < LARGE || layout.align() >= LINE {
        return layout;
    }
    // The size is no larger than before, only the alignment is: where that overflows, so does the system.
    Layout::from_size_align(layout.size(), LINE).unwrap_or(layout)
}

// SAFETY: the system's allocator is asked with one and the same layout for a block as long as the block lives: what `aligned` makes of
// the layout that the caller has to name again.
unsafe impl GlobalAlloc for Aligned {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise; the size is the same.
        unsafe { System.alloc(aligned(layout)) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(aligned(layout)) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above; the block was made with this layout.
        unsafe { System.dealloc(at, aligned(layout)) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above; the caller promises that the size fits the alignment.
        unsafe {
            let to = Layout::from_size_align_unchecked(size, layout.align());
            if aligned(layout).align() == aligned(to).align() {
                return System.realloc(at, aligned(layout), size);
            }
            let new = self.alloc(to);
            if !new.is_null() {
                new.copy_from_nonoverlapping(at, layout.size().min(size));
                self.dealloc(at, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_blocks_begin_at_a_line_and_keep_what_is_in_them() {
        for (from, to) in [(100, 200), (100, 10_000), (10_000, 100), (5_000, 200_000), (200_000, 5_000)] {
            let layout = Layout::from_size_align(from, 4).expect("a layout");
            // SAFETY: blocks are read and written within their sizes and given back with them.
            unsafe {
                let at = Aligned.alloc(layout);
                assert!(from < LARGE || at.addr().is_multiple_of(LINE), "{from}");
                (0..from).for_each(|i| at.add(i).write(i as u8));
                let at = Aligned.realloc(at, layout, to);
                assert!(to < LARGE || at.addr().is_multiple_of(LINE), "{from} to {to}");
                assert!((0..from.min(to)).all(|i| at.add(i).read() == i as u8));
                Aligned.dealloc(at, Layout::from_size_align(to, 4).expect("a layout"));
                let zeroed = Layout::from_size_align(to, 4).expect("a layout");
                let at = Aligned.alloc_zeroed(zeroed);
                assert!((0..to).all(|i| at.add(i).read() == 0));
                Aligned.dealloc(at, zeroed);
            }
        }
    }
}
