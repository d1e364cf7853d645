//! The first administrator: somebody has to be able to make the others.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use anyhow::Context;

use super::data_dir::{DataDir, random_text};
use crate::config::Secret;
use crate::credentials::Credentials;
use crate::setup::Setup;

/// The address of an administrator that we make up.
const EMAIL: &str = "admin@example.com";

/// What there is to say about the administrator.
#[derive(Debug)]
pub(super) enum Admin {
    /// Its credentials are in this file.
    InFile { path: PathBuf, email: String },
    /// It was made from the environment just now.
    FromEnvironment { email: String },
    /// There was one before this directory knew of it.
    Elsewhere,
}

impl fmt::Display for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InFile { path, email } => {
                write!(f, "Administrator: {email}, password in {}", path.display())
            }
            Self::FromEnvironment { email } => {
                write!(
                    f,
                    "Administrator: {email}, with the password in HOLDFAST_ADMIN_PASSWORD"
                )
            }
            Self::Elsewhere => {
                f.write_str("Administrator: there is one already; its password is not kept here")
            }
        }
    }
}

/// Makes the first administrator if there is none: the one that the
/// environment names, or one of our own whose credentials are kept in the data
/// directory.
pub(super) async fn ensure(setup: &Setup, data_dir: &DataDir) -> anyhow::Result<Admin> {
    let path = data_dir.admin_file();
    let kept = Credentials::read(&path)?;
    if let Some(wanted) = Credentials::from_environment()? {
        let made = setup.first_admin(&wanted).await?;
        return Ok(match kept {
            _ if made => Admin::FromEnvironment { email: wanted.email },
            Some(kept) => Admin::InFile {
                path,
                email: kept.email,
            },
            None => Admin::Elsewhere,
        });
    }
    // The file comes before the account: a launcher that dies in between finds
    // it again, and an administrator whose password nobody knows cannot arise.
    let is_new = kept.is_none();
    let credentials = if let Some(credentials) = kept {
        credentials
    } else {
        let drawn = Credentials {
            email: EMAIL.to_owned(),
            password: Secret::new(random_text()),
        };
        drawn.write(&path)?;
        drawn
    };
    let made = setup.first_admin(&credentials).await?;
    if is_new && !made {
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        return Ok(Admin::Elsewhere);
    }
    Ok(Admin::InFile {
        path,
        email: credentials.email,
    })
}
