//! The URL of a mail relay.

use std::net::IpAddr;

use url::Url;

use super::MailError;

/// A URL that has been checked.
pub(super) struct SmtpUrl {
    pub(super) host: String,
    pub(super) security: Security,
}

/// How the conversation is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// Not at all: for a relay on this machine, or one that wants no password.
    Plain,
    /// By STARTTLS, and not without.
    StartTls,
    /// By TLS from the first byte.
    Tls,
}

/// Checks the URL of a mail relay; `password_follows` if a password comes from elsewhere.
///
/// What it says is told without the URL, which may hold a password.
pub fn check_smtp_url(text: &str, password_follows: bool) -> Result<(), MailError> {
    let url = parse(text)?;
    let user = !url.username().is_empty();
    let password = url.password().is_some();
    if password_follows && !user {
        return Err(MailError::Url("must name the user whose password is in the file"));
    }
    if password_follows && password {
        return Err(MailError::Url(
            "must not hold a password beside the one in the file",
        ));
    }
    if user && !password && !password_follows {
        return Err(MailError::Url("names a user without a password"));
    }
    check(&url, password || password_follows).map(drop)
}

/// Puts a password into a URL that has been checked to name its user.
pub fn with_password(text: &str, password: &str) -> Result<String, MailError> {
    let mut url = parse(text)?;
    url.set_password(Some(password))
        .map_err(|()| MailError::Url("cannot hold a password"))?;
    Ok(url.into())
}

/// Checks a URL that is complete.
pub(super) fn complete(text: &str) -> Result<SmtpUrl, MailError> {
    check_smtp_url(text, false)?;
    let url = parse(text)?;
    check(&url, url.password().is_some())
}

fn parse(text: &str) -> Result<Url, MailError> {
    Url::parse(text)
        .map_err(|_| MailError::Url("must be a URL such as smtps://user:password@mail.example.com"))
}

fn check(url: &Url, has_password: bool) -> Result<SmtpUrl, MailError> {
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
        return Err(MailError::Url("must name a host"));
    };
    let parameters: Vec<_> = url.query_pairs().collect();
    let tls = match parameters.as_slice() {
        [] => None,
        [(name, value)] if name == "tls" => Some(value.as_ref()),
        _ => return Err(MailError::Url("may have no parameter but tls")),
    };
    let security = match (url.scheme(), tls) {
        ("smtps", None) => Security::Tls,
        ("smtp", Some("required")) => Security::StartTls,
        ("smtp", None) => Security::Plain,
        ("smtp" | "smtps", Some(_)) => {
            return Err(MailError::Url(
                "tls must be `required`, and belongs to smtp:// alone",
            ));
        }
        _ => return Err(MailError::Url("must begin with smtp:// or smtps://")),
    };
    if security == Security::Plain && has_password && !is_here(host) {
        return Err(MailError::Url(
            "would send a password in the clear: begin with smtps://, or end in ?tls=required",
        ));
    }
    Ok(SmtpUrl {
        host: host.to_owned(),
        security,
    })
}

fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}
