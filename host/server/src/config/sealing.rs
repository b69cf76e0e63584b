//! `[secrets]`: with what the secrets in the store are sealed.

use std::path::Path;

use atelier_storage::SealingKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Section;
use super::secret::SecretSource;

/// The keys under which the store's own lie.
#[derive(Clone, Debug, Default)]
pub struct Sealing {
    /// Absent: one is made in the data folder.
    pub key: Option<SealingKey>,
    /// The one before it, until everything is sealed anew.
    pub retired: Option<SealingKey>,
}

impl Sealing {
    pub(super) fn read(section: &mut Section, folder: &Path) -> Self {
        let mut key =
            |name| section.value(name, |value| parse(SecretSource::of(value)?.read(folder)?.reveal()));
        Self { key: key("key"), retired: key("retired_key") }
    }
}

fn parse(text: &str) -> Result<SealingKey, String> {
    let key = STANDARD.decode(text).ok().and_then(|key| key.try_into().ok());
    key.map(SealingKey::new).ok_or_else(|| {
        "must be 32 random bytes in base64: `atelier secrets key` prints such a key".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealing_key_is_32_bytes_in_base64_and_nothing_else() {
        let text = STANDARD.encode([7; 32]);
        assert_eq!(parse(&text).expect("a key").name(), SealingKey::new([7; 32]).name());
        for wrong in ["", "seven", &text[1..], &STANDARD.encode([7; 31]), &format!("{text}=")] {
            assert!(parse(wrong).expect_err("none").contains("atelier secrets key"), "{wrong}");
        }
    }
}
