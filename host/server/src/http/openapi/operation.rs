//! What a handler says of its route beyond the route's rules.

use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Required, Schema};

use crate::http::sharing;

/// A chapter of the reference, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    Models,
    Chat,
    Conversations,
    Embeddings,
    Moderations,
    Audio,
    Images,
    Videos,
    Files,
    Batches,
    FineTuning,
    Generations,
    Templates,
    Events,
    Webhooks,
    Links,
    Money,
    Keys,
    Sessions,
    Users,
    Plugins,
    Backups,
    Audit,
    Callbacks,
    Reference,
}

impl Tag {
    /// All of them, with what each is about.
    pub const ALL: [(Tag, &'static str); 25] = [
        (
            Tag::Models,
            "What can be called: every provider's models and the in-house ones under one kind of id, `instance/model`.",
        ),
        (
            Tag::Chat,
            "Conversations, whole or streamed, in the dialects of OpenAI (chat completions, responses) and Anthropic (messages).",
        ),
        (
            Tag::Conversations,
            "What you said and were answered, kept as trees of messages: branches by edits and by answers made again, found by their words.",
        ),
        (Tag::Embeddings, "Texts as vectors."),
        (Tag::Moderations, "Texts and images judged by category."),
        (Tag::Audio, "Speech from text, and text from speech."),
        (Tag::Images, "Images in the dialect of OpenAI: the answer waits until they are made."),
        (
            Tag::Videos,
            "Videos in the dialect of OpenAI: jobs that go on in the background, watched by their id.",
        ),
        (
            Tag::Files,
            "Files that are kept here until they are deleted, to be named by other requests; within a quota for each user.",
        ),
        (Tag::Batches, "Many requests in one file, answered in files within 24 hours."),
        (Tag::FineTuning, "Models made from a model and a file of yours: jobs that go on in the background."),
        (
            Tag::Generations,
            "Jobs of every medium: admitted at once, made in the background, watched and cancelled by their id.",
        ),
        (
            Tag::Templates,
            "Prompts with blanks: written by administrators, filled in by anybody they are for, read by nobody.",
        ),
        (Tag::Events, "What happens to your jobs, as it happens, in one feed."),
        (
            Tag::Webhooks,
            "Where you want to be told what happens to your jobs, signed as Standard Webhooks says, and what became of each telling.",
        ),
        (
            Tag::Links,
            "Addresses at which others get one file or output without a key: signed, for a time, revocable.",
        ),
        (
            Tag::Money,
            "Credits, budgets, and what was used. Amounts are whole micro-credits: a million of them is one credit.",
        ),
        (Tag::Keys, "API keys: made with a name and scopes, shown once, revoked at once."),
        (
            Tag::Sessions,
            "People in browsers: a password begins a session, which is a cookie. What changes something needs `x-csrf-token` beside it, and \
             comes from this server's own pages.",
        ),
        (Tag::Users, "Who may have keys. For administrators."),
        (
            Tag::Plugins,
            "Sandboxed providers: looked at, installed, switched and removed while the server runs. For keys with `plugin-admin`.",
        ),
        (Tag::Backups, "Everything that is stored, taken while the server goes on. For administrators."),
        (Tag::Audit, "What was administered, and what was refused for safety's sake. For administrators."),
        (Tag::Callbacks, "Where providers tell that a job has moved on."),
        (Tag::Reference, "This description itself. Open to anybody."),
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Tag::Models => "Models",
            Tag::Chat => "Chat",
            Tag::Conversations => "Conversations",
            Tag::Embeddings => "Embeddings",
            Tag::Moderations => "Moderations",
            Tag::Audio => "Audio",
            Tag::Images => "Images",
            Tag::Videos => "Videos",
            Tag::Files => "Files",
            Tag::Batches => "Batches",
            Tag::FineTuning => "Fine-tuning",
            Tag::Generations => "Generations",
            Tag::Templates => "Templates",
            Tag::Events => "Events",
            Tag::Webhooks => "Webhooks",
            Tag::Links => "Links",
            Tag::Money => "Money",
            Tag::Keys => "Keys",
            Tag::Sessions => "Sessions",
            Tag::Users => "Users",
            Tag::Plugins => "Plugins",
            Tag::Backups => "Backups",
            Tag::Audit => "Audit",
            Tag::Callbacks => "Callbacks",
            Tag::Reference => "Reference",
        }
    }
}

pub(super) type Schemas = Vec<(String, RefOr<Schema>)>;

/// An operation being described.
pub struct Operation {
    /// Its `operationId`: unique, stable, what generated clients call it.
    pub(super) id: &'static str,
    pub(super) tag: Tag,
    pub(super) summary: &'static str,
    pub(super) about: &'static str,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<RequestBody>,
    pub(super) answers: Vec<(u16, ResponseBuilder)>,
    /// Statuses of refusals beyond those of the route's rules.
    pub(super) refusals: Vec<u16>,
    pub(super) schemas: Schemas,
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operation").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Operation {
    pub(in crate::http) fn new(id: &'static str, tag: Tag, summary: &'static str) -> Self {
        Self {
            id,
            tag,
            summary,
            about: "",
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            refusals: Vec::new(),
            schemas: Vec::new(),
        }
    }

    /// What it does, in a few sentences (CommonMark).
    pub(in crate::http) fn about(mut self, text: &'static str) -> Self {
        self.about = text;
        self
    }

    /// A part of the path.
    pub(in crate::http) fn path(mut self, name: &str, schema: impl Into<RefOr<Schema>>, about: &str) -> Self {
        let parameter = parameter(name, schema, about).parameter_in(ParameterIn::Path);
        self.parameters.push(parameter.required(Required::True).build());
        self
    }

    /// An optional parameter of the query.
    pub(in crate::http) fn query(
        mut self,
        name: &str,
        schema: impl Into<RefOr<Schema>>,
        about: &str,
    ) -> Self {
        let parameter = parameter(name, schema, about).parameter_in(ParameterIn::Query);
        self.parameters.push(parameter.required(Required::False).build());
        self
    }

    /// Takes a JSON body.
    pub(in crate::http) fn takes<T: ToSchema>(self, example: Value) -> Self {
        let content = ContentBuilder::new().example(Some(example));
        self.body::<T>("application/json", content)
    }

    /// Takes a form with files.
    pub(in crate::http) fn takes_form<T: ToSchema>(mut self) -> Self {
        self = self.body::<T>("multipart/form-data", ContentBuilder::new());
        // A form is read field by field, and a field that is not known is refused.
        for (name, schema) in &mut self.schemas {
            if let RefOr::T(Schema::Object(form)) = schema
                && *name == T::name()
            {
                form.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
            }
        }
        self
    }

    /// The JSON body may also come as this form.
    pub(in crate::http) fn or_takes_form<T: ToSchema>(mut self) -> Self {
        let json = self.body.take();
        self = self.takes_form::<T>();
        if let (Some(body), Some(json)) = (&mut self.body, json) {
            body.content.extend(json.content);
        }
        self
    }

    fn body<T: ToSchema>(mut self, content_type: &str, content: ContentBuilder) -> Self {
        let content = content.schema(Some(self.component::<T>()));
        let body = RequestBodyBuilder::new().required(Some(Required::True));
        self.body = Some(body.content(content_type, content.build()).build());
        self
    }

    /// Answers with JSON.
    pub(in crate::http) fn answers<T: ToSchema>(mut self, status: u16, about: &str, example: Value) -> Self {
        let schema = self.component::<T>();
        let content = ContentBuilder::new().schema(Some(schema)).example(Some(example));
        let answer = ResponseBuilder::new().description(about);
        self.answers.push((status, answer.content("application/json", content.build())));
        self
    }

    /// Answers with nothing but its head.
    pub(in crate::http) fn empty(mut self, status: u16, about: &str) -> Self {
        self.answers.push((status, ResponseBuilder::new().description(about)));
        self
    }

    /// The last answer may also come in this form: a text, or bytes.
    pub(in crate::http) fn or(self, content_type: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        self.add(content_type, ContentBuilder::new().schema(Some(schema)))
    }

    /// The last answer also comes as a stream of server-sent events, each of whose `data` is a `T`.
    pub(in crate::http) fn or_events<T: ToSchema>(mut self, example: &str) -> Self {
        let event = self.component::<T>();
        let text = ObjectBuilder::new().schema_type(Type::String).description(Some(
            "Server-sent events (WHATWG HTML, section 9.2). `x-event` is the schema of one event's `data`.",
        ));
        let event = serde_json::to_value(event).unwrap_or_default();
        let content = ContentBuilder::new()
            .schema(Some(text))
            .example(Some(example.into()))
            .extensions(Some(Extensions::from_iter([("x-event", event)])));
        self.add("text/event-stream", content)
    }

    /// Takes a type into the components that another form only mentions.
    pub(in crate::http) fn schema<T: ToSchema>(mut self) -> Self {
        let _mentioned = self.component::<T>();
        self
    }

    /// The last answer has this header.
    pub(in crate::http) fn header(mut self, name: &str, about: &str) -> Self {
        let text = ObjectBuilder::new().schema_type(Type::String);
        if let Some((status, answer)) = self.answers.pop() {
            let header = HeaderBuilder::new().description(Some(about)).schema(Some(text)).build();
            self.answers.push((status, answer.header(name, header)));
        }
        self
    }

    /// May also be refused with these statuses.
    pub(in crate::http) fn refuses(mut self, statuses: &[u16]) -> Self {
        self.refusals.extend_from_slice(statuses);
        self
    }

    /// Calls a provider: an unknown model, and what can go wrong behind the host.
    pub(in crate::http) fn calls_provider(self) -> Self {
        self.refuses(&[400, 402, 404, 413, 429, 500, 502, 503, 504])
    }

    fn add(mut self, content_type: &str, content: ContentBuilder) -> Self {
        if let Some((status, answer)) = self.answers.pop() {
            self.answers.push((status, answer.content(content_type, content.build())));
        }
        self
    }

    /// Takes a type and all that it is made of into the components.
    fn component<T: ToSchema>(&mut self) -> Ref {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        Ref::from_schema_name(T::name())
    }
}

/// The header that operations take whose answers can be shared.
pub(super) fn share() -> Parameter {
    const ABOUT: &str = "`identical`: a request that says the same with the same key while this one is handled gets this one's answer, marked \
        `Atelier-Shared: true`, instead of one of its own, and only one is paid for. Not for streams, nor beside an Idempotency-Key.";
    let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([sharing::IDENTICAL]));
    header("Atelier-Share", schema.build(), ABOUT)
}

/// The header that every operation takes which creates or costs.
pub(super) fn idempotency_key() -> Parameter {
    const ABOUT: &str = "Makes the request safe to repeat for 24 hours: the same key with the same request has one effect, and its answer comes \
        again with `Idempotent-Replayed: true`. Such a request is finished even if its client leaves.";
    let key = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(255))
        .pattern(Some("^[\\x21-\\x7e]+$"));
    header("Idempotency-Key", key.build(), ABOUT)
}

fn header(name: &str, schema: impl Into<RefOr<Schema>>, about: &str) -> Parameter {
    parameter(name, schema, about).parameter_in(ParameterIn::Header).required(Required::False).build()
}

fn parameter(name: &str, schema: impl Into<RefOr<Schema>>, about: &str) -> ParameterBuilder {
    ParameterBuilder::new().name(name).description(Some(about)).schema(Some(schema.into()))
}
