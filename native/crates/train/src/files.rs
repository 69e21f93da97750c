//! Writing files so that a kill or a full disk leaves the old state or the new one, nothing between.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use tillage_protocol::EngineError;

/// Temporaries begin with this; [`sweep`] removes those that a killed process left.
pub const TEMPORARY: &str = ".tmp-";

/// Replaces a file's content: a temporary beside it, flushed to the disk, then renamed.
///
/// # Errors
/// Those of `fill`, and the machine's; the old content stays then.
pub fn write_atomic(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!("{TEMPORARY}{name}"));
    let result = (|| {
        let file = File::create(&temporary).map_err(|e| EngineError::io(&e, &temporary))?;
        let mut out = std::io::BufWriter::new(file);
        fill(&mut out)?;
        let file = out.into_inner().map_err(|e| EngineError::io(e.error(), path))?;
        file.sync_all().map_err(|e| EngineError::io(&e, path))?;
        fs::rename(&temporary, path).map_err(|e| EngineError::io(&e, path))
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result?;
    sync_parent(path)
}

/// Puts a folder in place as a whole: filled beside its place, flushed, renamed. A folder that is there already is replaced.
///
/// # Errors
/// Those of `fill`, and the machine's.
pub fn write_folder(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!("{TEMPORARY}{name}"));
    let old = path.with_file_name(format!("{TEMPORARY}old-{name}"));
    let io = |e: &std::io::Error| EngineError::io(e, path);
    let result = (|| {
        remove(&temporary)?;
        fs::create_dir_all(&temporary).map_err(|e| io(&e))?;
        fill(&temporary)?;
        sync_tree(&temporary)?;
        if path.exists() {
            remove(&old)?;
            fs::rename(path, &old).map_err(|e| io(&e))?;
        }
        fs::rename(&temporary, path).map_err(|e| io(&e))
    })();
    let _ = remove(&temporary);
    let _ = remove(&old);
    result?;
    sync_parent(path)
}

/// Removes a file or a folder if it is there.
///
/// # Errors
/// The machine's.
pub fn remove(path: &Path) -> Result<(), EngineError> {
    let gone = match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    gone.map_err(|e| EngineError::io(&e, path))
}

/// Removes what a killed process left half-written in a folder.
///
/// # Errors
/// The machine's; a folder that is not there has nothing to remove.
pub fn sweep(dir: &Path) -> Result<(), EngineError> {
    let Ok(listing) = fs::read_dir(dir) else { return Ok(()) };
    for entry in listing.filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Flushes every file of a folder, and the folder's own entries.
fn sync_tree(dir: &Path) -> Result<(), EngineError> {
    for entry in fs::read_dir(dir).map_err(|e| EngineError::io(&e, dir))? {
        let path = entry.map_err(|e| EngineError::io(&e, dir))?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            File::options()
                .write(true)
                .open(&path)
                .and_then(|f| f.sync_all())
                .map_err(|e| EngineError::io(&e, &path))?;
        }
    }
    sync_dir(dir)
}

fn sync_parent(path: &Path) -> Result<(), EngineError> {
    path.parent().map_or(Ok(()), sync_dir)
}

/// Flushes a folder's entries. Windows keeps them safe by itself and cannot open folders.
fn sync_dir(dir: &Path) -> Result<(), EngineError> {
    if cfg!(windows) {
        return Ok(());
    }
    File::open(dir).and_then(|f| f.sync_all()).map_err(|e| EngineError::io(&e, dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(dir: &Path) -> Vec<(String, String)> {
        let mut all: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().path())
            .map(|p| {
                (p.file_name().unwrap().to_string_lossy().into(), fs::read_to_string(&p).unwrap_or_default())
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn what_fails_half_way_leaves_the_old_state() {
        let dir = tempfile::tempdir().unwrap();
        let (file, folder) = (dir.path().join("a"), dir.path().join("b"));
        let fill = |text: &'static str| {
            move |d: &Path| fs::write(d.join("x"), text).map_err(|e| EngineError::io(&e, d))
        };
        write_atomic(&file, |f| f.write_all(b"old").map_err(|e| EngineError::io(&e, "a"))).unwrap();
        write_folder(&folder, fill("old")).unwrap();
        let full = || EngineError::io(&std::io::Error::from(std::io::ErrorKind::StorageFull), "disk");
        let error = write_atomic(&file, |f| {
            f.write_all(b"new").unwrap();
            Err(full())
        });
        assert_eq!(error.unwrap_err().code, "disk_full");
        let error = write_folder(&folder, |d| {
            fill("new")(d)?;
            Err(full())
        });
        assert_eq!(error.unwrap_err().code, "disk_full");
        assert_eq!(content(&folder), [("x".to_owned(), "old".to_owned())]);
        assert_eq!(
            content(dir.path()),
            [("a".to_owned(), "old".to_owned()), ("b".to_owned(), String::new())]
        );

        write_atomic(&file, |f| f.write_all(b"new").map_err(|e| EngineError::io(&e, "a"))).unwrap();
        write_folder(&folder, fill("new")).unwrap();
        assert_eq!(content(&folder), [("x".to_owned(), "new".to_owned())]);
        assert_eq!(content(dir.path())[0].1, "new");
        fs::write(dir.path().join(".tmp-c"), "").unwrap();
        fs::create_dir(dir.path().join(".tmp-d")).unwrap();
        sweep(dir.path()).unwrap();
        assert_eq!(content(dir.path()).len(), 2);
    }
}
