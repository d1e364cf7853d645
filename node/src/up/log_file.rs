//! A node's log on disk, bounded.

use std::fs::{self, File};
use std::io::{self, PipeReader, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;

/// The size at which a log is set aside. With the one before it, a node has
/// at most twice that on disk.
const ROTATE_AT_BYTES: u64 = 16 * 1024 * 1024;

/// Opens the log at `path`, sets aside what an earlier run left there, and
/// copies `output` into it until the other end is closed.
///
/// The node writes into a pipe rather than into the file because a panic's
/// message, or anything else that bypasses its logging, must count, too.
pub(super) fn collect(path: PathBuf, mut output: PipeReader) -> io::Result<()> {
    let mut log = LogFile::open(path)?;
    thread::Builder::new()
        .name("node-log".to_owned())
        .spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                match output.read(&mut buffer) {
                    Ok(0) => return,
                    // A full disk must not stop the node: it goes on unlogged.
                    Ok(read) => drop(log.append(&buffer[..read])),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return,
                }
            }
        })?;
    Ok(())
}

struct LogFile {
    path: PathBuf,
    file: File,
    written: u64,
    rotate_at: u64,
}

impl LogFile {
    /// Continues the log at `path`: a node that was restarted keeps what the
    /// process before it said last.
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = append_to(&path)?;
        let written = file.metadata()?.len();
        Ok(Self {
            path,
            file,
            written,
            rotate_at: ROTATE_AT_BYTES,
        })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.written >= self.rotate_at {
            rotate(&self.path)?;
            self.file = append_to(&self.path)?;
            self.written = 0;
        }
        self.file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

/// Sets the log at `path` aside, in the place of the one before it.
pub(super) fn rotate(path: &Path) -> io::Result<()> {
    match fs::rename(path, path.with_extension("log.1")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads the last `lines` lines of the log at `path`, for an error.
pub(super) fn tail(path: &Path, lines: usize) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{LogFile, tail};

    #[test]
    fn a_log_that_grows_is_set_aside_and_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("n1.log");
        let mut log = LogFile::open(path.clone()).unwrap();
        log.rotate_at = 10;
        for _ in 0..100 {
            log.append(b"1234567890").unwrap();
        }
        assert_eq!(fs::read(&path).unwrap().len(), 10);
        assert_eq!(fs::read(path.with_extension("log.1")).unwrap().len(), 10);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn the_tail_of_a_log_is_its_last_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("n1.log");
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(tail(&path, 2), "two\nthree");
        assert_eq!(tail(&directory.path().join("none"), 2), "");
    }
}
