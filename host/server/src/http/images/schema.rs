//! The forms with images, as the reference describes them and `request::add` reads them.

use bytes::Bytes;
use utoipa::ToSchema;

use crate::http::openapi::{form_file, words};

/// The fields of an edit's form.
#[derive(ToSchema)]
#[schema(as = ImageEditForm)]
#[expect(dead_code, reason = "the schema of what is read field by field")]
pub(super) struct EditForm {
    /// 1 to 16 images; send the field again for each.
    #[schema(schema_with = form_file)]
    image: Bytes,
    /// Where the image may change: its transparent parts.
    #[schema(schema_with = form_file)]
    mask: Option<Bytes>,
    /// The image with what is to change drawn on it, where the model takes it.
    #[schema(schema_with = form_file)]
    markup: Option<Bytes>,
    /// `instance/model`, or an alias of the operator's.
    model: String,
    prompt: String,
    #[schema(minimum = 1, maximum = 10)]
    n: Option<u32>,
    size: Option<String>,
    quality: Option<String>,
    background: Option<String>,
    output_format: Option<String>,
    /// In percent, where the format has it.
    output_compression: Option<u32>,
    /// Absent: `b64_json`. `url` gives addresses here, which want the caller's key.
    #[schema(inline, value_type = Option<FormWord>)]
    response_format: Option<String>,
    /// Send events as images are made.
    stream: Option<bool>,
    /// Unfinished images to show on the way; only with `stream`.
    #[schema(maximum = 3)]
    partial_images: Option<u32>,
    input_fidelity: Option<String>,
    complexity: Option<String>,
    /// Of moving images.
    frame_count: Option<u32>,
    /// Of moving images.
    frame_duration_ms: Option<u32>,
    /// Your own word for who asks, which goes on to the provider.
    user: Option<String>,
    /// Takes the place of `user`.
    safety_identifier: Option<String>,
    /// Ours.
    negative_prompt: Option<String>,
    /// Ours.
    seed: Option<i64>,
    /// Ours: provider-specific options by the model's own schema, as JSON.
    options: Option<String>,
}

/// The fields of a variation's form.
#[derive(ToSchema)]
#[schema(as = ImageVariationForm)]
#[expect(dead_code, reason = "the schema of what is read field by field")]
pub(super) struct VariationForm {
    /// 1 to 16 images; send the field again for each.
    #[schema(schema_with = form_file)]
    image: Bytes,
    /// Where the image may change: its transparent parts.
    #[schema(schema_with = form_file)]
    mask: Option<Bytes>,
    /// The image with what is to change drawn on it, where the model takes it.
    #[schema(schema_with = form_file)]
    markup: Option<Bytes>,
    /// `instance/model`, or an alias of the operator's.
    model: String,
    prompt: Option<String>,
    #[schema(minimum = 1, maximum = 10)]
    n: Option<u32>,
    size: Option<String>,
    quality: Option<String>,
    background: Option<String>,
    output_format: Option<String>,
    /// In percent, where the format has it.
    output_compression: Option<u32>,
    /// Absent: `b64_json`. `url` gives addresses here, which want the caller's key.
    #[schema(inline, value_type = Option<FormWord>)]
    response_format: Option<String>,
    /// Of moving images.
    frame_count: Option<u32>,
    /// Of moving images.
    frame_duration_ms: Option<u32>,
    /// Your own word for who asks, which goes on to the provider.
    user: Option<String>,
    /// Takes the place of `user`.
    safety_identifier: Option<String>,
    /// Ours.
    negative_prompt: Option<String>,
    /// Ours.
    seed: Option<i64>,
    /// Ours: provider-specific options by the model's own schema, as JSON.
    options: Option<String>,
}

words! {
    FormWord: "b64_json" | "url";
}
