//! The data directory: who may use it, and where things are in it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use rand::RngCore;

use crate::cluster_file::ClusterFile;
use crate::credentials::Credentials;
use crate::private_file;

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another launcher uses it.
    #[error(
        "{} is in use by another `holdfast up` (pid {pid}); stop that one, or choose another --data-dir",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The other launcher, as it wrote it down.
        pid: String,
    },
    /// A file in it cannot be handled.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A data directory held by this process until the value is dropped.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    /// The kernel releases the lock when this process ends, however it ends.
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is missing and takes it for this process.
    ///
    /// # Errors
    /// [`DataDirError::InUse`] names the process that has it.
    pub fn acquire(root: &Path) -> Result<Self, DataDirError> {
        fs::create_dir_all(root).map_err(failed(root))?;
        let root = fs::canonicalize(root).map_err(failed(root))?;
        for private in ["run", "logs"] {
            let directory = root.join(private);
            private_file::make_directory(&directory).map_err(failed(&directory))?;
        }
        let path = root.join("run").join("up.lock");
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                lock.read_to_string(&mut pid).map_err(failed(&path))?;
                let pid = match pid.trim() {
                    "" => "unknown".to_owned(),
                    pid => pid.to_owned(),
                };
                return Err(DataDirError::InUse { path: root, pid });
            }
            Err(TryLockError::Error(error)) => return Err(failed(&path)(error)),
        }
        write_pid(&mut lock).map_err(failed(&path))?;
        Ok(Self { root, _lock: lock })
    }

    /// The directory itself, canonical.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Tells tools where the nodes are.
    pub fn cluster_file(&self) -> PathBuf {
        ClusterFile::path_in(&self.root)
    }

    /// Holds the first administrator's credentials if we made them up.
    pub fn admin_file(&self) -> PathBuf {
        Credentials::file_in(&self.root)
    }

    /// The log of the node called `name`.
    pub fn node_log(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }

    /// Holds the mail that is not sent, if the settings name no relay.
    pub fn mail_dir(&self) -> PathBuf {
        self.root.join("mail")
    }

    /// The file with the secret by which the nodes know each other, made on
    /// first use.
    pub fn cookie_file(&self) -> Result<PathBuf, DataDirError> {
        let path = self.root.join("run").join("cookie");
        if !path.is_file() {
            private_file::replace(&path, random_text().as_bytes()).map_err(failed(&path))?;
        }
        Ok(path)
    }
}

/// Draws a secret of 192 bits, in letters and digits.
pub(super) fn random_text() -> String {
    use std::fmt::Write;

    let mut bytes = [0; 24];
    rand::rng().fill_bytes(&mut bytes);
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn write_pid(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    let path = path.to_path_buf();
    move |source| DataDirError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{DataDir, DataDirError};

    #[test]
    fn a_directory_in_use_is_refused_by_the_name_of_its_holder() {
        let root = tempfile::tempdir().unwrap();
        let _held = DataDir::acquire(root.path()).unwrap();
        let refused = DataDir::acquire(root.path()).unwrap_err();
        assert!(matches!(refused, DataDirError::InUse { .. }));
        let pid = format!("(pid {})", std::process::id());
        assert!(refused.to_string().contains(&pid), "{refused}");
    }

    #[test]
    fn a_directory_is_free_again_when_its_holder_is_gone() {
        let root = tempfile::tempdir().unwrap();
        drop(DataDir::acquire(root.path()).unwrap());
        DataDir::acquire(root.path()).unwrap();
    }

    #[test]
    fn the_cookie_is_drawn_once() {
        let root = tempfile::tempdir().unwrap();
        let directory = DataDir::acquire(root.path()).unwrap();
        let cookie = fs::read(directory.cookie_file().unwrap()).unwrap();
        assert_eq!(cookie.len(), 48);
        assert_eq!(fs::read(directory.cookie_file().unwrap()).unwrap(), cookie);
    }
}
