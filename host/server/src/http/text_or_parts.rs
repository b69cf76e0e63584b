//! What may be sent as a text, or as a list.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::openapi;

/// A part of such content.
pub(super) trait ContentPart: ToSchema {
    /// What the reference calls content of these parts.
    const CONTENT: &'static str;
}

/// A text, or parts. Read by hand: an untagged enum would copy each text once more.
pub(super) enum TextOrParts<P> {
    Text(String),
    Parts(Vec<P>),
}

impl<'de, P: Deserialize<'de>> Deserialize<'de> for TextOrParts<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<P>(PhantomData<P>);
        impl<'de, P: Deserialize<'de>> Visitor<'de> for Either<P> {
            type Value = TextOrParts<P>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of content parts")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<TextOrParts<P>, E> {
                Ok(TextOrParts::Text(text.to_owned()))
            }
            fn visit_string<E: de::Error>(self, text: String) -> Result<TextOrParts<P>, E> {
                Ok(TextOrParts::Text(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<TextOrParts<P>, A::Error> {
                let mut all = Vec::new();
                while let Some(part) = parts.next_element()? {
                    all.push(part);
                }
                Ok(TextOrParts::Parts(all))
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

impl<P: ContentPart> PartialSchema for TextOrParts<P> {
    fn schema() -> RefOr<Schema> {
        openapi::choice([String::schema(), openapi::list_of::<P>()])
    }
}

impl<P: ContentPart> ToSchema for TextOrParts<P> {
    fn name() -> Cow<'static, str> {
        P::CONTENT.into()
    }
    fn schemas(all: &mut Vec<(String, RefOr<Schema>)>) {
        all.push((P::name().into_owned(), P::schema()));
        P::schemas(all);
    }
}
