//! Where mail arrives: a mail relay that speaks SMTP, and a spool.

use std::{
    collections::HashSet,
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use mail_parser::{Message, MessageParser};
use mailin::{
    Action, AuthMechanism, Handler, Response, Session, SessionBuilder,
    response::{AUTH_OK, INVALID_CREDENTIALS, NO_MAILBOX, OK},
};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A mail, as whoever gets it reads it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Letter {
    /// When it says that it was written, in seconds.
    pub(crate) date: i64,
    /// Its `Message-ID`.
    pub(crate) id: String,
    /// Whom it is for.
    pub(crate) to: String,
    /// Who it is from.
    pub(crate) from: String,
    /// What it is about.
    pub(crate) subject: String,
    /// Its text.
    pub(crate) text: String,
}

impl Letter {
    /// Reads a mail, which has to be a sound one.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let message = MessageParser::default().parse(bytes).expect("a mail");
        let address = |found: Option<&mail_parser::Address<'_>>| {
            let first = found.and_then(mail_parser::Address::first);
            first
                .and_then(|one| one.address())
                .expect("an address")
                .to_owned()
        };
        let text = |found: Option<&str>| found.expect("a header").to_owned();
        Self {
            date: message
                .date()
                .map(mail_parser::DateTime::to_timestamp)
                .expect("a date"),
            id: text(message.message_id()),
            to: address(message.to()),
            from: address(message.from()),
            subject: text(message.subject()),
            text: plain_text(&message),
        }
    }
}

fn plain_text(message: &Message<'_>) -> String {
    let text = message.body_text(0).expect("a text");
    text.replace("\r\n", "\n")
}

/// Reads all mails in a spool, in the order of their names.
pub(crate) fn spooled(directory: &Path) -> Vec<Letter> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| Letter::read(&fs::read(path).expect("a file")))
        .collect()
}

/// A mail relay of another make: it understands SMTP by a library of its own.
pub(crate) struct MailRelay {
    listener: TcpListener,
    rules: Rules,
    inner: Arc<Inner>,
}

/// What a relay insists on.
#[derive(Clone, Default)]
pub(crate) struct Rules {
    /// TLS by STARTTLS, with this certificate.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// A user with a password, which takes TLS.
    pub(crate) login: Option<(&'static str, &'static str)>,
}

#[derive(Default)]
struct Inner {
    taken: Mutex<Vec<Letter>>,
    unknown: Mutex<HashSet<String>>,
    login: Option<(&'static str, &'static str)>,
}

impl MailRelay {
    /// Opens a relay.
    pub(crate) fn open() -> Self {
        let relay = Self::silent(Rules::default());
        relay.answer();
        relay
    }

    /// Makes a relay that takes connections and says nothing, until it is told to answer.
    pub(crate) fn silent(rules: Rules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let login = rules.login;
        Self {
            listener,
            rules,
            inner: Arc::new(Inner {
                login,
                ..Inner::default()
            }),
        }
    }

    /// Opens a relay on a port that was free until now.
    pub(crate) fn open_at(address: SocketAddr) -> Self {
        let relay = Self {
            listener: TcpListener::bind(address).expect("the port is free still"),
            rules: Rules::default(),
            inner: Arc::default(),
        };
        relay.answer();
        relay
    }

    /// Begins to answer, those first who have come first.
    pub(crate) fn answer(&self) {
        let listener = self.listener.try_clone().expect("a socket");
        let (rules, inner) = (self.rules.clone(), Arc::clone(&self.inner));
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (rules, inner) = (rules.clone(), Arc::clone(&inner));
                // A conversation that is broken off ends there, as it does for any relay.
                thread::spawn(move || converse(stream, &rules, inner));
            }
        });
    }

    /// Returns where the relay listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("bound")
    }

    /// Returns the relay's URL.
    pub(crate) fn url(&self) -> String {
        format!("smtp://{}", self.address())
    }

    /// Returns the mails that the relay has taken, in their order.
    pub(crate) fn taken(&self) -> Vec<Letter> {
        held(&self.inner.taken).clone()
    }

    /// Refuses mail for an address, for good.
    pub(crate) fn does_not_know(&self, address: &str) {
        held(&self.inner.unknown).insert(address.to_owned());
    }

    /// Takes mail for an address again.
    pub(crate) fn knows(&self, address: &str) {
        held(&self.inner.unknown).remove(address);
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One client's conversation.
struct Conversation {
    inner: Arc<Inner>,
    data: Vec<u8>,
}

impl Handler for Conversation {
    fn rcpt(&mut self, to: &str) -> Response {
        if held(&self.inner.unknown).contains(to) {
            NO_MAILBOX
        } else {
            OK
        }
    }

    fn data(&mut self, line: &[u8]) -> io::Result<()> {
        self.data.extend_from_slice(line);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        let letter = Letter::read(&std::mem::take(&mut self.data));
        held(&self.inner.taken).push(letter);
        OK
    }

    fn auth_plain(&mut self, _: &str, user: &str, password: &str) -> Response {
        if self.inner.login == Some((user, password)) {
            AUTH_OK
        } else {
            INVALID_CREDENTIALS
        }
    }
}

fn converse(stream: TcpStream, rules: &Rules, inner: Arc<Inner>) -> io::Result<()> {
    let mut builder = SessionBuilder::new("relay.example.com");
    if rules.tls.is_some() {
        builder.enable_start_tls();
    }
    if rules.login.is_some() {
        builder.enable_auth(AuthMechanism::Plain);
    }
    let data = Vec::new();
    let mut session = builder.build(IpAddr::from(Ipv4Addr::LOCALHOST), Conversation { inner, data });
    let mut plain = BufReader::new(stream);
    session.greeting().write_to(plain.get_mut())?;
    let wants_tls = exchange(&mut session, &mut plain)?;
    if let (true, Some(config)) = (wants_tls, &rules.tls) {
        let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        let mut protected = BufReader::new(StreamOwned::new(connection, plain.into_inner()));
        session.tls_active();
        exchange(&mut session, &mut protected)?;
    }
    Ok(())
}

/// Answers line by line; returns whether TLS is to begin.
fn exchange<S: Read + Write>(
    session: &mut Session<Conversation>,
    stream: &mut BufReader<S>,
) -> io::Result<bool> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line)? == 0 {
            return Ok(false);
        }
        let response = session.process(&line);
        if response.action != Action::NoReply {
            response.write_to(stream.get_mut())?;
            stream.get_mut().flush()?;
        }
        match response.action {
            Action::Close => return Ok(false),
            Action::UpgradeTls => return Ok(true),
            Action::Reply | Action::NoReply => {}
        }
    }
}
