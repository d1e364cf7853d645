//! Password hashing: argon2id, off the async threads, a bounded number at once.

mod memory;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{
        PasswordHasher,
        phc::{Output, PasswordHash},
    },
};
use tokio::sync::Semaphore;

use self::memory::Memory;
use crate::metrics::HashingMetrics;

/// How hard a password is to guess from its hash. The defaults are OWASP's.
#[derive(Clone, Copy, Debug)]
pub struct HashingOptions {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes of the memory.
    pub parallelism: u32,
    /// How many passwords are hashed at once. More than there are cores makes each slower.
    pub threads: usize,
    /// How many more may wait.
    pub waiting: usize,
    /// How long one may wait.
    pub patience: Duration,
}

impl Default for HashingOptions {
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            passes: 2,
            parallelism: 1,
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            waiting: 256,
            patience: Duration::from_secs(5),
        }
    }
}

impl HashingOptions {
    fn argon2(&self) -> Result<Argon2<'static>, HashingError> {
        let params = Params::new(self.memory_kib, self.passes, self.parallelism, None)
            .map_err(|_| HashingError::Malformed)?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

/// Why a password was neither hashed nor verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashingError {
    /// Too many wait already, or this one waited for too long.
    #[error("too many passwords are being hashed")]
    Overloaded,
    /// The parameters or a stored hash make no sense.
    #[error("the password hash or its parameters are malformed")]
    Malformed,
}

/// Hashes and verifies passwords.
#[derive(Clone)]
pub(crate) struct Hasher {
    argon2: Argon2<'static>,
    memory: Arc<Memory>,
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
    patience: Duration,
    /// A hash of no account's password. Verified for addresses that have no account, so that an
    /// unknown address takes as long as a wrong password.
    decoy: Arc<str>,
    metrics: HashingMetrics,
}

impl Hasher {
    /// Starts with nothing to do. Hashes once, for the decoy.
    pub(crate) fn new(options: HashingOptions, metrics: HashingMetrics) -> Result<Self, HashingError> {
        let argon2 = options.argon2()?;
        let memory = Memory::of(argon2.params().block_count());
        let decoy = hash(&argon2, &uuid::Uuid::from_bytes(rand::random()).to_string())?;
        Ok(Self {
            argon2,
            memory: Arc::new(memory),
            running: Arc::new(Semaphore::new(options.threads.max(1))),
            admitted: Arc::new(Semaphore::new(options.threads.max(1) + options.waiting)),
            patience: options.patience,
            decoy: decoy.into(),
            metrics,
        })
    }

    /// Hashes a password into a PHC string.
    pub(crate) async fn hash(&self, password: String) -> Result<String, HashingError> {
        self.run(move |argon2| hash(argon2, &password)).await
    }

    /// Tells whether a password is the hashed one; `None`: there is no account, and it never is.
    pub(crate) async fn verify(
        &self,
        password: String,
        stored: Option<String>,
    ) -> Result<bool, HashingError> {
        let (decoy, memory) = (Arc::clone(&self.decoy), Arc::clone(&self.memory));
        self.run(move |_| {
            let expected = stored.as_deref().unwrap_or(&decoy);
            let is_right = matches(&password, expected, &memory).ok_or(HashingError::Malformed)?;
            Ok(is_right && stored.is_some())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'static>) -> Result<T, HashingError> + Send + 'static,
    ) -> Result<T, HashingError> {
        let overloaded = || {
            self.metrics.overloaded();
            HashingError::Overloaded
        };
        let _admitted = self.admitted.try_acquire().map_err(|_| overloaded())?;
        let (waiting, began) = (self.metrics.waits(), Instant::now());
        let running = Arc::clone(&self.running).acquire_owned();
        let running = tokio::time::timeout(self.patience, running)
            .await
            .map_err(|_| overloaded())?;
        drop(waiting);
        self.metrics.waited(began.elapsed());
        let (argon2, metrics) = (self.argon2.clone(), self.metrics.clone());
        let worked = tokio::task::spawn_blocking(move || {
            // Held by the thread: a caller that goes away does not make room for another.
            let _running = running;
            let began = Instant::now();
            let worked = work(&argon2);
            metrics.took(began.elapsed());
            worked
        });
        worked.await.map_err(|_| HashingError::Malformed)?
    }
}

/// Hashes one password, where no node runs that would do it.
///
/// # Errors
/// The parameters make no sense.
pub fn hash_password(password: &str, options: HashingOptions) -> Result<String, HashingError> {
    hash(&options.argon2()?, password)
}

fn hash(argon2: &Argon2<'static>, password: &str) -> Result<String, HashingError> {
    let hash = argon2
        .hash_password(password.as_bytes())
        .map_err(|_| HashingError::Malformed)?;
    Ok(hash.to_string())
}

/// Tells whether a password has the hash that `expected` is, a PHC string; `None`: it is not one of argon2.
fn matches(password: &str, expected: &str, memory: &Memory) -> Option<bool> {
    let expected = PasswordHash::new(expected).ok()?;
    let (salt, hash) = (expected.salt?, expected.hash?);
    let version = expected.version.map(Version::try_from).transpose().ok()?;
    let argon2 = Argon2::new(
        Algorithm::try_from(expected.algorithm.as_str()).ok()?,
        version.unwrap_or_default(),
        Params::try_from(&expected).ok()?,
    );
    let mut output = [0; Output::MAX_LENGTH];
    let output = &mut output[..hash.len()];
    let password = password.as_bytes();
    let hashed = memory.lend(argon2.params().block_count(), |blocks| {
        argon2.hash_password_into_with_memory(password, &salt, &mut *output, blocks)
    });
    // One that was hashed under other settings has memory of its own.
    let hashed = hashed.unwrap_or_else(|| argon2.hash_password_into(password, &salt, output));
    hashed.ok()?;
    // Compared in constant time.
    Some(Output::new(output).ok()? == hash)
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordVerifier;

    use super::*;

    #[test]
    fn a_hash_is_verified_as_the_library_does_whatever_its_parameters_are() {
        let memory = Memory::of(64);
        for (algorithm, version, kib, passes) in [
            (Algorithm::Argon2id, Version::V0x13, 64, 1),
            (Algorithm::Argon2i, Version::V0x13, 16, 3),
            (Algorithm::Argon2d, Version::V0x10, 128, 2),
            (Algorithm::Argon2id, Version::V0x13, 32, 1),
        ] {
            let params = Params::new(kib, passes, 1, None).expect("sane");
            let argon2 = Argon2::new(algorithm, version, params);
            let stored = argon2.hash_password(b"correct horse").expect("hashes");
            for password in ["correct horse", "battery staple"] {
                let expected = argon2.verify_password(password.as_bytes(), &stored).is_ok();
                assert_eq!(matches(password, &stored.to_string(), &memory), Some(expected));
            }
        }
        assert_eq!(matches("correct horse", "$2b$12$abc", &memory), None);
        assert_eq!(matches("correct horse", "", &memory), None);
    }

    fn metrics() -> HashingMetrics {
        crate::metrics::Metrics::new().expect("distinct names").hashing
    }

    fn hasher() -> Hasher {
        let options = HashingOptions {
            memory_kib: 64,
            passes: 1,
            ..HashingOptions::default()
        };
        Hasher::new(options, metrics()).expect("sane")
    }

    #[tokio::test]
    async fn a_password_verifies_against_its_hash_alone() {
        let hasher = hasher();
        let hash = hasher.hash("correct horse".into()).await.expect("hashes");
        assert_eq!(
            hasher.verify("correct horse".into(), Some(hash.clone())).await,
            Ok(true)
        );
        assert_eq!(
            hasher.verify("battery staple".into(), Some(hash)).await,
            Ok(false)
        );
    }

    #[tokio::test]
    async fn without_an_account_no_password_is_right() {
        assert_eq!(hasher().verify("correct horse".into(), None).await, Ok(false));
    }

    #[tokio::test]
    async fn too_many_at_once_are_refused() {
        let options = HashingOptions {
            memory_kib: 64,
            passes: 1,
            threads: 1,
            waiting: 0,
            ..HashingOptions::default()
        };
        let hasher = Hasher::new(options, metrics()).expect("sane");
        let _busy = hasher.admitted.try_acquire().expect("free");
        assert_eq!(
            hasher.hash("correct horse".into()).await,
            Err(HashingError::Overloaded)
        );
    }
}
