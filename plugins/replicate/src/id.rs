//! Model ids: `owner/name`, or `owner/name:version`.

use atelier_plugin_sdk::Failure;

/// A model, and perhaps one of its versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelId<'a> {
    pub owner: &'a str,
    pub name: &'a str,
    pub version: Option<&'a str>,
}

impl<'a> ModelId<'a> {
    /// # Errors
    /// `invalid-request` if it is none.
    pub fn parse(id: &'a str) -> Result<Self, Failure> {
        let (path, version) = match id.split_once(':') {
            Some((path, version)) => (path, Some(version)),
            None => (id, None),
        };
        let well_formed = path
            .split_once('/')
            .filter(|(owner, name)| is_name(owner) && is_name(name) && version.is_none_or(is_name));
        match well_formed {
            Some((owner, name)) => Ok(Self { owner, name, version }),
            None => Err(Failure::invalid(
                "model",
                "a model's id reads OWNER/NAME or OWNER/NAME:VERSION at this provider",
            )),
        }
    }

    /// Its address below the base URL.
    pub fn path(&self) -> String {
        ["/models/", self.owner, "/", self.name].concat()
    }
}

/// What may stand in a path as it is: the provider's own names have no other characters.
pub fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    !text.is_empty() && text.len() <= 200 && !matches!(text, "." | "..") && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_named_with_and_without_a_version() {
        let id = ModelId::parse("black-forest-labs/flux-1.1-pro").unwrap();
        assert_eq!((id.path().as_str(), id.version), ("/models/black-forest-labs/flux-1.1-pro", None));
        assert_eq!(ModelId::parse("a/b:5c7d").unwrap().version, Some("5c7d"));
    }

    #[test]
    fn an_id_cannot_lead_to_another_address() {
        for id in ["a", "a/", "/b", "a/b/c", "a/..", "../b", "a/b:", "a/b:c/d", "a/b?x", "a b/c", ""] {
            let failure = ModelId::parse(id).unwrap_err();
            assert_eq!(
                (failure.code.as_str(), failure.param.as_deref()),
                ("invalid-request", Some("model")),
                "{id}"
            );
        }
    }
}
