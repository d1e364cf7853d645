//! Where the database's files and socket are.
//!
//! `<data-dir>/postgres/`, closed to everybody but the user that runs the
//! server. If root starts us and that user cannot reach the data directory (it
//! is below `/root`, say), the files go to a place derived from the data
//! directory's path, and `<data-dir>/postgres` is a link to it.

use std::fs::{self, DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::account::Account;
use super::error::PostgresError;

/// Distinguishes servers that share a socket directory; ours never do.
const PORT: u16 = 5432;
/// The shortest `sun_path` of the systems we support, without its NUL.
const SOCKET_PATH_MAX: usize = 103;
/// Holds the path of the data directory that a place elsewhere belongs to.
const ORIGIN: &str = "origin";

/// The server's directory and the user that runs it.
#[derive(Clone, Debug)]
pub(super) struct Home {
    /// Private to `account`.
    pub(super) directory: PathBuf,
    /// Holds `directory` and fetched programs; `account` can enter it.
    pub(super) base: PathBuf,
    /// Private to `account`; short enough for a socket's path.
    pub(super) sockets: PathBuf,
    pub(super) account: Account,
}

impl Home {
    pub(super) fn prepare(data_dir: &Path, durable: bool, account: Account) -> Result<Self, PostgresError> {
        fs::create_dir_all(data_dir).map_err(PostgresError::io("create", data_dir))?;
        let data_dir = fs::canonicalize(data_dir).map_err(PostgresError::io("resolve", data_dir))?;
        let base = if account.can_enter(&data_dir) {
            data_dir
        } else {
            elsewhere(&data_dir, durable, account)?
        };
        let directory = base.join("postgres");
        make_private(&directory, account)?;
        let sockets = socket_directory(&directory);
        make_private(&sockets, account)?;
        Ok(Self {
            directory,
            base,
            sockets,
            account,
        })
    }

    /// The database's files.
    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// What the server says of itself while it runs.
    pub(super) fn pid_file(&self) -> PathBuf {
        self.data().join("postmaster.pid")
    }

    /// What the server printed.
    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    /// The socket that clients connect to.
    pub(super) fn socket(&self) -> PathBuf {
        socket_in(&self.sockets)
    }

    pub(super) const fn port() -> u16 {
        PORT
    }

    /// The URL of the server's default database.
    pub(super) fn url(&self) -> Result<String, PostgresError> {
        url_of_socket_in(&self.sockets)
    }
}

/// The socket that a server, or what stands for one, has in `directory`.
pub(crate) fn socket_in(directory: &Path) -> PathBuf {
    directory.join(format!(".s.PGSQL.{PORT}"))
}

/// The URL of the default database behind the socket in `directory`.
pub(crate) fn url_of_socket_in(directory: &Path) -> Result<String, PostgresError> {
    let sockets = directory.to_str().ok_or_else(|| PostgresError::NotUnicode {
        path: directory.to_path_buf(),
    })?;
    Ok(format!(
        "postgres://postgres@localhost:{PORT}/postgres?host={}",
        percent_encoded(sockets)
    ))
}

/// Chooses and makes the place for a data directory that `account` cannot
/// enter.
fn elsewhere(data_dir: &Path, durable: bool, account: Account) -> Result<PathBuf, PostgresError> {
    // Only root gets here. What must last goes where the system keeps state.
    let root = if durable {
        PathBuf::from("/var/lib/holdfast")
    } else {
        std::env::temp_dir()
    };
    let place = root.join(format!("holdfast-{:016x}", fingerprint(data_dir)));
    let link = data_dir.join("postgres");
    let linked = fs::read_link(&link).is_ok_and(|target| target == place.join("postgres"));
    if place.exists() && !linked {
        // The data directory was removed and made anew: whoever did that wants
        // an empty shop. The old one is set aside rather than deleted.
        let previous = place.with_extension("previous");
        match fs::remove_dir_all(&previous) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(PostgresError::io("remove", previous)(error));
            }
            _ => {}
        }
        fs::rename(&place, &previous).map_err(PostgresError::io("set aside", &place))?;
    }
    fs::create_dir_all(&root).map_err(PostgresError::io("create", &root))?;
    make_private(&place, account)?;
    let origin = place.join(ORIGIN);
    fs::write(&origin, data_dir.as_os_str().as_encoded_bytes())
        .map_err(PostgresError::io("write", &origin))?;
    if !linked {
        match fs::remove_file(&link) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(PostgresError::io("replace", link)(error));
            }
            _ => {}
        }
        symlink(place.join("postgres"), &link).map_err(PostgresError::io("link", &link))?;
    }
    Ok(place)
}

/// Takes the server's directory, or one in the system's temporary directory
/// if the socket's path would get too long.
fn socket_directory(directory: &Path) -> PathBuf {
    let longest = directory.join(format!(".s.PGSQL.{PORT}.lock"));
    if longest.as_os_str().len() <= SOCKET_PATH_MAX {
        directory.to_path_buf()
    } else {
        std::env::temp_dir().join(format!("holdfast-socket-{:016x}", fingerprint(directory)))
    }
}

/// Makes `directory`, owned by `account` and closed to everybody else, or
/// checks that it is so.
fn make_private(directory: &Path, account: Account) -> Result<(), PostgresError> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => {
            if geteuid().is_root() {
                chown(directory, Some(account.uid), Some(account.gid))
                    .map_err(PostgresError::io("hand over", directory))?;
            }
            return Ok(());
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(PostgresError::io("create", directory)(error)),
    }
    // Without following a link: somebody could have put one into a directory
    // that all may write to.
    let found = fs::symlink_metadata(directory).map_err(PostgresError::io("inspect", directory))?;
    if !found.is_dir() || found.uid() != account.uid {
        return Err(PostgresError::NotPrivate {
            path: directory.to_path_buf(),
        });
    }
    fs::set_permissions(directory, Permissions::from_mode(0o700))
        .map_err(PostgresError::io("close", directory))
}

/// FNV-1a: stable between releases, as a name on disk has to be.
fn fingerprint(path: &Path) -> u64 {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
}

/// Escapes whatever is not plain in a URL's query.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write;

    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{SOCKET_PATH_MAX, fingerprint, percent_encoded, socket_directory};

    #[test]
    fn a_path_too_long_for_a_socket_gets_a_short_one() {
        let short = Path::new("/srv/shop/postgres");
        assert_eq!(socket_directory(short), short);
        let long = Path::new("/srv").join("x".repeat(SOCKET_PATH_MAX));
        let chosen = socket_directory(&long);
        assert_ne!(chosen, long);
        assert_eq!(chosen, socket_directory(&long));
    }

    #[test]
    fn a_directory_keeps_its_fingerprint_between_releases() {
        assert_eq!(fingerprint(Path::new("a")), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn a_path_with_odd_characters_survives_in_a_url() {
        assert_eq!(percent_encoded("/a b/ü&c"), "/a%20b/%C3%BC%26c");
    }
}
