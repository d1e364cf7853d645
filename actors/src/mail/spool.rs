//! A directory into which messages are written, a file each, for another program to send or to read.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use uuid::Uuid;

use super::{MailError, NotTaken};

/// What a spooled message's name ends in.
const EXTENSION: &str = "eml";

/// A directory of messages.
pub(super) struct Spool {
    inner: Arc<Inner>,
}

struct Inner {
    directory: PathBuf,
    max_files: usize,
    /// At least as many files as there are, apart from other nodes' since the last look.
    files: AtomicUsize,
    /// Keeps apart the unfinished files of several nodes.
    writer: Uuid,
}

impl Spool {
    /// How long a file may take before the system is to blame.
    pub(super) const LIMIT: Duration = Duration::from_secs(30);

    pub(super) fn open(directory: &Path, max_files: usize) -> Result<Self, MailError> {
        let failed = |source| MailError::File {
            path: directory.to_path_buf(),
            source,
        };
        // Messages hold names and addresses.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed)?;
        let files = count(directory).map_err(failed)?;
        Ok(Self {
            inner: Arc::new(Inner {
                directory: directory.to_path_buf(),
                max_files,
                files: AtomicUsize::new(files),
                writer: Uuid::now_v7(),
            }),
        })
    }

    /// Writes a message under its name; one that was written before is replaced by itself.
    pub(super) async fn put(&self, name: &str, message: Vec<u8>) -> Result<(), NotTaken> {
        let (inner, name) = (Arc::clone(&self.inner), name.to_owned());
        let written = tokio::task::spawn_blocking(move || inner.put(&name, &message));
        match written.await {
            Ok(written) => written,
            Err(_) => Err(NotTaken::for_now("writing the message failed")),
        }
    }
}

impl Inner {
    fn put(&self, name: &str, message: &[u8]) -> Result<(), NotTaken> {
        let failed = |error: io::Error| NotTaken::for_now(format!("cannot spool the message: {error}"));
        if self.files.load(Ordering::Relaxed) >= self.max_files {
            let files = count(&self.directory).map_err(failed)?;
            self.files.store(files, Ordering::Relaxed);
            if files >= self.max_files {
                return Err(NotTaken::for_now(format!(
                    "the spool is full: it holds {files} messages"
                )));
            }
        }
        self.write(name, message).map_err(failed)?;
        self.files.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Writes a file whole or not at all, and durably.
    fn write(&self, name: &str, message: &[u8]) -> io::Result<()> {
        let unfinished = self.directory.join(format!(".{name}.{}", self.writer.simple()));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(message)?;
        file.sync_all()?;
        fs::rename(
            &unfinished,
            self.directory.join(name).with_added_extension(EXTENSION),
        )?;
        File::open(&self.directory)?.sync_all()
    }
}

fn count(directory: &Path) -> io::Result<usize> {
    Ok(fs::read_dir(directory)?.count())
}
