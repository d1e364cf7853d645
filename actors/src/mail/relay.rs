//! A mail relay, reached over SMTP.

use std::{fs, path::Path, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    transport::smtp::{
        Error, PoolConfig,
        client::{Certificate, Tls, TlsParameters},
    },
};
use tokio::time::timeout;

use super::{
    MailError, NotTaken,
    url::{self, Security},
};

/// Connections that are kept; as many are made at once.
pub(crate) const CONNECTIONS: u32 = 8;
/// How long a connection may rest before it is closed.
const CONNECTION_IDLE: Duration = Duration::from_secs(30);
/// Steps of a conversation that may each take their time before the whole takes too long.
const SLOW_STEPS: u32 = 3;

/// A relay that takes messages.
pub(super) struct Relay {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    limit: Duration,
}

impl Relay {
    pub(super) fn new(url: &str, ca: Option<&Path>, step: Duration) -> Result<Self, MailError> {
        let checked = url::complete(url)?;
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(MailError::Tls)?;
        if let Some(path) = ca {
            let failed = |source| MailError::File {
                path: path.to_path_buf(),
                source,
            };
            let pem = fs::read(path).map_err(failed)?;
            let parameters = TlsParameters::builder(checked.host)
                .add_root_certificate(Certificate::from_pem(&pem).map_err(MailError::Tls)?)
                .build()
                .map_err(MailError::Tls)?;
            builder = builder.tls(match checked.security {
                Security::Plain => Tls::None,
                Security::StartTls => Tls::Required(parameters),
                Security::Tls => Tls::Wrapper(parameters),
            });
        }
        let pool = PoolConfig::new()
            .max_size(CONNECTIONS)
            .idle_timeout(CONNECTION_IDLE);
        Ok(Self {
            transport: builder.timeout(Some(step)).pool_config(pool).build(),
            limit: step * SLOW_STEPS,
        })
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    pub(super) async fn send(&self, message: Message) -> Result<(), NotTaken> {
        match timeout(self.limit, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(NotTaken {
                for_good: is_for_good(&error),
                reason: error.to_string(),
            }),
            Err(_) => Err(NotTaken::for_now("the mail relay took too long")),
        }
    }
}

/// Tells whether a relay will say the same tomorrow: it refuses the address or the message.
///
/// That it does not believe who we are is for an operator to mend; meanwhile mail waits.
fn is_for_good(error: &Error) -> bool {
    let is_about_us = |code: String| matches!(code.as_str(), "530" | "534" | "535" | "538");
    error.is_permanent() && !error.status().is_some_and(|code| is_about_us(code.to_string()))
}
