//! A certificate chain, its key, and the authority of client certificates, read from PEM files.

use std::fmt;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use webpki::{EndEntityCert, KeyUsage};

/// Bytes of one file: thousands of certificates.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Where they lie.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The listener's own certificate, and then those that lead from it to a root.
    pub certificate: PathBuf,
    /// PKCS#8, SEC1 or PKCS#1.
    pub key: PathBuf,
    /// Who signs clients' certificates; absent: clients need none.
    pub client_ca: Option<PathBuf>,
}

/// A file that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct BadFile {
    /// The setting that names it.
    pub setting: &'static str,
    pub path: PathBuf,
    /// What is wrong, and what to do.
    pub what: String,
}

/// Files that fit together.
pub struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    /// The listener's own certificate.
    pub leaf: CertificateDer<'static>,
    /// Until when that is good, in seconds since 1970.
    pub not_after: i64,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

/// What tells a file from the one that was there before: device, inode, size and time of its change.
pub(super) type Stamp = Vec<Option<(u64, u64, u64, i64, i64)>>;

impl TlsFiles {
    /// Tells these files from those that were there before. Where one is a link, what it leads to counts.
    pub(super) fn stamp(&self) -> Stamp {
        let of = |path: &PathBuf| {
            let file = fs::metadata(path).ok()?;
            Some((file.dev(), file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
        };
        [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()]
            .into_iter()
            .map(|path| path.and_then(of))
            .collect()
    }

    /// Reads them, and sees whether they fit together.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub fn load(&self) -> Result<Loaded, BadFile> {
        let bad = |setting, path: &Path, what: String| BadFile { setting, path: path.to_owned(), what };
        let certificate = |what| bad("certificate", &self.certificate, what);
        let chain = certificates(&self.certificate).map_err(certificate)?;
        let leaf = chain.first().cloned().ok_or_else(|| certificate(NO_CERTIFICATE.to_owned()))?;
        let not_after = not_after(&leaf).map_err(certificate)?;
        let pem = read(&self.key).map_err(|what| bad("key", &self.key, what))?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
            let what =
                "it has no private key: it wants PEM with PKCS#8, SEC1 or PKCS#1, without a passphrase";
            bad("key", &self.key, what.to_owned())
        })?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| certificate(error.to_string()))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let wrong = |what: String| bad("client_ca", path, what);
                let mut roots = RootCertStore::empty();
                for authority in certificates(path).map_err(wrong)? {
                    roots.add(authority).map_err(|error| wrong(error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = verifier.build().map_err(|error| wrong(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                bad("key", &self.key, format!("it is not the key of {}", self.certificate.display()))
            }
            error => bad("key", &self.key, error.to_string()),
        })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Loaded { config: Arc::new(config), leaf, not_after })
    }
}

const NO_CERTIFICATE: &str = "it has no certificate: it wants PEM, the listener's own certificate first";

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut pem = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut pem).map_err(|error| error.to_string())?;
    if pem.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it has more than {FILE_BYTES_MAX} bytes"));
    }
    Ok(pem)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let all = all.map_err(|error| format!("it is no PEM: {error}"))?;
    if all.is_empty() { Err(NO_CERTIFICATE.to_owned()) } else { Ok(all) }
}

/// Until when a certificate is good. Its parser tells that when it is asked whether it is good at the end of all time.
fn not_after(certificate: &CertificateDer<'_>) -> Result<i64, String> {
    let parsed = EndEntityCert::try_from(certificate).map_err(|error| format!("no certificate: {error}"))?;
    let nobody: [TrustAnchor<'_>; 0] = [];
    let end = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    match parsed.verify_for_usage(&[], &nobody, &[], end, KeyUsage::server_auth(), None, None) {
        Err(webpki::Error::CertExpired { not_after, .. }) => {
            i64::try_from(not_after.as_secs()).map_err(|error| error.to_string())
        }
        Err(error) => Err(format!("no certificate: {error}")),
        Ok(_) => Err("it is good for ever, which no certificate is".to_owned()),
    }
}
