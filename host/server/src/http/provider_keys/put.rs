//! `POST /api/v1/provider-keys`.

use std::collections::BTreeMap;

use atelier_domain::plugin::SecretValue;
use atelier_service::own_keys::Checked;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::view::{KeyView, sample};
use crate::http::openapi::{Operation, Tag, words};
use crate::http::{ApiError, Call, Reply, answer, body};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewProviderKey)]
struct Body {
    /// The instance that is to be called with it: what its models' ids begin with.
    #[schema(max_length = 64)]
    instance: String,
    /// Every secret that its plugin needs, by name.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    secrets: BTreeMap<String, SecretValue>,
}

words! {
    /// Whether the provider takes the key, or could not be asked.
    VerdictWord: "good" | "unknown";
}

#[derive(Serialize, ToSchema)]
#[schema(as = CheckedProviderKey)]
struct View<'a> {
    #[serde(flatten)]
    key: KeyView<'a>,
    #[schema(inline, value_type = VerdictWord)]
    check: &'static str,
    /// Why the provider could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Keeps a key of the caller's.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let Body { instance, secrets } = body::parse(&bytes)?;
    let (key, checked) = call.app.own_keys.put(call.caller()?, &instance, secrets).await?;
    let (check, problem) = match checked {
        Checked::Good => ("good", None),
        Checked::Unknown(problem) => ("unknown", Some(problem)),
    };
    answer::json(&View { key: KeyView::from(&key), check, problem })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("putProviderKey", Tag::Keys, "Bring your own key of a provider")
        .about(
            "Whatever you ask of that instance is then asked with your key, at your cost there and at none here. It is kept sealed, shown to \
             nobody, and shares nothing with the calls of others. The provider is asked about it first. One that is there is replaced. For one \
             request alone, a live one, send the key as `Atelier-Provider-Key` instead.",
        )
        .takes::<Body>(json!({"instance": "openai", "secrets": {"api-key": "the key that your provider gave you"}}))
        .answers::<View<'_>>(200, "It is kept.", {
            let mut view = sample();
            view["check"] = json!("good");
            view
        })
        .refuses(&[400, 403, 404])
}
