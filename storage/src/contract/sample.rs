//! Rows to test with, filled so that a lost member shows.

use atelier_domain::account::session::Session;
use atelier_domain::account::token::TokenDigest;
use atelier_domain::account::{ApiKey, KeyDigest, Role, Scope, User};
use atelier_domain::blob::BlobId;
use atelier_domain::conversation::{Conversation, Title, TitleOrigin};
use atelier_domain::event::EventKind;
use atelier_domain::file::{Purpose, StoredFile};
use atelier_domain::generation::media::Ticket;
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::hidden::Hidden;
use atelier_domain::id::{
    ConversationId, EndpointId, FileId, JobId, KeyId, LinkId, SessionId, TemplateId, UserId,
};
use atelier_domain::job::{
    Job, JobError, JobState, StoredInput, StoredOutput, StoredRequest, StoredSource, StoredTemplate,
    StoredTraining,
};
use atelier_domain::link::{Artifact, Link, LinkKind};
use atelier_domain::manifest::Manifest;
use atelier_domain::model::{Description, Task};
use atelier_domain::money::{Bill, MicroCredits, PriceLine, PriceSnapshot};
use atelier_domain::plugin::{InstalledPlugin, PluginVersion, Trust};
use atelier_domain::template::{Audience, FileKind, Settings, Template, Variable, VariableKind};
use atelier_domain::time::Timestamp;
use atelier_domain::webhook::{EndpointSecret, SigningSecret, WebhookEndpoint};

use crate::sealing::{LocalKeys, SealingKey};

/// A user of that name.
pub fn user(name: &str) -> User {
    User {
        id: UserId::new(),
        name: name.to_owned(),
        role: Role::Administrator,
        created: Timestamp(1_700_000_000_000),
        disabled: false,
        verified: None,
    }
}

/// A session of that user, whose secret is its id's text.
pub fn session(owner: UserId) -> Session {
    let id = SessionId::new();
    Session {
        id,
        user: owner,
        digest: TokenDigest(*blake3::hash(id.as_bytes()).as_bytes()),
        created: Timestamp(1_000),
        last_used: Timestamp(1_000),
        expires: Timestamp(9_000),
        version: 0,
        agent: "Mozilla/5.0 — für später".to_owned(),
    }
}

/// A key of that user; the secret is the key's id.
pub fn key(owner: UserId) -> ApiKey {
    let id = KeyId::new();
    ApiKey {
        id,
        user: owner,
        name: "laptop — für später".to_owned(),
        digest: KeyDigest::of(&id.to_string()),
        hint: "atl_abcdef".to_owned(),
        scopes: vec![Scope::Read, Scope::Generate],
        created: Timestamp(1),
        expires: Some(Timestamp(u64::MAX)),
        revoked: None,
        last_used: None,
    }
}

/// A webhook endpoint of that user.
/// What unseals the stores of tests.
pub fn keeper() -> LocalKeys {
    LocalKeys::new(SealingKey::new([7; 32]), Vec::new())
}

pub fn endpoint(owner: UserId) -> WebhookEndpoint {
    let secret = |expires| EndpointSecret { secret: SigningSecret::generate().expect("randomness"), expires };
    WebhookEndpoint {
        id: EndpointId::new(),
        owner,
        url: "https://example.com/hook?tenant=1".to_owned(),
        description: "Büro".to_owned(),
        events: EventKind::ALL.to_vec(),
        created: Timestamp(12),
        secrets: vec![secret(None), secret(Some(Timestamp(99)))],
        disabled: None,
        failing_since: Some(Timestamp(7)),
    }
}

/// An installed plugin with that id.
pub fn plugin(id: &str) -> InstalledPlugin {
    let version = |number: &str| PluginVersion {
        manifest: Manifest::parse(
            serde_json::json!({
                "id": id, "version": number, "wit": "0.1", "name": "Sample",
                "settings": {"type": "object", "properties": {"scale": {"maximum": 1.5}}},
            })
            .to_string()
            .as_bytes(),
        )
        .expect("a valid manifest"),
        digest: blake3::hash(number.as_bytes()).to_hex().to_string(),
        trust: Trust::Signed { key_id: "0011223344556677".to_owned() },
        capabilities: vec!["chat".to_owned(), "media".to_owned()],
        description: Description { models: Vec::new(), discovers: true, open_ended: false },
        installed: Timestamp(7),
    };
    InstalledPlugin { current: version("1.1.0"), previous: Some(Box::new(version("1.0.0"))), enabled: true }
}

/// An image costs this many micro-credits.
pub fn price(of_image: u64) -> PriceSnapshot {
    let per_million = MicroCredits::new(of_image * 1_000_000).expect("small");
    PriceSnapshot::new(vec![PriceLine { meter: "images".to_owned(), attributes: Vec::new(), per_million }])
}

/// A job that is being processed.
pub fn job(owner: UserId) -> Job {
    Job {
        id: JobId::new(),
        owner,
        state: JobState::Processing,
        request: StoredRequest {
            prompt: Some("a cat\n\twith \"quotes\" 漢字 🎉".to_owned()),
            inputs: vec![StoredInput {
                role: "image".to_owned(),
                source: StoredSource::Blob { id: BlobId([7; 32]), size: 9 },
                content_type: Some("image/png".to_owned()),
                name: Some("cat.png".to_owned()),
                attributes: vec![("weight".to_owned(), "0.5".to_owned())],
            }],
            size: Some("1024x1024".to_owned()),
            seed: Some(-1),
            previews: 2,
            end_user: Some("u-1".to_owned()),
            options: "{\"a\":[1,2]}".to_owned(),
            template: Some(Box::new(StoredTemplate {
                id: TemplateId::new(),
                version: 3,
                variables: r#"{"what":"a cat"}"#.to_owned(),
                prompt: Hidden::new("Paint a cat."),
                negative_prompt: Some(Hidden::new("dogs")),
                options: Hidden::new("{}"),
            })),
            ..StoredRequest::new("openai/gpt-image-1".to_owned(), Task::ImageGeneration)
        },
        request_id: None,
        trace: None,
        created: Timestamp(10),
        started: Some(Timestamp(11)),
        finished: None,
        deadline: Timestamp(1_000_000),
        progress: Some(0.3),
        attempt: 1,
        charging: true,
        cancel_requested: false,
        wake_at: Timestamp(500),
        ticket: Some(Ticket {
            state: vec![0, 255, 3],
            state_version: 1,
            poll_after_ms: 2_000,
            progress: Some(0.1),
            accepts_webhook: true,
            provider_id: Some("p-1".to_owned()),
        }),
        outputs: vec![
            StoredOutput::Text("text".to_owned()),
            StoredOutput::Media {
                blob: BlobId([9; 32]),
                size: u64::MAX,
                content_type: "image/png".to_owned(),
                revised_prompt: None,
                seed: None,
                attributes: vec![("size".to_owned(), "64x64".to_owned())],
            },
        ],
        usage: vec![UsageLine::new("images", 1)],
        error: Some(JobError { code: "timeout".to_owned(), message: "late".to_owned() }),
        bill: Bill { key: Some(KeyId::new()), price: Some(price(40_000)), ..Bill::default() },
        is_erased: false,
    }
}

/// A file of 100 bytes that never goes by itself.
pub fn file(owner: UserId) -> StoredFile {
    let id = FileId::new();
    StoredFile {
        id,
        owner,
        blob: BlobId(*blake3::hash(id.as_bytes()).as_bytes()),
        size: 100,
        content_type: "application/jsonl".to_owned(),
        name: "Trainingsdaten 漢字.jsonl".to_owned(),
        purpose: Purpose::FineTune,
        created: Timestamp(10),
        expires: None,
    }
}

/// An empty conversation.
pub fn conversation(owner: UserId) -> Conversation {
    Conversation {
        id: ConversationId::new(),
        owner,
        title: Some(Title { text: "Über alles".to_owned(), origin: TitleOrigin::Model }),
        model: Some("openai/gpt-4o".to_owned()),
        system: Some("Answer in verse.".to_owned()),
        created: Timestamp(100),
        active: Timestamp(101),
        archived: false,
        leaf: None,
        messages: 0,
        bytes: 0,
    }
}

/// A shared output of a job.
pub fn link(owner: UserId) -> Link {
    Link {
        id: LinkId::new(),
        owner,
        artifact: Artifact::Output { job: JobId::new(), index: 3 },
        kind: LinkKind::Share,
        title: Some("a cat".to_owned()),
        created: Timestamp(10),
        expires: Timestamp(5_000),
    }
}

/// A training.
pub fn training(owner: UserId) -> Job {
    let mut job = job(owner);
    job.request.task = "training".to_owned();
    job.request.training = Some(Box::new(StoredTraining {
        training_file: FileId::new(),
        validation_file: Some(FileId::new()),
        suffix: Some("acme".to_owned()),
        hyperparameters: "{\"n_epochs\":3}".to_owned(),
        metadata: vec![("team".to_owned(), "漢字".to_owned())],
    }));
    job
}

/// The first version of a template of that name.
pub fn template(name: &str) -> Template {
    let variable = |name: &str, kind| Variable {
        name: name.to_owned(),
        description: "für Leute".to_owned(),
        required: true,
        kind,
    };
    let text = VariableKind::Text { characters_max: 50, default: Some("a cat".to_owned()) };
    let number = VariableKind::Number { min: Some(0.5), max: None, is_whole: false, default: Some(1.5) };
    let choice = VariableKind::Choice { options: vec!["oil".to_owned()], default: None };
    let file = VariableKind::File { kind: FileKind::Image, role: Some("reference".to_owned()) };
    Template {
        id: TemplateId::new(),
        version: 1,
        name: name.to_owned(),
        description: "Two\nlines".to_owned(),
        scene: Some("shop".to_owned()),
        tags: ["new".to_owned(), "wall".to_owned()].into(),
        task: Task::ImageGeneration,
        model: "painter/brush".to_owned(),
        variables: vec![
            variable("what", text),
            variable("weight", number),
            variable("style", choice),
            variable("sure", VariableKind::Boolean { default: Some(true) }),
            variable("like", file),
        ],
        text_characters_max: 100,
        prompt: Hidden::new("Paint {{ what }} in {{ style }}."),
        negative_prompt: Some(Hidden::new("words")),
        settings: Settings { count: Some(2), size: Some("512x512".to_owned()), ..Settings::default() },
        options: Hidden::new(r#"{"steps":4}"#),
        audience: Audience::Users([UserId::new()].into()),
        created: Timestamp(5),
        updated: Timestamp(6),
        archived: None,
    }
}
