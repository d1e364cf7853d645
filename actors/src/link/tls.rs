//! Mutual TLS between nodes.
//!
//! Each end must hold a certificate from a configured authority. The dialing end knows which node
//! it wants and has the handshake check that name. The accepting end cannot know whom to expect:
//! the certificate is kept, and compared with the name that the peer authenticates under.

use std::path::Path;
use std::sync::Arc;

use ractor_cluster::{BoxRead, BoxWrite};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::error::TlsError;
use super::options::TlsFiles;

/// Both directions of a connection, and the certificate that the peer has shown, if any.
pub(super) struct Transport {
    pub(super) read: BoxRead,
    pub(super) write: BoxWrite,
    pub(super) certificate: Option<CertificateDer<'static>>,
}

/// What a node needs to shake hands from either end.
pub(super) struct Tls {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

impl Tls {
    /// Reads the files and checks that the certificate is for `node`.
    pub(super) async fn load(files: &TlsFiles, node: &str) -> Result<Self, TlsError> {
        let chain = certificates(&files.cert).await?;
        if server_name(node).is_none() {
            return Err(TlsError::Name {
                name: node.to_owned(),
            });
        }
        if !chain.first().is_some_and(|leaf| certifies(leaf, node)) {
            return Err(TlsError::NotOurs {
                name: node.to_owned(),
            });
        }
        let key = private_key(&files.key).await?;
        let mut roots = RootCertStore::empty();
        for authority in certificates(&files.ca).await? {
            roots.add(authority)?;
        }
        let roots = Arc::new(roots);
        let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider)).build()?;
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
        })
    }

    /// Shakes hands with whoever dialed.
    pub(super) async fn accept(&self, socket: TcpStream) -> std::io::Result<Transport> {
        let stream = self.acceptor.accept(socket).await?;
        let certificate = leaf(stream.get_ref().1.peer_certificates());
        let (read, write) = tokio::io::split(stream);
        Ok(Transport {
            read: Box::new(read),
            write: Box::new(write),
            certificate,
        })
    }

    /// Shakes hands with `node`, and with nobody else.
    pub(super) async fn connect(&self, socket: TcpStream, node: &str) -> std::io::Result<Transport> {
        let name = server_name(node).ok_or(std::io::ErrorKind::InvalidInput)?;
        let stream = self.connector.connect(name, socket).await?;
        let certificate = leaf(stream.get_ref().1.peer_certificates());
        let (read, write) = tokio::io::split(stream);
        Ok(Transport {
            read: Box::new(read),
            write: Box::new(write),
            certificate,
        })
    }
}

/// Tells whether `certificate` was issued for `node`. That it was issued by a known authority has
/// been checked in the handshake.
pub(super) fn certifies(certificate: &CertificateDer<'_>, node: &str) -> bool {
    let Some(name) = server_name(node) else {
        return false;
    };
    webpki::EndEntityCert::try_from(certificate)
        .is_ok_and(|leaf| leaf.verify_is_valid_for_subject_name(&name).is_ok())
}

fn server_name(node: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(node.to_owned()).ok()
}

fn leaf(chain: Option<&[CertificateDer<'static>]>) -> Option<CertificateDer<'static>> {
    chain.and_then(<[_]>::first).cloned()
}

async fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    tokio::fs::read(path).await.map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

async fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path).await?;
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    chain
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| TlsError::Missing {
            path: path.to_owned(),
            wanted: "certificate",
        })
}

async fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(path).await?).map_err(|_| TlsError::Missing {
        path: path.to_owned(),
        wanted: "private key",
    })
}
