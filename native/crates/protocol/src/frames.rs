//! Messages on a stream, each behind a header with its length, as in the Language Server Protocol's base protocol.

use std::io::{BufRead, Error, ErrorKind, Read, Result};

/// Bytes of a message at most; an announced length is never believed beyond it.
pub const MOST: u64 = 1 << 28;

/// Bytes of a header line at most.
const MOST_LINE: u64 = 4096;

/// Reads the next message's bytes; `None` at the end of the stream.
///
/// # Errors
/// `InvalidData` for a header without `Content-Length` or with one that is no number or above [`MOST`]; `UnexpectedEof` where the stream
/// ends within a message; the stream's own.
pub fn read(from: &mut impl BufRead) -> Result<Option<Vec<u8>>> {
    let bad = |what: String| Error::new(ErrorKind::InvalidData, what);
    let (mut length, mut begun) = (None, false);
    loop {
        let mut line = Vec::new();
        from.by_ref().take(MOST_LINE).read_until(b'\n', &mut line)?;
        if line.is_empty() && !begun {
            return Ok(None);
        }
        if !line.ends_with(b"\n") {
            let cut = line.len() as u64 == MOST_LINE;
            return Err(if cut {
                bad("a header line is too long".into())
            } else {
                ErrorKind::UnexpectedEof.into()
            });
        }
        begun = true;
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| bad(format!("{line:?} is no header")))?;
        if name.eq_ignore_ascii_case("content-length") {
            let number: u64 =
                value.trim().parse().map_err(|_| bad(format!("{:?} is no length", value.trim())))?;
            length = Some(number);
        }
    }
    let length = length.ok_or_else(|| bad("the header has no Content-Length".into()))?;
    if length > MOST {
        return Err(bad(format!("a message of {length} bytes is above the limit of {MOST}")));
    }
    // The buffer grows with what comes, not with what was announced.
    let mut text = Vec::new();
    from.by_ref().take(length).read_to_end(&mut text)?;
    if (text.len() as u64) < length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_one_after_the_other() {
        let mut stream: &[u8] = b"Content-Length: 2\r\n\r\n{}content-length:3\r\nX: y\r\n\r\nabc";
        assert_eq!(read(&mut stream).unwrap().unwrap(), b"{}");
        assert_eq!(read(&mut stream).unwrap().unwrap(), b"abc");
        assert!(read(&mut stream).unwrap().is_none());
    }

    #[test]
    fn an_announced_length_is_not_believed() {
        for (stream, kind) in [
            ("Content-Length: 1000000000000000\r\n\r\n{}", ErrorKind::InvalidData),
            ("Content-Length: 99999999999999999999999\r\n\r\n{}", ErrorKind::InvalidData),
            ("Content-Length: -1\r\n\r\n{}", ErrorKind::InvalidData),
            ("Content-Length: 200000000\r\n\r\n{}", ErrorKind::UnexpectedEof),
            ("\r\n{}", ErrorKind::InvalidData),
            ("no header\r\n\r\n", ErrorKind::InvalidData),
            ("Content-Length: 2", ErrorKind::UnexpectedEof),
        ] {
            assert_eq!(read(&mut stream.as_bytes()).unwrap_err().kind(), kind, "{stream:?}");
        }
        let endless = vec![b'a'; 1 << 20];
        assert_eq!(read(&mut &endless[..]).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
