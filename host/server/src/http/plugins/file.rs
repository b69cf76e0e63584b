//! The form with a plugin's file.

use atelier_service::plugins::Consent;
use bytes::Bytes;

use crate::http::form::Form;
use crate::http::{ApiError, Call};

/// A plugin as sent.
pub(super) struct PluginFile {
    pub component: Bytes,
    /// The text of the `.minisig` file.
    pub signature: Option<String>,
    pub consent: Consent,
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
