//! Read-only memory-mapped files.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

/// A file's bytes, mapped rather than read, so that weights enter memory once.
#[derive(Debug)]
pub struct MappedFile(Option<memmap2::Mmap>);

impl MappedFile {
    /// Maps a file.
    ///
    /// # Errors
    /// Whatever opening or mapping it gives.
    pub fn open(path: &Path) -> io::Result<MappedFile> {
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(MappedFile(None));
        }
        // SAFETY: the mapping is read-only and private to this value. Another process that cuts the file short while
        // it is mapped could make reads fault; model folders are not written in place by Tillage (temp + rename).
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(MappedFile(Some(map)))
    }
}

impl MappedFile {
    /// Gives the memory of bytes back that have been read; they are read from the file again if they are asked for.
    /// Where the system knows no such thing, nothing happens.
    pub fn release(&self, bytes: std::ops::Range<usize>) {
        #[cfg(unix)]
        if let Some(map) = self.0.as_ref().filter(|_| !bytes.is_empty()) {
            // SAFETY: the pages are those of a file and never written, so dropping them loses nothing.
            // It is advice: where it is not taken, the pages stay.
            let _ = unsafe {
                map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, bytes.start, bytes.len())
            };
        }
        #[cfg(not(unix))]
        let _ = bytes;
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or(&[])
    }
}
