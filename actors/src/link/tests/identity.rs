//! Who may be a peer: cookies, certificates, names.

use super::*;

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::link::handshake;
use crate::link::hub::Hub;
use crate::link::tls::Tls;

/// An authority with a directory to issue certificates into.
struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        Self {
            dir,
            issuer: Issuer::new(params, key),
        }
    }

    /// Issues a certificate for `name`.
    fn files(&self, name: &str) -> TlsFiles {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()])
            .unwrap()
            .signed_by(&key, &self.issuer)
            .unwrap();
        let file = |extension: &str| self.dir.path().join(format!("{name}.{extension}"));
        fs::write(file("crt"), certificate.pem()).unwrap();
        fs::write(file("key"), key.serialize_pem()).unwrap();
        TlsFiles {
            ca: self.dir.path().join("ca.pem"),
            cert: file("crt"),
            key: file("key"),
        }
    }
}

fn encrypted(name: &str, files: TlsFiles) -> LinkOptions {
    LinkOptions {
        tls: Some(files),
        ..options(name)
    }
}

/// A node that is put together by hand, so that it can lie: what it says in its hello, what it
/// authenticates as and what its certificate is for need not agree.
struct Impostor {
    hub: Arc<Hub>,
    gateway: ActorRef<GatewayMessage>,
}

impl Impostor {
    async fn new(hello: LinkOptions, authenticates_as: &LinkName, tls: Option<Tls>) -> Self {
        let server = NodeServer::new(
            0,
            hello.cookie.clone(),
            authenticates_as.local(),
            authenticates_as.host(),
            None,
            Some(NodeConnectionMode::Isolated),
        )
        .with_listen_addr(Ipv4Addr::LOCALHOST.into());
        let (server, _) = Actor::spawn(None, server, ()).await.unwrap();
        let hub = Arc::new(Hub::new(hello, tls, server));
        let gateway = Gateway {
            hub: Arc::downgrade(&hub),
            inbound: Arc::new(Handler::default()),
        };
        let (gateway, _) = Actor::spawn(Some(gateway_name(hub.me.id)), gateway, ())
            .await
            .unwrap();
        Self { hub, gateway }
    }

    /// One that lies in nothing but, perhaps, its options and its certificate.
    async fn consistent(options: LinkOptions, tls: Option<Tls>) -> Self {
        let name = LinkName::new(options.node_name.clone(), options.node_id);
        Self::new(options, &name, tls).await
    }

    /// Dials `victim`; tells whether it came up there before it was hung up on.
    async fn gets_into(&self, victim: &Node) -> bool {
        let mut events = victim.link.subscribe();
        let stream = handshake::dial(&self.hub, &victim.peer())
            .await
            .expect("the hello proves nothing yet");
        let closed = stream.connection.closed.clone();
        self.hub.hand_over(stream, false);
        tokio::select! {
            event = events.recv() => event == Ok(LinkEvent::Up(self.hub.me.id)),
            () = closed.cancelled() => events.try_recv().is_ok(),
            () = tokio::time::sleep(PATIENCE) => panic!("neither in nor out"),
        }
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.hub.server.kill();
        self.gateway.kill();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_claims_agree_is_let_in() {
    let authority = Authority::new();
    let node = Node::start(encrypted("n1", authority.files("n1"))).await;
    let tls = Tls::load(&authority.files("n2"), "n2").await.unwrap();
    let honest = Impostor::consistent(options("n2"), Some(tls)).await;
    assert!(honest.gets_into(&node).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_authenticates_as_another_than_it_said_is_refused() {
    let victim = Node::start(options("n1")).await;
    let other = LinkName::new("n2", Uuid::now_v7());
    let liar = Impostor::new(options("n2"), &other, None).await;
    assert!(!liar.gets_into(&victim).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_with_certificates_of_their_names_connect() {
    let authority = Authority::new();
    let one = Node::start(encrypted("n1", authority.files("n1"))).await;
    let two = Node::start(encrypted("n2", authority.files("n2"))).await;
    let mut mute = Vec::new();
    for _ in 0..20 {
        mute.push(
            tokio::net::TcpStream::connect(one.link.local_addr())
                .await
                .unwrap(),
        );
    }
    connect(&[&one, &two]).await;
    let large = vec![7; MAX_FRAME_BYTES];
    assert!(one.ask(&two, &large).await.unwrap() == large);
    assert!(two.ask(&one, b"there?").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_name_is_refused_by_the_end_that_accepts() {
    let authority = Authority::new();
    let victim = Node::start(encrypted("n1", authority.files("n1"))).await;
    let tls = Tls::load(&authority.files("n9"), "n9").await.unwrap();
    let liar = Impostor::consistent(options("n2"), Some(tls)).await;
    assert!(!liar.gets_into(&victim).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_name_is_refused_by_the_end_that_dials() {
    let authority = Authority::new();
    let one = Node::start(encrypted("n1", authority.files("n1"))).await;
    let nine = Node::start(encrypted("n9", authority.files("n9"))).await;
    let pretended = Peer {
        name: "n2".to_owned(),
        ..nine.peer()
    };
    assert!(handshake::dial(&one.link.inner.hub, &pretended).await.is_err());
    assert!(handshake::dial(&one.link.inner.hub, &nine.peer()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_a_foreign_authority_is_refused() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let one = Node::start(encrypted("n1", authority.files("n1"))).await;
    let two = Node::start(encrypted("n2", foreign.files("n2"))).await;
    assert!(handshake::dial(&one.link.inner.hub, &two.peer()).await.is_err());
    assert!(handshake::dial(&two.link.inner.hub, &one.peer()).await.is_err());

    // One that trusts the right authority, but has no certificate from it.
    let mut files = foreign.files("n3");
    files.ca = authority.files("n3").ca;
    let three = Node::start(encrypted("n3", files)).await;
    assert!(handshake::dial(&three.link.inner.hub, &one.peer()).await.is_err());
    assert!(one.link.connected().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_tls_cannot_talk_to_one_with() {
    let authority = Authority::new();
    let one = Node::start(encrypted("n1", authority.files("n1"))).await;
    let two = Node::start(options("n2")).await;
    assert!(handshake::dial(&two.link.inner.hub, &one.peer()).await.is_err());
    assert!(one.link.connected().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_cookie_is_refused() {
    let victim = Node::start(options("n1")).await;
    let claims = LinkOptions {
        cookie: "another cookie".to_owned(),
        ..options("n2")
    };
    let stranger = Impostor::consistent(claims, None).await;
    assert!(!stranger.gets_into(&victim).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_the_list_has_for_nobody_is_refused() {
    let victim = Node::start(options("n1")).await;
    let liar = Impostor::consistent(options("n3"), None).await;
    victim.link.set_peers(vec![Peer {
        node_id: liar.hub.me.id,
        name: "n2".to_owned(),
        link_addr: "127.0.0.1:9".to_owned(),
        keeps_alive: true,
    }]);
    assert!(!liar.gets_into(&victim).await);
}

#[tokio::test]
async fn a_node_whose_certificates_cannot_work_does_not_start() {
    let authority = Authority::new();
    let start = async |name: &str, files: TlsFiles| {
        let inbound: Arc<dyn Inbound> = Arc::new(Handler::default());
        match Link::start(encrypted(name, files), inbound).await {
            Err(LinkError::Tls(error)) => error,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("it started"),
        }
    };
    let not_ours = start("n1", authority.files("n2")).await;
    assert!(matches!(not_ours, TlsError::NotOurs { .. }));
    let name = start("not a name", authority.files("n1")).await;
    assert!(matches!(name, TlsError::Name { .. }));

    let mut files = authority.files("n1");
    files.cert = authority.dir.path().join("nowhere");
    assert!(matches!(start("n1", files).await, TlsError::Read { .. }));
    let mut files = authority.files("n1");
    files.key = files.cert.clone();
    assert!(matches!(start("n1", files).await, TlsError::Missing { .. }));
}
