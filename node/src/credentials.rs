//! An e-mail address and its password, as the API's login takes them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::Secret;
use crate::private_file;

/// The variables that name an administrator.
const EMAIL: &str = "HOLDFAST_ADMIN_EMAIL";
const PASSWORD: &str = "HOLDFAST_ADMIN_PASSWORD";

/// What it takes to log in.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The address.
    pub email: String,
    /// The password.
    pub password: Secret,
}

impl Credentials {
    /// Tells where `holdfast up` keeps those of an administrator it made up.
    pub fn file_in(data_dir: &Path) -> PathBuf {
        data_dir.join("run").join("admin.json")
    }

    /// Takes an administrator's from the environment, if they are there.
    pub fn from_environment() -> anyhow::Result<Option<Self>> {
        let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        match (variable(EMAIL), variable(PASSWORD)) {
            (Some(email), Some(password)) => Ok(Some(Self {
                email,
                password: Secret::new(password),
            })),
            (None, None) => Ok(None),
            _ => bail!("{EMAIL} and {PASSWORD} go together: set both or none"),
        }
    }

    /// Takes an administrator's from the environment, or from the file in
    /// `data_dir`.
    pub fn of_admin(data_dir: &Path) -> anyhow::Result<Self> {
        if let Some(credentials) = Self::from_environment()? {
            return Ok(credentials);
        }
        let path = Self::file_in(data_dir);
        Self::read(&path)?.with_context(|| {
            format!(
                "there is no {}; set {EMAIL} and {PASSWORD} instead",
                path.display()
            )
        })
    }

    /// Reads those in the file at `path`, if there is one.
    pub fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let credentials = serde_json::from_slice(&text)
            .with_context(|| format!("{} does not hold credentials", path.display()))?;
        Ok(Some(credentials))
    }

    /// Keeps them in a file for its owner's eyes, which is also a login's body.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec(&self.login())?;
        text.push(b'\n');
        private_file::replace(path, &text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The body of a login, and of a registration; the caller must not log it.
    pub fn login(&self) -> Value {
        json!({ "email": self.email, "password": self.password.reveal() })
    }
}

#[cfg(test)]
mod tests {
    use super::Credentials;
    use crate::config::Secret;

    #[test]
    fn what_is_written_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.json");
        assert!(Credentials::read(&path).unwrap().is_none());
        let written = Credentials {
            email: "ada@example.com".to_owned(),
            password: Secret::new("an-engine-of-analysis"),
        };
        written.write(&path).unwrap();
        assert_eq!(Credentials::read(&path).unwrap(), Some(written));
    }

    #[test]
    fn a_file_that_holds_something_else_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.json");
        std::fs::write(&path, "{}").unwrap();
        assert!(Credentials::read(&path).is_err());
    }
}
