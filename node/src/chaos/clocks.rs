//! Wall clocks of single nodes, moved while they run.
//!
//! The clock of one process cannot be moved but by intercepting its system
//! calls. `libfaketime` does that, where it is installed: each node looks for
//! the offset of its wall clock in a file of its own. Monotonic clocks stay
//! right, as they do on a machine whose clock is set.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use anyhow::Context;

use crate::private_file;
use crate::up::Overrides;

/// Where to look first.
const LIBRARY: &str = "HOLDFAST_FAKETIME";
/// The variant for programs of many threads.
const FILE_NAME: &str = "libfaketimeMT.so.1";
/// Where distributions put it, below the directories of libraries.
const HOMES: [&str; 4] = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib"];

/// The wall clocks of all nodes.
#[derive(Clone, Debug)]
pub(super) struct Clocks {
    directory: PathBuf,
}

impl Clocks {
    /// Finds the library that moves clocks, if it is installed.
    pub(super) fn library() -> Option<PathBuf> {
        let named = env::var_os(LIBRARY).map(PathBuf::from);
        let below = |home: &str| {
            let home = Path::new(home);
            let inside = fs::read_dir(home).into_iter().flatten().flatten();
            let architectures = inside.map(|entry| entry.path()).filter(|path| path.is_dir());
            architectures.chain([home.to_owned()]).collect::<Vec<_>>()
        };
        named
            .into_iter()
            .chain(
                HOMES
                    .into_iter()
                    .flat_map(below)
                    .map(|directory| directory.join("faketime").join(FILE_NAME)),
            )
            .filter_map(|path| path.canonicalize().ok())
            .find(|path| path.is_file())
    }

    /// Has the nodes that are to be launched read the files of `directory`.
    pub(super) fn lay(
        library: &Path,
        directory: PathBuf,
        names: &[String],
        overrides: &Overrides,
    ) -> anyhow::Result<Self> {
        private_file::make_directory(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let clocks = Self { directory };
        for name in names {
            clocks.set(name, 0)?;
            overrides.change(name, |node| {
                node.variables.extend(
                    [
                        ("LD_PRELOAD", library.display().to_string()),
                        ("FAKETIME_TIMESTAMP_FILE", clocks.file(name).display().to_string()),
                        // How often the file is read, in seconds.
                        ("FAKETIME_CACHE_DURATION", "1".to_owned()),
                        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
                    ]
                    .map(|(variable, value)| (variable.to_owned(), value)),
                );
            });
        }
        Ok(clocks)
    }

    /// Sets how many seconds the clock of the node `name` is ahead. It sees
    /// that within a second.
    pub(super) fn set(&self, name: &str, ahead_s: i64) -> io::Result<()> {
        let file = self.file(name);
        let next = file.with_extension("next");
        fs::write(&next, format!("{ahead_s:+}\n"))?;
        fs::rename(next, file)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.clock"))
    }
}
