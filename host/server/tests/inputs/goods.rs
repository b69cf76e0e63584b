//! One good request for each route that takes a body.
//!
//! A text that begins with `@` stands for the id of the caller's thing of that kind, wherever it is.

use atelier_server::http::route::{Access, Media, Route};
use serde_json::{Value, json};

use crate::installed::plugin;
use crate::world::{PASSWORD, PNG, Person, TRAINER, WAV, World};

/// A field of a form.
#[derive(Clone)]
pub enum Piece {
    Text(String),
    File(&'static str, Vec<u8>),
}

#[derive(Clone)]
pub enum Body {
    Json(Value),
    Form(Vec<(String, Piece)>),
}

pub struct Good {
    pub path: &'static str,
    pub body: Body,
    /// What it is answered with.
    pub status: u16,
    /// For one that is refused: the code of its one reason.
    pub code: Option<&'static str>,
}

impl Good {
    /// Whether whatever is sent there is refused alike, because of who sends it.
    pub fn is_closed(&self) -> bool {
        self.path == "/hooks/{token}"
    }
}

fn json_of(path: &'static str, status: u16, body: Value) -> Good {
    Good { path, body: Body::Json(body), status, code: None }
}

fn form(path: &'static str, status: u16, pieces: Vec<(&'static str, Piece)>) -> Good {
    let pieces = pieces.into_iter().map(|(name, piece)| (name.to_owned(), piece));
    Good { path, body: Body::Form(pieces.collect()), status, code: None }
}

fn text(text: &str) -> Piece {
    Piece::Text(text.to_owned())
}

/// All of them.
pub fn all() -> Vec<Good> {
    [chats(), media(), files_and_jobs(), own(), conversations_and_links(), administration()]
        .into_iter()
        .flatten()
        .collect()
}

fn chats() -> Vec<Good> {
    let messages = json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": [{"type": "text", "text": "hi"},
        {"type": "file", "file": {"file_id": "@words"}}]}]);
    let turns = json!([{"role": "user", "content": [{"type": "text", "text": "hi"}]}]);
    let tools = json!([{"type": "function", "function": {"name": "add", "description": "adds", "parameters": {"type": "object"}}}]);
    let tool = json!([{"name": "add", "description": "adds", "input_schema": {"type": "object"}}]);
    vec![
        json_of(
            "/v1/chat/completions",
            200,
            json!({"model": "mock/mock-chat", "messages": messages, "tools": tools, "tool_choice": "auto", "stop": ["x"],
                "response_format": {"type": "text"}, "stream": false, "n": 1, "temperature": 1, "max_tokens": 10}),
        ),
        json_of(
            "/v1/responses",
            200,
            json!({"model": "mock/mock-chat", "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"},
                    {"type": "input_file", "file_id": "@words"}, {"type": "input_image", "file_id": "@picture", "detail": "low"}]}],
                "instructions": "be brief", "previous_response_id": "@response", "text": {"format": {"type": "text"}}}),
        ),
        json_of(
            "/v1/messages",
            200,
            json!({"model": "mock/mock-chat", "messages": turns, "max_tokens": 10, "system": "be brief", "tools": tool,
                "tool_choice": {"type": "auto"}, "stop_sequences": ["x"]}),
        ),
        json_of(
            "/v1/messages/count_tokens",
            200,
            json!({"model": "mock/mock-chat", "messages": turns, "system": "be brief", "tools": tool}),
        ),
        json_of(
            "/v1/embeddings",
            200,
            json!({"model": "mock/text-embedding-3-small", "input": ["hi"], "encoding_format": "float"}),
        ),
        json_of(
            "/v1/moderations",
            200,
            json!({"model": "mock/omni-moderation-latest", "input": [{"type": "text", "text": "hi"}]}),
        ),
    ]
}

fn media() -> Vec<Good> {
    let picture = || Piece::File("a.png", PNG.to_vec());
    let sound = || Piece::File("a.wav", WAV.to_vec());
    let painter = || text("mock/gpt-image-1");
    vec![
        json_of(
            "/v1/audio/speech",
            200,
            json!({"model": "mock/tts-1", "input": "hi", "voice": "alloy", "response_format": "mp3", "speed": 1}),
        ),
        form(
            "/v1/audio/transcriptions",
            200,
            vec![("file", sound()), ("model", text("mock/whisper-1")), ("language", text("en"))],
        ),
        form("/v1/audio/translations", 200, vec![("file", sound()), ("model", text("mock/whisper-1"))]),
        json_of(
            "/v1/images/generations",
            200,
            json!({"model": "mock/gpt-image-1", "prompt": "a cat", "n": 1, "size": "1024x1024"}),
        ),
        form(
            "/v1/images/edits",
            200,
            vec![
                ("image", picture()),
                ("mask", picture()),
                ("model", painter()),
                ("prompt", text("a cat")),
                ("n", text("1")),
            ],
        ),
        form(
            "/v1/images/variations",
            200,
            vec![("image", picture()), ("model", text("mock/dall-e-2")), ("n", text("1"))],
        ),
        json_of(
            "/v1/videos",
            200,
            json!({"model": "mock/sora-2", "prompt": "a cat", "seconds": "4", "size": "1280x720",
                "input_reference": {"file_id": "@picture"}}),
        ),
        form(
            "/v1/videos",
            200,
            vec![
                ("model", text("mock/sora-2")),
                ("prompt", text("a cat")),
                ("seconds", text("4")),
                ("size", text("1280x720")),
                ("input_reference[file_id]", text("@picture")),
            ],
        ),
        json_of("/v1/videos/{id}/remix", 200, json!({"prompt": "a dog"})),
    ]
}

fn files_and_jobs() -> Vec<Good> {
    vec![
        form(
            "/v1/files",
            200,
            vec![
                ("purpose", text("user_data")),
                ("expires_after[anchor]", text("created_at")),
                ("expires_after[seconds]", text("3600")),
                ("file", Piece::File("a.txt", b"hi".to_vec())),
            ],
        ),
        json_of(
            "/v1/batches",
            200,
            json!({"input_file_id": "@lines", "endpoint": "/v1/embeddings", "completion_window": "24h", "metadata": {"a": "b"},
                "output_expires_after": {"anchor": "created_at", "seconds": 3600}}),
        ),
        json_of(
            "/v1/fine_tuning/jobs",
            200,
            json!({"model": TRAINER, "training_file": "@turns", "validation_file": "@turns",
                "options": {"destination": "me/mine"}, "metadata": {"a": "b"}}),
        ),
        json_of(
            "/api/v1/generations",
            202,
            json!({"model": "mock/gpt-image-1", "task": "image-edit", "prompt": "a cat", "count": 1,
                "inputs": [{"role": "image", "file_id": "@picture"}], "options": {}}),
        ),
    ]
}

fn template(name: &str) -> Value {
    json!({"name": name, "description": "x", "scene": "shop", "tags": ["wall"], "task": "chat", "model": "mock/mock-chat",
        "variables": [{"name": "tone", "description": "x", "type": "choice", "options": ["kind", "calm"], "default": "kind"}],
        "text_max": 100, "prompt": "Write {{ tone }}.", "settings": {"temperature": 1},
        "audience": "users", "users": ["@user-id"]})
}

fn own() -> Vec<Good> {
    vec![
        json_of("/api/v1/templates", 201, template("letter")),
        json_of("/api/v1/templates/seed", 200, json!({"templates": [template("poem")]})),
        json_of("/api/v1/templates/clear", 200, json!({"scene": "none is called so", "tag": "nor so"})),
        json_of("/api/v1/templates/{id}", 200, template("story")),
        json_of(
            "/api/v1/templates/{id}/generate",
            200,
            json!({"text": "hi", "stream": false, "variables": {}}),
        ),
        json_of(
            "/api/v1/webhook-endpoints",
            201,
            json!({"url": "https://example.com/", "description": "x", "events": ["generation.failed"]}),
        ),
        json_of(
            "/api/v1/webhook-endpoints/{id}",
            200,
            json!({"url": "https://example.com/", "description": "x", "events": ["generation.failed"], "enabled": true}),
        ),
        json_of(
            "/api/v1/provider-keys",
            200,
            json!({"instance": "mock", "secrets": {"api-key": "the caller's own"}}),
        ),
        json_of("/api/v1/webhook-endpoints/{id}/rotate", 200, json!({"overlap_hours": 1})),
    ]
}

fn conversations_and_links() -> Vec<Good> {
    let parts = json!([{"type": "text", "text": "hi"}, {"type": "file", "file_id": "@picture"}]);
    vec![
        json_of(
            "/api/v1/conversations",
            201,
            json!({"title": "x", "model": "mock/mock-chat", "system": "be brief"}),
        ),
        json_of(
            "/api/v1/conversations/{id}",
            200,
            json!({"title": "x", "archived": false, "branch": "@message"}),
        ),
        json_of(
            "/api/v1/conversations/{id}/messages",
            201,
            json!({"content": parts, "parent": "@message", "model": "mock/mock-chat", "stream": false, "max_output_tokens": 10,
                "temperature": 1}),
        ),
        json_of(
            "/api/v1/conversations/{id}/messages/{message}/regenerate",
            201,
            json!({"model": "mock/mock-chat", "stream": false, "max_output_tokens": 10, "temperature": 1}),
        ),
        json_of(
            "/api/v1/links",
            201,
            json!({"generation": "@generation", "output": 0, "kind": "share", "title": "x", "expires_in_seconds": 60}),
        ),
        json_of(
            "/api/v1/links",
            201,
            json!({"file_id": "@picture", "kind": "download", "expires_in_seconds": 60}),
        ),
    ]
}

fn administration() -> Vec<Good> {
    let (component, signature) = plugin("openai");
    let plugin =
        || vec![("component", Piece::File("a.wasm", component.clone())), ("signature", text(&signature))];
    let hook = json_of("/hooks/{token}", 404, json!({"kind": "x"})).refused("unknown_url");
    let refund = json!({"user": "@user", "amount": 1, "reason": "x"});
    let mailed = json!({"token": "x".repeat(43), "password": PASSWORD});
    vec![
        json_of("/api/v1/users/{id}/password", 204, json!({"password": PASSWORD})),
        json_of("/api/v1/auth/sign-in", 200, json!({"name": "ada", "password": PASSWORD})),
        json_of("/api/v1/auth/sign-up", 403, json!({"email": "ada@atelier.dev"})).refused("not_offered"),
        json_of("/api/v1/auth/sign-up/resend", 403, json!({"email": "ada@atelier.dev"}))
            .refused("not_offered"),
        json_of("/api/v1/auth/sign-up/verify", 400, mailed.clone()).refused("token_over"),
        json_of("/api/v1/auth/password/forgot", 403, json!({"email": "ada@atelier.dev"}))
            .refused("not_offered"),
        json_of("/api/v1/auth/password/reset", 400, mailed).refused("token_over"),
        // With the right one, whoever asks would be gone.
        json_of("/api/v1/account/delete", 401, json!({"password": ""})).refused("sign_in_failed"),
        json_of(
            "/api/v1/auth/password",
            200,
            json!({"password": PASSWORD, "new_password": "quiet harbour of nine"}),
        ),
        json_of("/api/v1/generations/{id}/refund", 200, json!({"amount": 1, "reason": "x"})),
        json_of("/api/v1/usage/{id}/refund", 200, refund.clone()),
        json_of("/api/v1/credits", 201, refund),
        json_of(
            "/api/v1/budgets",
            200,
            json!({"user": "@user", "key": "@key", "day": 1_000_000_000, "month": 1_000_000_000}),
        ),
        json_of("/api/v1/keys", 201, json!({"name": "x", "scopes": ["read"], "expires_in_days": 1})),
        json_of("/api/v1/users", 201, json!({"name": "carol", "role": "user"})),
        form("/api/v1/plugins/inspect", 200, plugin()),
        // Without its consent nothing is installed.
        form("/api/v1/plugins", 400, plugin()).refused("invalid_value"),
        hook,
    ]
}

impl Good {
    fn refused(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }
}

/// Whether such a request may be sent as this body.
pub fn takes(media: Media, body: &Body) -> bool {
    match body {
        Body::Json(_) => matches!(media, Media::Json | Media::JsonOrForm),
        Body::Form(_) => matches!(media, Media::Form | Media::JsonOrForm),
    }
}

/// Who asks on a route, and whose things are then meant: an administrator speaks of Ada's.
pub fn asker<'w>(world: &'w World, route: &Route) -> (&'w Person, &'w Person) {
    use atelier_domain::account::Scope::{Admin, PluginAdmin};
    match route.access {
        Access::Key(Admin | PluginAdmin) => (&world.admin, &world.ada),
        Access::Key(_) | Access::Public => (&world.ada, &world.ada),
    }
}

/// The body with the ids of one person's things.
pub fn of(owner: &Person, body: &Body) -> Body {
    let filled = |text: &str| match text.strip_prefix('@') {
        Some(kind) => owner.thing(kind).to_owned(),
        None => text.to_owned(),
    };
    fn walk(value: &mut Value, filled: &impl Fn(&str) -> String) {
        match value {
            Value::String(text) => *text = filled(text),
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, filled)),
            Value::Object(members) => members.values_mut().for_each(|member| walk(member, filled)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    match body {
        Body::Json(value) => {
            let mut value = value.clone();
            walk(&mut value, &filled);
            Body::Json(value)
        }
        Body::Form(pieces) => {
            let with_ids = |(name, piece): &(String, Piece)| match piece {
                Piece::Text(text) => (name.clone(), Piece::Text(filled(text))),
                Piece::File(..) => (name.clone(), piece.clone()),
            };
            Body::Form(pieces.iter().map(with_ids).collect())
        }
    }
}
