//! `POST /v1/files`.

use std::time::Duration;

use atelier_domain::file::Purpose;
use atelier_service::caller::Caller;
use atelier_service::files::{NewFile, Upload};
use utoipa::ToSchema;

use super::EXPIRES_SECONDS;
use super::view::{FileView, sample};
use crate::app::App;
use crate::http::form::{Field, Form, Part};
use crate::http::input::sniff;
use crate::http::openapi::{Operation, Tag, form_file, words};
use crate::http::{ApiError, Call, Reply, answer};

#[derive(ToSchema)]
#[schema(as = NewFile)]
#[expect(dead_code, reason = "a form is read field by field; this describes it")]
struct FileForm {
    #[schema(schema_with = form_file)]
    file: Vec<u8>,
    #[schema(inline, value_type = UploadPurposeWord)]
    purpose: String,
    #[schema(rename = "expires_after[anchor]", inline, value_type = AnchorWord)]
    anchor: Option<String>,
    /// From its creation on.
    #[schema(rename = "expires_after[seconds]", minimum = 3600, maximum = 2_592_000)]
    seconds: Option<u64>,
}

words! {
    UploadPurposeWord: "assistants" | "batch" | "fine-tune" | "vision" | "user_data" | "evals";
    AnchorWord: "created_at";
}

/// What the form says, apart from the content.
#[derive(Default)]
struct Asked {
    purpose: Option<Purpose>,
    anchor: bool,
    seconds: Option<u64>,
}

/// Takes a file in, piece by piece.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let (app, caller) = (call.app.clone(), call.caller()?.clone());
    let mut form = Form::open(&mut call)?;
    let (upload, new) = read(&app, &caller, &mut form).await?;
    let file = upload.finish(new).await?;
    answer::json(&FileView::from(&file))
}

async fn read(app: &App, caller: &Caller, form: &mut Form) -> Result<(Upload, NewFile), ApiError> {
    let mut asked = Asked::default();
    let mut arrived: Option<(Upload, String)> = None;
    while let Some(part) = form.part().await? {
        match part.name.as_str() {
            "file" if arrived.is_some() => return Err(ApiError::invalid("file", "one file at a time")),
            "file" => {
                let upload = app.files.begin(caller, asked.purpose).await?;
                arrived = Some(receive(upload, form, part).await?);
            }
            _ => asked.add(&form.field(part).await?)?,
        }
    }
    let missing = |param: &str| ApiError::MissingParameter { param: param.to_owned() };
    let (upload, name) = arrived.ok_or_else(|| missing("file"))?;
    let purpose = asked.purpose.ok_or_else(|| missing("purpose"))?;
    let expires_after = match (asked.anchor, asked.seconds) {
        (false, None) => None,
        (true, Some(seconds)) => Some(Duration::from_secs(seconds)),
        (true, None) => return Err(missing("expires_after[seconds]")),
        (false, Some(_)) => return Err(missing("expires_after[anchor]")),
    };
    let content_type = sniff(upload.head()).to_owned();
    Ok((upload, NewFile { name, purpose, content_type, expires_after }))
}

async fn receive(mut upload: Upload, form: &mut Form, mut part: Part) -> Result<(Upload, String), ApiError> {
    while let Some(piece) = form.piece(&mut part).await? {
        upload.append(piece).await?;
    }
    let name = part.file_name.map(|name| last_part(&name)).filter(|name| !name.is_empty());
    Ok((upload, name.unwrap_or_else(|| "upload".to_owned())))
}

/// A name without the folders that some clients send along, and without what is no text.
fn last_part(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    last.chars().filter(|character| !character.is_control()).collect()
}

impl Asked {
    fn add(&mut self, field: &Field) -> Result<(), ApiError> {
        match field.name.as_str() {
            "purpose" => {
                let word = field.text()?.parse::<Purpose>();
                let purpose = word.map_err(|error| ApiError::invalid("purpose", error.to_string()))?;
                if purpose == Purpose::BatchOutput {
                    return Err(ApiError::invalid("purpose", "batches alone make such files"));
                }
                self.purpose = Some(purpose);
            }
            "expires_after[anchor]" if field.text()? == "created_at" => self.anchor = true,
            "expires_after[anchor]" => {
                return Err(ApiError::invalid(&field.name, "must be \"created_at\""));
            }
            "expires_after[seconds]" => {
                let seconds: u64 = field.parse("a whole number")?;
                if !EXPIRES_SECONDS.contains(&seconds) {
                    let (from, to) = EXPIRES_SECONDS.into_inner();
                    return Err(ApiError::invalid(&field.name, format!("must be from {from} to {to}")));
                }
                self.seconds = Some(seconds);
            }
            _ => return Err(ApiError::UnknownParameter { param: field.name.clone() }),
        }
        Ok(())
    }
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("createFile", Tag::Files, "Upload a file")
        .about(
            "Keeps a file, which is checked by its content: `fine-tune`, `batch` and `evals` are JSON Lines with an object in each line \
             (a mistake is told with its line), `vision` is an image. Send `purpose` before `file`, and a wrong file is refused \
             while it still arrives.",
        )
        .takes_form::<FileForm>()
        .answers::<FileView<'_>>(200, "The file.", sample())
        .refuses(&[507])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_s_name_is_the_last_part_of_its_path() {
        for (sent, kept) in
            [("a.txt", "a.txt"), ("../../etc/passwd", "passwd"), ("C:\\x\\y.png", "y.png"), ("a\r\nb", "ab")]
        {
            assert_eq!(last_part(sent), kept);
        }
    }
}
