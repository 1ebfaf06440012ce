//! What TLS trusts and who we are: from options and files to one rustls configuration.

pub(crate) mod validity;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::config::{ConfigError, HttpVersion, TlsOptions};

/// Everything TLS needs for the connections of one client.
pub(crate) struct TlsSetup {
    pub(crate) config: Arc<rustls::ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl TlsSetup {
    /// Reads the files and loads the roots; the first call of a process that needs the platform's roots takes
    /// some milliseconds.
    pub(crate) fn new(options: &TlsOptions, version: HttpVersion) -> Result<Self, ConfigError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| ConfigError::Tls(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier(options, &provider)?);
        let mut config = match &options.client_certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let private = PrivateKeyDer::from_pem_file(key).map_err(|error| ConfigError::File {
                    path: key.clone(),
                    reason: pem_words(&error, "private key"),
                })?;
                builder.with_client_auth_cert(chain, private).map_err(|error| ConfigError::File {
                    path: key.clone(),
                    reason: format!("the key does not fit {}: {error}", certificate.display()),
                })?
            }
        };
        config.alpn_protocols = match version {
            HttpVersion::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            HttpVersion::V1 => vec![b"http/1.1".to_vec()],
            HttpVersion::V2 => vec![b"h2".to_vec()],
        };
        if !options.resumption {
            config.resumption = Resumption::disabled();
        }
        let server_name = match &options.server_name {
            None => None,
            Some(name) => Some(ServerName::try_from(name.clone()).map_err(|_| {
                ConfigError::Tls(format!("{name:?} is no name that TLS could ask for (SNI)"))
            })?),
        };
        Ok(TlsSetup { config: Arc::new(config), server_name })
    }

    /// The name to ask for and to check, for a host.
    pub(crate) fn server_name(&self, host: &str) -> Option<ServerName<'static>> {
        match &self.server_name {
            Some(name) => Some(name.clone()),
            None => ServerName::try_from(host.to_owned()).ok(),
        }
    }
}

fn verifier(
    options: &TlsOptions,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, ConfigError> {
    if options.insecure {
        return Ok(Arc::new(AcceptAny { provider: Arc::clone(provider) }));
    }
    let extra = match &options.ca_file {
        Some(path) => certificates(path)?,
        None => Vec::new(),
    };
    let mut roots = if options.platform_roots { platform_roots() } else { Arc::new(RootCertStore::empty()) };
    if !extra.is_empty() {
        let mut all = (*roots).clone();
        let (added, _) = all.add_parsable_certificates(extra.iter().cloned());
        if let (0, Some(path)) = (added, &options.ca_file) {
            return Err(ConfigError::File {
                path: path.clone(),
                reason: "none of its certificates can be used as a CA".into(),
            });
        }
        roots = Arc::new(all);
    }
    if roots.is_empty() {
        return Err(ConfigError::Tls(
            "this machine has no trusted root certificates; install ca-certificates or give a CA file (--cacert)"
                .into(),
        ));
    }
    let webpki = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map_err(|error| ConfigError::Tls(error.to_string()))?;
    Ok(Arc::new(Explaining { webpki, trusted: extra }))
}

/// The platform's roots, loaded once in a process. Certificates that cannot be read are left out.
fn platform_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let loaded = rustls_native_certs::load_native_certs();
        for error in &loaded.errors {
            tracing::debug!(%error, "a platform certificate cannot be read");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(loaded.certs);
        Arc::new(roots)
    });
    Arc::clone(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let file = |reason: String| ConfigError::File { path: path.into(), reason };
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| file(pem_words(&error, "certificate")))?
        .collect();
    let read = read.map_err(|error| file(pem_words(&error, "certificate")))?;
    if read.is_empty() {
        return Err(file("it holds no PEM certificate".into()));
    }
    Ok(read)
}

fn pem_words(error: &rustls_pki_types::pem::Error, wanted: &str) -> String {
    match error {
        rustls_pki_types::pem::Error::Io(error) => error.to_string(),
        rustls_pki_types::pem::Error::NoItemsFound => format!("it holds no PEM {wanted}"),
        other => format!("it is no valid PEM file: {other:?}"),
    }
}

/// Why a chain ends in nothing we trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UntrustedChain {
    /// The server's certificate is its own issuer.
    SelfSigned,
    /// The chain comes with its own root, which is not trusted here.
    UnknownRoot,
}

impl fmt::Display for UntrustedChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UntrustedChain::SelfSigned => {
                "is self-signed; trust it with --cacert, or accept anything with --insecure"
            }
            UntrustedChain::UnknownRoot => {
                "is signed by a private CA this machine does not trust; give that CA's certificate (--cacert)"
            }
        })
    }
}

impl std::error::Error for UntrustedChain {}

/// rustls's own verification, which also accepts a server certificate that the user trusts by itself (as curl
/// does), and says more about chains that it refuses.
#[derive(Debug)]
struct Explaining {
    webpki: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Explaining {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let refused = match self.webpki.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        ) {
            Ok(verified) => return Ok(verified),
            Err(refused) => refused,
        };
        let rustls::Error::InvalidCertificate(reason) = &refused else { return Err(refused) };
        match reason {
            // Trusted by itself: the key is the one the user named, whatever the certificate says of its uses.
            CertificateError::Other(_) | CertificateError::UnknownIssuer
                if self.trusted.iter().any(|trusted| trusted.as_ref() == end_entity.as_ref()) =>
            {
                let parsed = webpki::EndEntityCert::try_from(end_entity).map_err(|_| refused.clone())?;
                match parsed.verify_is_valid_for_subject_name(server_name) {
                    Ok(()) => Ok(ServerCertVerified::assertion()),
                    Err(_) => Err(CertificateError::NotValidForName.into()),
                }
            }
            CertificateError::UnknownIssuer => match untrusted(end_entity, intermediates) {
                Some(why) => Err(CertificateError::Other(OtherError(Arc::new(why))).into()),
                None => Err(refused),
            },
            _ if is_ca_as_server(reason) && is_own_issuer(end_entity) => {
                Err(CertificateError::Other(OtherError(Arc::new(UntrustedChain::SelfSigned))).into())
            }
            _ => Err(refused),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

fn is_ca_as_server(reason: &CertificateError) -> bool {
    match reason {
        CertificateError::Other(other) => {
            matches!(other.0.downcast_ref::<webpki::Error>(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

fn is_own_issuer(certificate: &CertificateDer<'_>) -> bool {
    webpki::EndEntityCert::try_from(certificate).is_ok_and(|parsed| parsed.issuer() == parsed.subject())
}

fn untrusted(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Option<UntrustedChain> {
    if is_own_issuer(end_entity) {
        return Some(UntrustedChain::SelfSigned);
    }
    intermediates.iter().any(is_own_issuer).then_some(UntrustedChain::UnknownRoot)
}

/// `--insecure`: any certificate, but still a server that holds its key.
#[derive(Debug)]
struct AcceptAny {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
