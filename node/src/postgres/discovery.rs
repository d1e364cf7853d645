//! Finding Postgres's programs on this machine.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::account::Account;
use super::error::PostgresError;

/// The oldest major version that will do.
pub(super) const OLDEST: u32 = 15;
/// The programs an installation must have.
const PROGRAMS: [&str; 2] = ["postgres", "initdb"];

/// Where packages put Postgres: a directory, and what stands before the
/// version in the names of its children.
const PACKAGED: [(&str, &str); 6] = [
    ("/usr/lib/postgresql", ""),
    ("/usr/local/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
    ("/Applications/Postgres.app/Contents/Versions", ""),
];

/// A directory with Postgres's programs, and their major version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Holds `postgres` and `initdb`.
    pub bin: PathBuf,
    /// The major version, such as 18.
    pub major: u32,
}

impl fmt::Display for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgreSQL {} in {}", self.major, self.bin.display())
    }
}

impl Installation {
    /// Names one of the installation's programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Inspects `bin`; `None` if `account` cannot run what is there.
    pub(super) fn at(bin: &Path, account: Account) -> Option<Self> {
        if !has_programs(bin) {
            return None;
        }
        let mut command = Command::new(bin.join("postgres"));
        command.arg("--version").current_dir("/").stdin(Stdio::null());
        account.run(&mut command);
        let output = command.output().ok().filter(|out| out.status.success())?;
        let major = major_version(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self {
            bin: bin.to_path_buf(),
            major,
        })
    }
}

/// Where to look, in order.
pub(super) struct Search {
    /// `HOLDFAST_PG_BIN`: here or nowhere.
    chosen: Option<PathBuf>,
    /// `PATH`.
    path: Option<OsString>,
    packaged: Vec<(PathBuf, &'static str)>,
}

impl Search {
    pub(super) fn from_process() -> Self {
        Self {
            chosen: std::env::var_os("HOLDFAST_PG_BIN").map(PathBuf::from),
            path: std::env::var_os("PATH"),
            packaged: PACKAGED
                .iter()
                .map(|(root, prefix)| (PathBuf::from(root), *prefix))
                .collect(),
        }
    }

    /// Finds the first installation that `account` can run and that will do:
    /// of the `wanted` major version, or, if there are no files yet, any that
    /// is new enough. `None` if nothing at all is installed.
    pub(super) fn find(
        &self,
        wanted: Option<u32>,
        account: Account,
    ) -> Result<Option<Installation>, PostgresError> {
        let will_do = |found: &Installation| match wanted {
            Some(major) => found.major == major,
            None => found.major >= OLDEST,
        };
        if let Some(chosen) = &self.chosen {
            return Installation::at(chosen, account)
                .filter(will_do)
                .map(Some)
                .ok_or_else(|| PostgresError::BadBin {
                    path: chosen.clone(),
                    wanted: wanted.map_or_else(|| format!("{OLDEST} or newer"), |major| major.to_string()),
                });
        }
        Ok(self
            .on_path()
            .chain(self.packaged())
            .filter_map(|bin| Installation::at(&bin, account))
            .find(will_do))
    }

    /// The directories of `PATH` that have the programs. Links are followed:
    /// Postgres finds its other files relative to where it really is.
    fn on_path(&self) -> impl Iterator<Item = PathBuf> {
        self.path
            .iter()
            .flat_map(std::env::split_paths)
            .filter(|directory| has_programs(directory))
            .filter_map(|directory| {
                let postgres = fs::canonicalize(directory.join("postgres")).ok()?;
                Some(postgres.parent()?.to_path_buf())
            })
    }

    /// The packaged installations, highest version first.
    fn packaged(&self) -> impl Iterator<Item = PathBuf> {
        let mut found: Vec<(u32, PathBuf)> = self
            .packaged
            .iter()
            .flat_map(|(root, prefix)| versions_in(root, prefix))
            .collect();
        found.sort_by_key(|(major, _)| Reverse(*major));
        found.into_iter().map(|(_, bin)| bin)
    }
}

fn versions_in(root: &Path, prefix: &str) -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let major = name.strip_prefix(prefix)?.parse().ok()?;
            Some((major, entry.path().join("bin")))
        })
        .collect()
}

fn has_programs(bin: &Path) -> bool {
    PROGRAMS.iter().all(|program| bin.join(program).is_file())
}

/// Reads 18 from `postgres (Postgres) 18.1 (Debian 18.1-1)`.
fn major_version(output: &str) -> Option<u32> {
    let version = output.split_whitespace().nth(2)?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::{Path, PathBuf};

    use tempfile::TempDir;

    use super::super::account::Account;
    use super::super::error::PostgresError;
    use super::{Search, major_version};

    /// A directory that the user who runs the server can enter.
    fn directory() -> TempDir {
        let directory = TempDir::new().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        directory
    }

    /// Puts programs that claim to be `version` into `bin`.
    fn install(bin: &Path, version: &str) -> PathBuf {
        fs::create_dir_all(bin).unwrap();
        for program in ["postgres", "initdb"] {
            let path = bin.join(program);
            let script = format!("#!/bin/sh\necho \"{program} (PostgreSQL) {version}\"\n");
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        }
        fs::canonicalize(bin).unwrap()
    }

    fn nowhere() -> Search {
        Search {
            chosen: None,
            path: None,
            packaged: Vec::new(),
        }
    }

    fn find(search: &Search, wanted: Option<u32>) -> Option<PathBuf> {
        let found = search.find(wanted, Account::for_server()).unwrap();
        found.map(|installation| installation.bin)
    }

    #[test]
    fn what_the_operator_chose_comes_before_everything() {
        let root = directory();
        let chosen = install(&root.path().join("chosen"), "16.4");
        let search = Search {
            chosen: Some(chosen.clone()),
            path: Some(install(&root.path().join("path"), "18.0").into()),
            packaged: Vec::new(),
        };
        assert_eq!(find(&search, None), Some(chosen));
    }

    #[test]
    fn a_choice_that_leads_nowhere_is_refused_not_replaced() {
        let root = directory();
        let search = Search {
            chosen: Some(root.path().join("missing")),
            path: Some(install(&root.path().join("path"), "18.0").into()),
            packaged: Vec::new(),
        };
        let refused = search.find(None, Account::for_server()).unwrap_err();
        assert!(matches!(refused, PostgresError::BadBin { .. }), "{refused}");
    }

    #[test]
    fn a_link_on_the_path_leads_to_the_real_directory() {
        let root = directory();
        let real = install(&root.path().join("lib/17/bin"), "17.2");
        let links = root.path().join("links");
        fs::create_dir(&links).unwrap();
        for program in ["postgres", "initdb"] {
            symlink(real.join(program), links.join(program)).unwrap();
        }
        let search = Search {
            path: Some(links.into()),
            ..nowhere()
        };
        assert_eq!(find(&search, None), Some(real));
    }

    #[test]
    fn the_highest_packaged_version_wins_by_number_not_by_spelling() {
        let root = directory();
        install(&root.path().join("9/bin"), "9.6.24");
        install(&root.path().join("16/bin"), "16.4");
        let highest = install(&root.path().join("100/bin"), "100.0");
        let search = Search {
            packaged: vec![(fs::canonicalize(root.path()).unwrap(), "")],
            ..nowhere()
        };
        assert_eq!(find(&search, None), Some(highest));
    }

    #[test]
    fn a_version_that_is_too_old_is_passed_over() {
        let root = directory();
        install(&root.path().join("14/bin"), "14.12");
        let search = Search {
            packaged: vec![(root.path().to_path_buf(), "")],
            ..nowhere()
        };
        assert_eq!(find(&search, None), None);
    }

    #[test]
    fn files_that_exist_are_opened_by_the_version_that_made_them() {
        let root = directory();
        let older = install(&root.path().join("16/bin"), "16.4");
        install(&root.path().join("18/bin"), "18.1");
        let search = Search {
            packaged: vec![(fs::canonicalize(root.path()).unwrap(), "")],
            ..nowhere()
        };
        assert_eq!(find(&search, Some(16)), Some(older));
        assert_eq!(find(&search, Some(17)), None);
    }

    #[test]
    fn versions_are_read_as_distributions_print_them() {
        let read = |version: &str| major_version(&format!("postgres (PostgreSQL) {version}"));
        assert_eq!(read("15.14 (Debian 15.14-0+deb12u1)"), Some(15));
        assert_eq!(read("19devel"), Some(19));
        assert_eq!(read(""), None);
    }
}
