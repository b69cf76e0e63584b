//! How the command line reaches the running server: over TLS if that is how it listens.

use std::sync::Arc;

use anyhow::Context as _;
use http_body::Body;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, SignatureScheme};

use crate::config::Transport;

/// Asks a server of this machine.
pub(super) type Client<B> = legacy::Client<HttpsConnector<HttpConnector>, B>;

/// A client of the listener that is configured so.
///
/// # Errors
/// Its certificate cannot be read.
pub(super) fn client<B>(transport: &Transport) -> anyhow::Result<Client<B>>
where
    B: Body + Send,
    B::Data: Send,
{
    let Some(files) = transport.files() else { return outside() };
    let provider = Arc::new(ring::default_provider());
    let certificate = files.load().context("the server's certificate")?.leaf;
    let config =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(Own { certificate, provider }));
    Ok(over(config))
}

/// A client of servers elsewhere, whose certificates are the usual authorities'.
///
/// # Errors
/// This build has no TLS that fits.
pub(super) fn outside<B>() -> anyhow::Result<Client<B>>
where
    B: Body + Send,
    B::Data: Send,
{
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(over(config.with_webpki_roots()))
}

fn over<B>(config: ConfigBuilder<ClientConfig, WantsClientCert>) -> Client<B>
where
    B: Body + Send,
    B::Data: Send,
{
    let connector = HttpsConnectorBuilder::new().with_tls_config(config.with_no_client_auth());
    let connector = connector.https_or_http().enable_http1().build();
    legacy::Client::builder(TokioExecutor::new()).build(connector)
}

/// Trusts the certificate that is configured, and no other: the server is asked by its address, which is seldom one of the certificate's names.
#[derive(Debug)]
struct Own {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Own {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *end_entity == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
