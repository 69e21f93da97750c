//! Read-only files in memory.
#![allow(unsafe_code)]

use memmap2::{Mmap, MmapMut};
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

/// A file's bytes: mapped rather than read, so that weights enter memory once, or in memory of their own.
#[derive(Debug)]
pub struct MappedFile(Bytes);

#[derive(Debug)]
enum Bytes {
    Empty,
    File(Mmap),
    Memory(Mmap),
}

impl MappedFile {
    /// Maps a file.
    ///
    /// # Errors
    /// Whatever opening or mapping it gives.
    pub fn open(path: &Path) -> io::Result<MappedFile> {
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(MappedFile(Bytes::Empty));
        }
        // SAFETY: the mapping is read-only and private to this value. Another process that cuts the file short while
        // it is mapped could make reads fault; model folders are not written in place by Tillage (temp + rename).
        let map = unsafe { Mmap::map(&file)? };
        Ok(MappedFile(Bytes::File(map)))
    }

    /// Memory of huge pages where the system has them, which `fill` writes (it is 0 before), and what that returns. Reading all
    /// of it again and again, as generation does, then waits less for addresses to be translated than in a file's small pages.
    /// Pages that are not written take no memory.
    ///
    /// # Errors
    /// Those of `fill`, and no memory.
    pub fn made<R>(len: usize, fill: impl FnOnce(&mut [u8]) -> io::Result<R>) -> io::Result<(MappedFile, R)> {
        if len == 0 {
            return Ok((MappedFile(Bytes::Empty), fill(&mut [])?));
        }
        let mut memory = MmapMut::map_anon(len)?;
        // Advice: where it is not taken, the pages are small.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        let result = fill(&mut memory)?;
        Ok((MappedFile(Bytes::Memory(memory.make_read_only()?)), result))
    }
}

impl MappedFile {
    /// Whether the bytes are a file's, and not in memory of their own.
    pub fn is_file(&self) -> bool {
        matches!(self.0, Bytes::File(_))
    }

    /// Gives the memory of bytes back that have been read; they are read from the file again if they are asked for.
    /// Where the system knows no such thing, or the bytes are not mapped, nothing happens.
    pub fn release(&self, bytes: std::ops::Range<usize>) {
        #[cfg(unix)]
        if let (Bytes::File(map), false) = (&self.0, bytes.is_empty()) {
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
        match &self.0 {
            Bytes::Empty => &[],
            Bytes::File(map) | Bytes::Memory(map) => map,
        }
    }
}

// Miri maps no files.
#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn memory_of_its_own_has_the_bytes_of_a_file_that_is_mapped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7 % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let mapped = MappedFile::open(&path).unwrap();
        let fill = |room: &mut [u8]| {
            assert!(room.iter().all(|byte| *byte == 0));
            room.copy_from_slice(&mapped);
            Ok(room.len())
        };
        let (made, filled) = MappedFile::made(bytes.len(), fill).unwrap();
        assert_eq!((filled, mapped.is_file(), made.is_file()), (bytes.len(), true, false));
        // Pages of a file can be given back; those in memory stay.
        mapped.release(0..bytes.len());
        made.release(0..bytes.len());
        assert!(*mapped == *bytes && *made == *bytes);
        // What is mapped is the file itself, and what was made is not: other bytes in its place tell.
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileExt;
            std::fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(b"other", 9).unwrap();
            assert!(mapped[9..14] == *b"other" && *made == *bytes);
        }
        std::fs::write(&path, b"").unwrap();
        assert!(MappedFile::open(&path).unwrap().is_empty());
        assert!(MappedFile::made(0, |_| Ok(())).unwrap().0.is_empty());
        let failed = MappedFile::made(5, |_| -> io::Result<()> { Err(io::ErrorKind::StorageFull.into()) });
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
