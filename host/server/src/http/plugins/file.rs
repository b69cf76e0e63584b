//! The form with a plugin's file.

use atelier_service::plugins::Consent;
use bytes::Bytes;
use utoipa::ToSchema;

use crate::http::form::Form;
use crate::http::openapi::form_file;
use crate::http::{ApiError, Call};

/// A plugin as sent.
pub(super) struct PluginFile {
    pub component: Bytes,
    /// The text of the `.minisig` file.
    pub signature: Option<String>,
    pub consent: Consent,
}

/// The fields of a form with a plugin.
// As `read` reads them.
#[derive(ToSchema)]
#[schema(as = PluginForm)]
#[expect(dead_code, reason = "the schema of what is read field by field")]
pub(super) struct FormSchema {
    /// The plugin: a WebAssembly component with its manifest.
    #[schema(schema_with = form_file)]
    component: Bytes,
    /// The text of its `.minisig` file; needed where only signed plugins are trusted.
    signature: Option<String>,
    /// What `POST /api/v1/plugins/inspect` answered as `consent`; it says yes to exactly that.
    consent: Option<String>,
}

/// Reads `component`, `signature` and `consent`.
pub(super) async fn read(call: &mut Call) -> Result<PluginFile, ApiError> {
    let mut form = Form::open(call)?;
    let (mut component, mut signature, mut consent) = (None, None, Consent::None);
    while let Some(field) = form.next(&["component"]).await? {
        match field.name.as_str() {
            "signature" => signature = Some(field.text()?.to_owned()),
            "consent" => consent = Consent::Token(field.text()?.trim().to_owned()),
            "component" => component = Some(field.bytes),
            _ => return Err(ApiError::UnknownParameter { param: field.name }),
        }
    }
    let component = component.ok_or(ApiError::MissingParameter { param: "component".to_owned() })?;
    Ok(PluginFile { component, signature, consent })
}
