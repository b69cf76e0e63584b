//! `multipart/form-data` bodies (RFC 7578), read whole.

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request};
use axum::http::{HeaderMap, header};
use bytes::Bytes;

/// Most fields read from one form.
const FIELDS_MAX: usize = 256;

#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub name: String,
    pub file_name: Option<String>,
    pub data: Bytes,
}

impl Field {
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.data).ok()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Form {
    pub fields: Vec<Field>,
}

impl Form {
    /// Read a body that says it is a form; `Err` says what is wrong with it.
    pub async fn read(headers: &HeaderMap, body: &Bytes) -> Result<Self, String> {
        let Some(kind) = headers.get(header::CONTENT_TYPE) else { return Ok(Self::default()) };
        if !kind.as_bytes().starts_with(b"multipart/form-data") {
            return Ok(Self::default());
        }
        let mut request = Request::new(Body::from(body.clone()));
        request.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
        // The gate bounded the body already; axum's own smaller limit would refuse ordinary audio.
        DefaultBodyLimit::disable().apply(&mut request);
        let mut multipart =
            Multipart::from_request(request, &()).await.map_err(|refused| refused.body_text())?;
        let mut form = Self::default();
        while let Some(field) = multipart.next_field().await.map_err(|broken| broken.body_text())? {
            if form.fields.len() == FIELDS_MAX {
                return Err(format!("the form has more than {FIELDS_MAX} fields"));
            }
            form.fields.push(Field {
                name: field.name().unwrap_or_default().to_owned(),
                file_name: field.file_name().map(str::to_owned),
                data: field.bytes().await.map_err(|broken| broken.body_text())?,
            });
        }
        Ok(form)
    }

    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.field(name).and_then(Field::text)
    }

    /// Every field of a list, written `name` or `name[]`.
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Field> {
        self.fields.iter().filter(move |field| field.name.strip_suffix("[]").unwrap_or(&field.name) == name)
    }
}
