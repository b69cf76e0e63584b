//! Signing tokens: JSON Web Signature in its compact form (RFC 7515 §3.1).

use std::fmt;

use atelier_domain::manifest::JwtAlgorithm;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use ring::{hmac, signature};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Map, Value};

/// A key, and what it signs with.
pub enum Key {
    Hs256(hmac::Key),
    Rs256(Box<RsaKeyPair>),
    Es256(Box<EcdsaKeyPair>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.name())
    }
}

impl Key {
    /// Reads a key: any text for HS256, PEM for the others.
    ///
    /// # Errors
    /// It is none; without the key.
    pub fn read(algorithm: JwtAlgorithm, text: &str) -> Result<Self, String> {
        match algorithm {
            JwtAlgorithm::HS256 if text.is_empty() => Err("its key is empty".to_owned()),
            JwtAlgorithm::HS256 => Ok(Self::Hs256(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()))),
            JwtAlgorithm::RS256 => {
                let pair = match pem(text)? {
                    PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
                    PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
                    _ => return Err("its private key is not one of RSA's".to_owned()),
                };
                pair.map(|pair| Self::Rs256(Box::new(pair)))
                    .map_err(|why| format!("its RSA private key cannot be used: {why}"))
            }
            JwtAlgorithm::ES256 => {
                let PrivateKeyDer::Pkcs8(der) = pem(text)? else {
                    return Err(
                        "its private key must be PKCS #8: `openssl pkcs8 -topk8 -nocrypt` makes it so"
                            .to_owned(),
                    );
                };
                let (algorithm, der) = (&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der());
                EcdsaKeyPair::from_pkcs8(algorithm, der, &SystemRandom::new())
                    .map(|pair| Self::Es256(Box::new(pair)))
                    .map_err(|why| format!("its P-256 private key cannot be used: {why}"))
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Hs256(_) => "HS256",
            Self::Rs256(_) => "RS256",
            Self::Es256(_) => "ES256",
        }
    }

    /// A signed token of these claims; `header` is what it says beside `alg` and `typ`.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn token(&self, header: &Map<String, Value>, claims: &Map<String, Value>) -> Result<String, String> {
        let mut head = header.clone();
        head.insert("alg".to_owned(), self.name().into());
        head.insert("typ".to_owned(), "JWT".into());
        let part = |map: &Map<String, Value>| {
            serde_json::to_vec(map)
                .map(|json| URL_SAFE_NO_PAD.encode(json))
                .map_err(|error| error.to_string())
        };
        let mut token = format!("{}.{}", part(&head)?, part(claims)?);
        let signature = self.sign(token.as_bytes())?;
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Ok(token)
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        let failed = |_| "the token could not be signed".to_owned();
        match self {
            Self::Hs256(key) => Ok(hmac::sign(key, text).as_ref().to_vec()),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let encoding: &'static dyn signature::RsaEncoding = &RSA_PKCS1_SHA256;
                pair.sign(encoding, &SystemRandom::new(), text, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Self::Es256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), text).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }
}

/// Where a PEM text went through an environment variable, its line breaks may be written out.
fn pem(text: &str) -> Result<PrivateKeyDer<'static>, String> {
    let text = text.replace("\\n", "\n");
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| "it holds no private key in PEM".to_owned())
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    };

    use super::*;

    fn pem(base64: &str) -> String {
        let label = "PRIVATE KEY";
        format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
    }

    /// An RSA key of nobody's.
    fn rsa_key() -> String {
        pem(include_str!("../../../tests/keys/rsa-2048.base64").trim())
    }

    fn ec_key() -> String {
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        pem(&STANDARD.encode(made.expect("a key")))
    }

    fn claims() -> Map<String, Value> {
        Map::from_iter([("iss".to_owned(), Value::from("ak"))])
    }

    fn halves(token: &str) -> (&str, Vec<u8>) {
        let (text, signature) = token.rsplit_once('.').expect("three parts");
        (text, URL_SAFE_NO_PAD.decode(signature).expect("base64url"))
    }

    #[test]
    fn an_hs256_token_is_what_the_specification_makes_of_it() {
        // RFC 7515, appendix A.1: its key and signing input give its signature.
        let key = URL_SAFE_NO_PAD
            .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .expect("base64url");
        let input = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature =
            Key::Hs256(hmac::Key::new(hmac::HMAC_SHA256, &key)).sign(input.as_bytes()).expect("signed");
        assert_eq!(URL_SAFE_NO_PAD.encode(signature), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        let token = Key::read(JwtAlgorithm::HS256, "sk")
            .expect("a key")
            .token(&Map::new(), &claims())
            .expect("signed");
        assert!(token.starts_with(&URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#)), "{token}");
    }

    #[test]
    fn an_rs256_token_is_good_for_the_public_key() {
        let key = Key::read(JwtAlgorithm::RS256, &rsa_key()).expect("a key");
        let token = key.token(&Map::new(), &claims()).expect("signed");
        let Key::Rs256(pair) = &key else { panic!("{key:?}") };
        let (text, signature) = halves(&token);
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
        public.verify(text.as_bytes(), &signature).expect("a good signature");
        let one_line = rsa_key().replace('\n', "\\n");
        assert!(Key::read(JwtAlgorithm::RS256, &one_line).is_ok(), "as environment variables carry it");
    }

    #[test]
    fn an_es256_token_is_good_for_the_public_key() {
        let key = Key::read(JwtAlgorithm::ES256, &ec_key()).expect("a key");
        let token = key.token(&Map::new(), &claims()).expect("signed");
        let Key::Es256(pair) = &key else { panic!("{key:?}") };
        let (text, signature) = halves(&token);
        assert_eq!(signature.len(), 64, "as RFC 7518 §3.4 writes it");
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
        public.verify(text.as_bytes(), &signature).expect("a good signature");
    }

    #[test]
    fn a_key_that_does_not_fit_is_refused_and_never_shown() {
        for (algorithm, text) in [
            (JwtAlgorithm::HS256, String::new()),
            (JwtAlgorithm::RS256, "not PEM, but secret".to_owned()),
            (JwtAlgorithm::RS256, ec_key()),
            (JwtAlgorithm::ES256, rsa_key()),
        ] {
            let why = Key::read(algorithm, &text).expect_err("it does not fit");
            assert!(!why.contains("secret") && !why.contains("MII"), "{why}");
        }
        let shown = format!("{:?}", Key::read(JwtAlgorithm::HS256, "sk-live-secret").expect("a key"));
        assert_eq!(shown, "Key(HS256)");
    }
}
