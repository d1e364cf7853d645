//! A real NATS server, for tests that kill it.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use async_nats::jetstream::{self, stream::Stream};
use holdfast_actors::NatsOptions;
use holdfast_domain::{Event, event::CloudEvent};

use super::eventually;

/// A server of this test's own, on loopback, that keeps streams in a directory of its own.
pub(crate) struct NatsServer {
    program: PathBuf,
    directory: tempfile::TempDir,
    port: u16,
    /// The largest message that the server takes, in bytes.
    max_payload: u32,
    process: Option<Child>,
}

/// The largest message that a server takes which was told nothing else, in bytes.
const MAX_PAYLOAD: u32 = 1 << 20;

impl NatsServer {
    /// Starts a server; `None`: there is no program, which is said. Where tests must not be skipped
    /// it is a failure.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_taking(MAX_PAYLOAD).await
    }

    /// Starts a server that takes messages of up to `max_payload` bytes only.
    pub(crate) async fn start_taking(max_payload: u32) -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/nats-server");
        let found = Command::new(script).output().expect("scripts/nats-server runs");
        if !found.status.success() {
            let why = String::from_utf8_lossy(&found.stderr);
            assert!(std::env::var_os("CI").is_none(), "no nats-server: {why}");
            #[expect(clippy::print_stderr, reason = "who runs the test has to know")]
            {
                eprintln!("SKIPPED, there is no nats-server: {why}");
            }
            return None;
        }
        let program = String::from_utf8(found.stdout).expect("a path").trim().into();
        // Nobody else asks for the port between the two, most likely; if so the server does not start.
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.local_addr().expect("bound").port()
        };
        let mut server = Self {
            program,
            directory: tempfile::tempdir().expect("a directory"),
            port,
            max_payload,
            process: None,
        };
        server.resume().await;
        Some(server)
    }

    /// Kills the server as a lost machine would be, but for what it had synced.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it can be killed");
            process.wait().expect("it ends");
        }
    }

    /// Starts the server again, as one that takes messages of the usual size.
    pub(crate) async fn resume_unbounded(&mut self) {
        self.kill();
        self.max_payload = MAX_PAYLOAD;
        self.resume().await;
    }

    /// Starts the server again, with what it has kept.
    pub(crate) async fn resume(&mut self) {
        let store = self.directory.path().join("store");
        let config = self.directory.path().join("nats.conf");
        let text = format!(
            "listen: \"127.0.0.1:{}\"\nmax_payload: {}\n\
             jetstream {{ store_dir: \"{}\", sync_interval: always, max_file: 1GB }}\n",
            self.port,
            self.max_payload,
            store.display()
        );
        std::fs::write(&config, text).expect("a file");
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&config);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.process = Some(command.spawn().expect("nats-server starts"));
        eventually("NATS answers", || async {
            let client = async_nats::connect(self.url()).await.ok()?;
            jetstream::new(client).query_account().await.ok()
        })
        .await;
    }

    /// Returns where the server is.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Returns what nodes are told about the server.
    pub(crate) fn options(&self) -> NatsOptions {
        NatsOptions {
            urls: vec![self.url()],
            credentials_file: None,
            ca_file: None,
            stream: "SHOP".to_owned(),
            prefix: "shop".to_owned(),
            replicas: 1,
            max_age: Duration::from_hours(1),
        }
    }

    /// Reads all that the stream has kept, in its order; nothing while there is no stream.
    pub(crate) async fn kept(&self) -> Vec<Event> {
        let Some(stream) = self.stream().await else {
            return Vec::new();
        };
        let last = stream.cached_info().state.last_sequence;
        let mut kept = Vec::new();
        for sequence in 1..=last {
            let message = stream.get_raw_message(sequence).await.expect("a message");
            let cloud: CloudEvent = serde_json::from_slice(&message.payload).expect("a CloudEvent");
            let event = Event::try_from(cloud).expect("an event of the shop");
            let id = message
                .headers
                .get("Nats-Msg-Id")
                .map(|id| id.as_str().to_owned());
            assert_eq!(id, Some(event.id.to_string()));
            kept.push(event);
        }
        kept
    }

    /// Returns how many messages the stream has kept.
    pub(crate) async fn count(&self) -> u64 {
        self.stream()
            .await
            .map_or(0, |stream| stream.cached_info().state.messages)
    }

    async fn stream(&self) -> Option<Stream> {
        let client = async_nats::connect(self.url()).await.ok()?;
        jetstream::new(client).get_stream("SHOP").await.ok()
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}
