//! Mail: plain text messages that go to a relay over SMTP, or into a directory.
//!
//! *Invariant*: a message that is made again has the same `Message-ID` and date, those of the event that
//! it tells of, so whoever gets it twice can know. Its bytes are a function of what it is made of: the
//! same [`Mail`] is the same message. The address and the wording are the caller's, who reads some of
//! that - to whom, the greeting, a product's name - when it sends.

use std::{
    fmt,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use holdfast_domain::{Email, Timestamp};
use lettre::{
    Address, Message,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
};

mod relay;
mod spool;
mod url;

pub(crate) use relay::CONNECTIONS;
use relay::Relay;
use spool::Spool;

pub use url::{check_smtp_url, with_password};

/// The last second that a message's date can have: that of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// How a node sends mail.
#[derive(Clone, Debug)]
pub struct MailOptions {
    /// Who it is from, as `name@example.com` or `Name <name@example.com>`.
    pub sender: String,
    /// Where it goes.
    pub transport: MailTransport,
    /// How often a message is tried before it is given up.
    pub attempts: u32,
    /// The pause after the first attempt that fails; it doubles with every further one.
    pub retry_first: Duration,
    /// The longest pause.
    pub retry_max: Duration,
}

/// Where mail goes.
#[derive(Clone)]
pub enum MailTransport {
    /// To a relay.
    Smtp {
        /// `smtp://` or `smtps://`; may hold a password, and is never shown.
        url: String,
        /// An authority that signed the relay's certificate, besides those of the system, PEM.
        ca: Option<PathBuf>,
        /// How long each step of the conversation may take.
        timeout: Duration,
    },
    /// Into a directory, a file each.
    Spool {
        /// The directory; made if it is missing.
        directory: PathBuf,
        /// Files that it may hold.
        max_files: usize,
    },
}

impl fmt::Debug for MailTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Smtp { .. } => f.debug_struct("Smtp").finish_non_exhaustive(),
            Self::Spool { directory, .. } => f
                .debug_struct("Spool")
                .field("directory", directory)
                .finish_non_exhaustive(),
        }
    }
}

/// Why mail cannot be sent as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The sender is no address.
    #[error("the sender must look like `name@example.com` or `Name <name@example.com>`")]
    Sender(#[source] lettre::address::AddressError),
    /// The relay's URL makes no sense, or would give a password away.
    #[error("{0}")]
    Url(&'static str),
    /// The relay's certificate cannot be checked.
    #[error("the TLS of the mail relay cannot be set up")]
    Tls(#[source] lettre::transport::smtp::Error),
    /// A file or a directory cannot be used.
    #[error("cannot use {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Tells whether mail can be from `sender`.
pub fn check_sender(sender: &str) -> Result<(), MailError> {
    sender.parse::<Mailbox>().map(drop).map_err(MailError::Sender)
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mail {
    /// Names the message: the left part of its `Message-ID`.
    pub(crate) id: String,
    /// Whom it is for.
    pub(crate) to: Email,
    /// What it is about, in one line.
    pub(crate) subject: String,
    /// The text.
    pub(crate) body: String,
    /// When what it tells of happened.
    pub(crate) at: Timestamp,
}

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotTaken {
    /// Whether it never will be: the address is refused, or the message is.
    pub(crate) for_good: bool,
    /// What was said.
    pub(crate) reason: String,
}

impl NotTaken {
    fn for_now(reason: impl Into<String>) -> Self {
        Self {
            for_good: false,
            reason: reason.into(),
        }
    }

    fn for_good(reason: impl Into<String>) -> Self {
        Self {
            for_good: true,
            reason: reason.into(),
        }
    }
}

/// Sends mail.
pub(crate) struct Mailer {
    sender: Mailbox,
    route: Route,
}

enum Route {
    Relay(Relay),
    Spool(Spool),
}

impl Mailer {
    /// Gets ready to send; does not connect yet.
    pub(crate) fn new(options: &MailOptions) -> Result<Self, MailError> {
        let sender = options.sender.parse().map_err(MailError::Sender)?;
        let route = match &options.transport {
            MailTransport::Smtp { url, ca, timeout } => {
                Route::Relay(Relay::new(url, ca.as_deref(), *timeout)?)
            }
            MailTransport::Spool { directory, max_files } => {
                Route::Spool(Spool::open(directory, *max_files)?)
            }
        };
        Ok(Self { sender, route })
    }

    /// Returns how long [`Self::send`] takes at most.
    pub(crate) fn limit(&self) -> Duration {
        match &self.route {
            Route::Relay(relay) => relay.limit(),
            Route::Spool(_) => Spool::LIMIT,
        }
    }

    /// Sends a message. That it was taken is known only from `Ok`; it may have been otherwise.
    pub(crate) async fn send(&self, mail: &Mail) -> Result<(), NotTaken> {
        let message = self.message(mail)?;
        match &self.route {
            Route::Relay(relay) => relay.send(message).await,
            Route::Spool(spool) => spool.put(&mail.id, message.formatted()).await,
        }
    }

    fn message(&self, mail: &Mail) -> Result<Message, NotTaken> {
        let to: Address = mail
            .to
            .as_str()
            .parse()
            .map_err(|error| NotTaken::for_good(format!("the address cannot be written to: {error}")))?;
        let seconds = mail.at.unix_seconds().min(LAST_SECOND);
        Message::builder()
            .from(self.sender.clone())
            .to(Mailbox::new(None, to))
            .subject(&mail.subject)
            .date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .message_id(Some(format!("<{}@{}>", mail.id, self.sender.email.domain())))
            // RFC 3834: nobody's absence note should answer.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .header(ContentType::TEXT_PLAIN)
            .body(mail.body.clone())
            .map_err(|error| NotTaken::for_good(format!("the message cannot be made: {error}")))
    }
}

#[cfg(test)]
mod tests;
