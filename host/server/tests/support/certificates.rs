//! Certificates, made for a test.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// Signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
pub struct Issued {
    pub certificate: String,
    /// PKCS#8.
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// For `localhost` and 127.0.0.1, good until the first day of a year.
    pub fn server(&self, good_until_year: i32) -> Issued {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        self.issue(&names, ExtendedKeyUsagePurpose::ServerAuth, good_until_year)
    }

    /// For somebody who connects.
    #[allow(dead_code, reason = "not every test binary has clients with certificates")]
    pub fn client(&self) -> Issued {
        self.issue(&["operator".to_owned()], ExtendedKeyUsagePurpose::ClientAuth, 4000)
    }

    fn issue(&self, names: &[String], purpose: ExtendedKeyUsagePurpose, year: i32) -> Issued {
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, "a test's");
        params.extended_key_usages = vec![purpose];
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate").pem();
        Issued { certificate, key: key.serialize_pem() }
    }
}

impl Issued {
    /// Writes both, each in one moment, as what renews certificates does it.
    pub fn write(&self, folder: &Path) {
        for (name, pem) in [("certificate.pem", &self.certificate), ("key.pem", &self.key)] {
            let fresh = folder.join(format!("{name}.new"));
            std::fs::write(&fresh, pem).expect("written");
            std::fs::rename(&fresh, folder.join(name)).expect("renamed");
        }
    }
}
