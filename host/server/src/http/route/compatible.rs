//! The routes that speak other providers' APIs.

use atelier_service::limits::Class;

use super::entry::{Entry, delete, get, post};
use super::{AUDIO, FILE, IMAGES, Media, WITH_MEDIA};
use crate::http::idempotency::Idempotency;
use crate::http::{
    Dialect, audio, batches, chat_completions, embeddings, files, fine_tuning, images, messages, models,
    moderations, responses, videos,
};

pub(super) fn entries() -> Vec<Entry> {
    use Class::{Analysis, Chat, Generation, Status, Transcription, Upload};
    use Dialect::{Anthropic, OpenAi};
    vec![
        get("/v1/models", Status, OpenAi, models::list::handle).described(models::list::describe),
        get("/v1/models/{*id}", Status, OpenAi, models::get::handle).described(models::get::describe),
        post("/v1/chat/completions", Chat, OpenAi, chat_completions::create)
            .body(Media::Json, WITH_MEDIA)
            .idempotency(Idempotency::Generates)
            .described(chat_completions::describe),
        post("/v1/responses", Chat, OpenAi, responses::create)
            .body(Media::Json, WITH_MEDIA)
            .idempotency(Idempotency::Generates)
            .described(responses::describe),
        get("/v1/responses/{id}", Status, OpenAi, responses::get::handle).described(responses::get::describe),
        delete("/v1/responses/{id}", Status, OpenAi, responses::delete::handle)
            .described(responses::delete::describe),
        get("/v1/responses/{id}/input_items", Status, OpenAi, responses::input_items::handle)
            .described(responses::input_items::describe),
        post("/v1/messages", Chat, Anthropic, messages::create)
            .body(Media::Json, WITH_MEDIA)
            .idempotency(Idempotency::Generates)
            .described(messages::describe),
        post("/v1/messages/count_tokens", Chat, Anthropic, messages::count_tokens)
            .body(Media::Json, WITH_MEDIA)
            .idempotency(Idempotency::Harmless)
            .described(messages::describe_count),
        post("/v1/embeddings", Analysis, OpenAi, embeddings::create)
            .idempotency(Idempotency::Generates)
            .described(embeddings::describe),
        post("/v1/moderations", Analysis, OpenAi, moderations::create)
            .body(Media::Json, WITH_MEDIA)
            .idempotency(Idempotency::Generates)
            .described(moderations::describe),
        post("/v1/audio/speech", Generation, OpenAi, audio::speech::create)
            .idempotency(Idempotency::Generates)
            .described(audio::speech::describe),
        post("/v1/audio/transcriptions", Transcription, OpenAi, audio::transcriptions::create)
            .body(Media::Form, AUDIO)
            .idempotency(Idempotency::Generates)
            .described(audio::transcriptions::describe),
        post("/v1/audio/translations", Transcription, OpenAi, audio::transcriptions::translate)
            .body(Media::Form, AUDIO)
            .idempotency(Idempotency::Generates)
            .described(audio::transcriptions::describe_translation),
        post("/v1/images/generations", Generation, OpenAi, images::generations::create)
            .idempotency(Idempotency::Generates)
            .described(images::generations::describe),
        post("/v1/images/edits", Generation, OpenAi, images::edits::create)
            .body(Media::Form, IMAGES)
            .idempotency(Idempotency::Generates)
            .described(images::edits::describe),
        post("/v1/images/variations", Generation, OpenAi, images::variations::create)
            .body(Media::Form, IMAGES)
            .idempotency(Idempotency::Generates)
            .described(images::variations::describe),
        post("/v1/videos", Generation, OpenAi, videos::create::handle)
            .body(Media::JsonOrForm, WITH_MEDIA)
            .idempotency(Idempotency::Generates)
            .described(videos::create::describe),
        get("/v1/videos", Status, OpenAi, videos::list::handle).described(videos::list::describe),
        get("/v1/videos/{id}", Status, OpenAi, videos::get::handle).described(videos::get::describe),
        delete("/v1/videos/{id}", Status, OpenAi, videos::delete::handle).described(videos::delete::describe),
        get("/v1/videos/{id}/content", Status, OpenAi, videos::content::handle)
            .described(videos::content::describe),
        post("/v1/videos/{id}/remix", Generation, OpenAi, videos::remix::handle)
            .idempotency(Idempotency::Generates)
            .described(videos::remix::describe),
        post("/v1/files", Upload, OpenAi, files::create::handle)
            .body(Media::Form, FILE)
            .described(files::create::describe),
        get("/v1/files", Status, OpenAi, files::list::handle).described(files::list::describe),
        get("/v1/files/{id}", Status, OpenAi, files::get::handle).described(files::get::describe),
        delete("/v1/files/{id}", Status, OpenAi, files::delete::handle).described(files::delete::describe),
        get("/v1/files/{id}/content", Status, OpenAi, files::content::handle)
            .described(files::content::describe),
        post("/v1/batches", Generation, OpenAi, batches::create::handle).described(batches::create::describe),
        get("/v1/batches", Status, OpenAi, batches::list::handle).described(batches::list::describe),
        get("/v1/batches/{id}", Status, OpenAi, batches::get::handle).described(batches::get::describe),
        post("/v1/batches/{id}/cancel", Status, OpenAi, batches::cancel::handle)
            .idempotency(Idempotency::Harmless)
            .body(Media::None, 0)
            .described(batches::cancel::describe),
        get("/v1/files/{id}/thumbnail", Status, OpenAi, files::rendition::thumbnail)
            .described(files::rendition::describe_thumbnail),
        get("/v1/files/{id}/peaks", Status, OpenAi, files::rendition::peaks)
            .described(files::rendition::describe_peaks),
        post("/v1/fine_tuning/jobs", Generation, OpenAi, fine_tuning::create::handle)
            .idempotency(Idempotency::Generates)
            .described(fine_tuning::create::describe),
        get("/v1/fine_tuning/jobs", Status, OpenAi, fine_tuning::list::handle)
            .described(fine_tuning::list::describe),
        get("/v1/fine_tuning/jobs/{id}", Status, OpenAi, fine_tuning::get::handle)
            .described(fine_tuning::get::describe),
        post("/v1/fine_tuning/jobs/{id}/cancel", Status, OpenAi, fine_tuning::cancel::handle)
            .idempotency(Idempotency::Harmless)
            .body(Media::None, 0)
            .described(fine_tuning::cancel::describe),
        get("/v1/fine_tuning/jobs/{id}/events", Status, OpenAi, fine_tuning::events::handle)
            .described(fine_tuning::events::describe),
    ]
}
