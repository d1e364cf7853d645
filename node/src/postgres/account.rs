//! The user that runs the server: Postgres refuses to run as root.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{Uid, User, geteuid};

/// Users that take root's place, the first that exists.
const STAND_INS: [&str; 2] = ["postgres", "nobody"];

/// An unprivileged user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether this process has to change to it.
    changes: bool,
}

impl Account {
    /// Chooses this process's own user, or a stand-in for root.
    pub(super) fn for_server() -> Self {
        let own = geteuid();
        if own.is_root() {
            STAND_INS
                .iter()
                .find_map(|name| User::from_name(name).ok().flatten())
                .filter(|user| !user.uid.is_root())
                .map_or(Self::overflow(), |user| Self {
                    uid: user.uid.as_raw(),
                    gid: user.gid.as_raw(),
                    changes: true,
                })
        } else {
            Self::own(own)
        }
    }

    fn own(uid: Uid) -> Self {
        Self {
            uid: uid.as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            changes: false,
        }
    }

    /// The id that Unix systems give to nobody, for images without a user
    /// database.
    const fn overflow() -> Self {
        Self {
            uid: 65_534,
            gid: 65_534,
            changes: true,
        }
    }

    /// Makes `command` run as this user, with no other group.
    pub(super) fn run(self, command: &mut Command) {
        if self.changes {
            // The standard library empties the supplementary groups, too.
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Tells whether this user can enter `directory`, by trying it: the answer
    /// depends on every directory above it.
    pub(super) fn can_enter(self, directory: &Path) -> bool {
        let mut command = Command::new("test");
        command
            .arg("-x")
            .arg(directory)
            .current_dir("/")
            .stdin(Stdio::null());
        self.run(&mut command);
        command.status().is_ok_and(|status| status.success())
    }
}
