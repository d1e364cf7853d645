//! Whether the settings of NATS can be used at all, found out before a node starts.

use std::{fs, io, path::PathBuf};

use async_nats::{ConnectOptions, ServerAddr};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::NatsOptions;

/// A setting of NATS that cannot be used. Says nothing of what the URL or the credentials hold.
#[derive(Debug, thiserror::Error)]
pub enum NatsSettingError {
    /// A URL is none.
    #[error("nats.url: server {number} of the list is not the URL of a NATS server")]
    Url {
        /// Which one, counted from 1.
        number: usize,
    },
    /// A file cannot be read.
    #[error("{setting}: cannot read {}", path.display())]
    File {
        /// The setting's name.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// A file does not hold credentials.
    #[error("nats.credentials_file: {} holds no credentials as `nsc` writes them", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
    },
    /// A file does not hold a certificate.
    #[error("nats.ca_file: {} holds no certificate in PEM", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
    },
}

impl NatsOptions {
    /// Finds out whether a client can be made of the settings. Asks no server.
    pub fn check(&self) -> Result<(), NatsSettingError> {
        for (index, url) in self.urls.iter().enumerate() {
            if url.parse::<ServerAddr>().is_err() {
                return Err(NatsSettingError::Url { number: index + 1 });
            }
        }
        if let Some(path) = &self.credentials_file {
            let text = read("nats.credentials_file", path)?;
            if ConnectOptions::new().credentials(&text).is_err() {
                return Err(NatsSettingError::Credentials { path: path.clone() });
            }
        }
        if let Some(path) = &self.ca_file {
            let text = read("nats.ca_file", path)?;
            let mut certificates = CertificateDer::pem_slice_iter(text.as_bytes());
            if !matches!(certificates.next(), Some(Ok(_))) {
                return Err(NatsSettingError::Authority { path: path.clone() });
            }
        }
        Ok(())
    }
}

fn read(setting: &'static str, path: &PathBuf) -> Result<String, NatsSettingError> {
    fs::read_to_string(path).map_err(|error| NatsSettingError::File {
        setting,
        path: path.clone(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn options(url: &str) -> NatsOptions {
        NatsOptions {
            urls: url.split(',').map(str::to_owned).collect(),
            credentials_file: None,
            ca_file: None,
            stream: "HOLDFAST".to_owned(),
            prefix: "holdfast".to_owned(),
            replicas: 1,
            max_age: Duration::from_hours(1),
        }
    }

    fn complaint(options: &NatsOptions) -> String {
        options.check().expect_err("cannot be used").to_string()
    }

    #[test]
    fn what_cannot_be_used_is_named_by_its_setting_and_without_its_secrets() {
        assert!(options("nats://a:4222,tls://b").check().is_ok());
        let bad = complaint(&options("nats://a:4222,http://user:secret@b"));
        assert!(
            bad.starts_with("nats.url: server 2") && !bad.contains("secret"),
            "{bad}"
        );

        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        let credentials = NatsOptions {
            credentials_file: Some(path.clone()),
            ..options("nats://a")
        };
        let authority = NatsOptions {
            ca_file: Some(path.clone()),
            ..options("nats://a")
        };
        for (options, setting) in [
            (&credentials, "nats.credentials_file"),
            (&authority, "nats.ca_file"),
        ] {
            let missing = complaint(options);
            assert!(
                missing.starts_with(setting) && missing.contains("cannot read"),
                "{missing}"
            );
        }
        fs::write(&path, "neither").expect("is written");
        for (options, setting) in [
            (&credentials, "nats.credentials_file"),
            (&authority, "nats.ca_file"),
        ] {
            let other = complaint(options);
            assert!(
                other.starts_with(setting) && other.contains("holds no"),
                "{other}"
            );
        }
    }
}
