//! The route table: each route with its class, access, body and error shape. A route that is not here does not exist,
//! and one that is cannot be without a limit and a scope.

use std::sync::Arc;

use atelier_domain::account::Scope;
use atelier_service::limits::Class;
use axum::Router;
use axum::extract::{Request, State};
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;

use super::deprecation::Deprecation;
use super::idempotency::Idempotency;
use super::openapi::{self, Operation, Reference};
use super::{ApiError, Call, Dialect, Reply, gate};
use super::{
    audio, budgets, chat_completions, credits, embeddings, events, favicon, generations, hooks, images, keys,
    messages, models, moderations, plugins, responses, usage, users, webhook_endpoints,
};
use crate::app::App;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// Text requests (E-3).
const TEXT: usize = MIB;
/// Requests with images in them (E-3).
const WITH_MEDIA: usize = 20 * MIB;
/// Images in forms (E-3): an image and its mask.
const IMAGES: usize = 2 * 10 * MIB + 64 * KIB;
/// Audio files (E-3), and what surrounds one in a form.
const AUDIO: usize = 25 * MIB + 64 * KIB;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// A key with the scope.
    Key(Scope),
}

const ADMIN: Access = Access::Key(Scope::Admin);
/// Plugin routes: their scope is their own, since who installs code decides what runs.
const PLUGIN_ADMIN: Access = Access::Key(Scope::PluginAdmin);
/// A plugin's file (`atelier_runtime` takes 128 MiB at most), and what surrounds one in a form.
const PLUGIN: usize = 128 * MIB + 64 * KIB;

/// What a request body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    None,
    Json,
    Form,
}

/// A route's rules.
#[derive(Clone, Debug)]
pub struct Route {
    pub method: Method,
    /// As axum writes paths.
    pub path: &'static str,
    /// What its requests count against; public routes count nothing.
    pub class: Option<Class>,
    pub access: Access,
    pub dialect: Dialect,
    pub media: Media,
    /// Bytes of a body.
    pub body_max: usize,
    /// Its place in the table, and so among the metrics.
    pub index: usize,
    /// What the reference says of it; every route has it.
    pub operation: Option<fn() -> Operation>,
    /// What becomes of a request that is sent twice.
    pub idempotency: Idempotency,
    /// Set for a route that is to go.
    pub deprecation: Option<Deprecation>,
}

type Mount = Box<dyn FnOnce(Arc<Route>) -> MethodRouter<Arc<App>> + Send>;

struct Entry {
    route: Route,
    mount: Mount,
}

impl Entry {
    fn access(mut self, access: Access) -> Self {
        self.route.access = access;
        if access == Access::Public {
            self.route.class = None;
        }
        self
    }
    fn body(mut self, media: Media, body_max: usize) -> Self {
        (self.route.media, self.route.body_max) = (media, body_max);
        self
    }
    fn idempotency(mut self, idempotency: Idempotency) -> Self {
        self.route.idempotency = idempotency;
        self
    }
    #[cfg_attr(not(test), expect(dead_code, reason = "no route is to go yet"))]
    fn deprecated(mut self, deprecation: Deprecation) -> Self {
        self.route.deprecation = Some(deprecation);
        self
    }
    fn described(mut self, operation: fn() -> Operation) -> Self {
        self.route.operation = Some(operation);
        self
    }
}

fn entry<H, F>(method: Method, path: &'static str, class: Class, dialect: Dialect, handler: H) -> Entry
where
    H: Fn(Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
{
    let filter = if method == Method::GET { MethodFilter::GET } else { MethodFilter::POST };
    let access = Access::Key(if method == Method::GET { Scope::Read } else { Scope::Generate });
    let media = if method == Method::GET { Media::None } else { Media::Json };
    // Whatever changes something takes keys, unless its row says otherwise.
    let idempotency = if method == Method::GET { Idempotency::Harmless } else { Idempotency::Creates };
    let route = Route {
        method,
        path,
        class: Some(class),
        access,
        dialect,
        media,
        body_max: TEXT,
        index: 0,
        operation: None,
        idempotency,
        deprecation: None,
    };
    let mount: Mount = Box::new(move |route| {
        on(filter, move |State(app): State<Arc<App>>, request: Request| {
            gate::pass(app, route, request, handler)
        })
    });
    Entry { route, mount }
}

fn get<H, F>(path: &'static str, class: Class, dialect: Dialect, handler: H) -> Entry
where
    H: Fn(Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
{
    entry(Method::GET, path, class, dialect, handler)
}

fn post<H, F>(path: &'static str, class: Class, dialect: Dialect, handler: H) -> Entry
where
    H: Fn(Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
{
    entry(Method::POST, path, class, dialect, handler)
}

fn entries() -> Vec<Entry> {
    use Class::{Administration, Analysis, Analytics, Chat, Generation, Status, Transcription};
    use Dialect::{Anthropic, OpenAi, Problem};
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
        post("/api/v1/generations", Generation, Problem, generations::create::handle)
            .body(Media::Json, WITH_MEDIA)
            .idempotency(Idempotency::Generates)
            .described(generations::create::describe),
        get("/api/v1/generations", Status, Problem, generations::list::handle)
            .described(generations::list::describe),
        get("/api/v1/admin/generations", Administration, Problem, generations::failed::handle)
            .access(ADMIN)
            .described(generations::failed::describe),
        get("/api/v1/generations/{id}", Status, Problem, generations::get::handle)
            .described(generations::get::describe),
        post("/api/v1/generations/{id}/cancel", Status, Problem, generations::cancel::handle)
            .body(Media::None, 0)
            .idempotency(Idempotency::Harmless)
            .described(generations::cancel::describe),
        get("/api/v1/generations/{id}/outputs/{index}", Status, Problem, generations::content::handle)
            .described(generations::content::describe),
        get("/api/v1/generations/{id}/events", Status, Problem, generations::events::handle)
            .described(generations::events::describe),
        get("/api/v1/events", Status, Problem, events::follow::handle).described(events::follow::describe),
        post("/api/v1/webhook-endpoints", Administration, Problem, webhook_endpoints::create::handle)
            .described(webhook_endpoints::create::describe),
        get("/api/v1/webhook-endpoints", Administration, Problem, webhook_endpoints::list::handle)
            .described(webhook_endpoints::list::describe),
        get("/api/v1/webhook-endpoints/{id}", Administration, Problem, webhook_endpoints::get::handle)
            .described(webhook_endpoints::get::describe),
        post("/api/v1/webhook-endpoints/{id}", Administration, Problem, webhook_endpoints::change::handle)
            .described(webhook_endpoints::change::describe),
        post(
            "/api/v1/webhook-endpoints/{id}/rotate",
            Administration,
            Problem,
            webhook_endpoints::rotate::handle,
        )
        .described(webhook_endpoints::rotate::describe),
        post(
            "/api/v1/webhook-endpoints/{id}/remove",
            Administration,
            Problem,
            webhook_endpoints::remove::handle,
        )
        .body(Media::None, 0)
        .described(webhook_endpoints::remove::describe),
        post("/api/v1/webhook-endpoints/{id}/test", Administration, Problem, webhook_endpoints::test::handle)
            .body(Media::None, 0)
            .described(webhook_endpoints::test::describe),
        get(
            "/api/v1/webhook-endpoints/{id}/deliveries",
            Administration,
            Problem,
            webhook_endpoints::deliveries::handle,
        )
        .described(webhook_endpoints::deliveries::describe),
        post(
            "/api/v1/webhook-endpoints/{id}/deliveries/{delivery}/resend",
            Administration,
            Problem,
            webhook_endpoints::resend::handle,
        )
        .body(Media::None, 0)
        .described(webhook_endpoints::resend::describe),
        post("/api/v1/generations/{id}/refund", Administration, Problem, credits::refund::handle)
            .access(ADMIN)
            .described(credits::refund::describe),
        get("/api/v1/credits", Status, Problem, credits::balance::handle)
            .described(credits::balance::describe),
        post("/api/v1/credits", Administration, Problem, credits::grant::handle)
            .access(ADMIN)
            .described(credits::grant::describe),
        get("/api/v1/credits/entries", Status, Problem, credits::entries::handle)
            .described(credits::entries::describe),
        get("/api/v1/budgets", Status, Problem, budgets::get::handle).described(budgets::get::describe),
        post("/api/v1/budgets", Administration, Problem, budgets::set::handle)
            .access(ADMIN)
            .described(budgets::set::describe),
        get("/api/v1/usage", Analytics, Problem, usage::records::handle).described(usage::records::describe),
        get("/api/v1/usage/totals", Analytics, Problem, usage::totals::handle)
            .described(usage::totals::describe),
        get("/api/v1/models", Status, Problem, models::list::handle).described(models::list::describe_own),
        post("/api/v1/keys", Administration, Problem, keys::create::handle)
            .access(Access::Key(Scope::Read))
            .idempotency(Idempotency::CreatesSecret)
            .described(keys::create::describe),
        get("/api/v1/keys", Administration, Problem, keys::list::handle).described(keys::list::describe),
        post("/api/v1/keys/{id}/revoke", Administration, Problem, keys::revoke::handle)
            .body(Media::None, 0)
            .access(Access::Key(Scope::Read))
            .idempotency(Idempotency::Harmless)
            .described(keys::revoke::describe),
        post("/api/v1/users", Administration, Problem, users::create::handle)
            .access(ADMIN)
            .described(users::create::describe),
        get("/api/v1/users", Administration, Problem, users::list::handle)
            .access(ADMIN)
            .described(users::list::describe),
        post("/api/v1/users/{id}/disable", Administration, Problem, users::access::disable)
            .body(Media::None, 0)
            .access(ADMIN)
            .idempotency(Idempotency::Harmless)
            .described(users::access::describe_disable),
        post("/api/v1/users/{id}/enable", Administration, Problem, users::access::enable)
            .body(Media::None, 0)
            .access(ADMIN)
            .idempotency(Idempotency::Harmless)
            .described(users::access::describe_enable),
        get("/api/v1/plugins", Administration, Problem, plugins::list::handle)
            .access(PLUGIN_ADMIN)
            .described(plugins::list::describe),
        post("/api/v1/plugins", Administration, Problem, plugins::install::handle)
            .body(Media::Form, PLUGIN)
            .access(PLUGIN_ADMIN)
            .idempotency(Idempotency::Harmless)
            .described(plugins::install::describe),
        post("/api/v1/plugins/inspect", Administration, Problem, plugins::inspect::handle)
            .body(Media::Form, PLUGIN)
            .access(PLUGIN_ADMIN)
            .idempotency(Idempotency::Harmless)
            .described(plugins::inspect::describe),
        get("/api/v1/plugins/{publisher}/{name}", Administration, Problem, plugins::get::handle)
            .access(PLUGIN_ADMIN)
            .described(plugins::get::describe),
        post("/api/v1/plugins/{publisher}/{name}/enable", Administration, Problem, plugins::change::enable)
            .body(Media::None, 0)
            .access(PLUGIN_ADMIN)
            .idempotency(Idempotency::Harmless)
            .described(plugins::change::describe_enable),
        post("/api/v1/plugins/{publisher}/{name}/disable", Administration, Problem, plugins::change::disable)
            .body(Media::None, 0)
            .access(PLUGIN_ADMIN)
            .idempotency(Idempotency::Harmless)
            .described(plugins::change::describe_disable),
        post(
            "/api/v1/plugins/{publisher}/{name}/rollback",
            Administration,
            Problem,
            plugins::change::roll_back,
        )
        .idempotency(Idempotency::Harmless)
        .described(plugins::change::describe_roll_back)
        .body(Media::None, 0)
        .access(PLUGIN_ADMIN),
        post("/api/v1/plugins/{publisher}/{name}/remove", Administration, Problem, plugins::change::remove)
            .idempotency(Idempotency::Harmless)
            .described(plugins::change::describe_remove)
            .body(Media::None, 0)
            .access(PLUGIN_ADMIN),
        // Callbacks are counted by the address that is called, once it is known to be one (`service::callbacks`).
        post("/hooks/{token}", Class::Callback, Problem, hooks::receive)
            .access(Access::Public)
            .idempotency(Idempotency::Harmless)
            .described(hooks::describe),
        get("/favicon.ico", Status, Problem, favicon::get)
            .access(Access::Public)
            .described(favicon::describe),
        get("/api/v1/openapi.json", Status, Problem, openapi::document)
            .described(Reference::document)
            .access(Access::Public),
        get("/docs", Status, Problem, openapi::docs_page).described(Reference::page).access(Access::Public),
        get("/docs/page.js", Status, Problem, openapi::docs_script)
            .described(Reference::script)
            .access(Access::Public),
        get("/docs/page.css", Status, Problem, openapi::docs_style)
            .described(Reference::style)
            .access(Access::Public),
    ]
}

/// The rules of all routes, by index.
pub fn table() -> Vec<Route> {
    entries().into_iter().enumerate().map(|(index, entry)| Route { index, ..entry.route }).collect()
}

/// The callers' router.
pub fn router(app: Arc<App>) -> Router {
    mounted(entries(), app)
}

fn mounted(entries: Vec<Entry>, app: Arc<App>) -> Router {
    let mut router = Router::new();
    for (index, Entry { route, mount }) in entries.into_iter().enumerate() {
        let path = route.path;
        router = router.route(path, mount(Arc::new(Route { index, ..route })));
    }
    router.fallback(gate::not_found).method_not_allowed_fallback(gate::method_not_allowed).with_state(app)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt;

    use super::*;
    use crate::config::{Config, template};

    #[tokio::test]
    async fn a_route_that_is_to_go_says_so_in_every_answer() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("atelier.toml");
        std::fs::write(&path, template::TEXT).expect("written");
        let app = App::build(Config::load(&path).expect("a configuration")).await.expect("an app");
        let deprecation = Deprecation {
            since: 1_767_225_600,
            sunset: Some(1_798_761_600),
            successor: Some("/api/v1/models"),
        };
        let old =
            get("/v0/models", Class::Status, Dialect::Problem, models::list::handle).deprecated(deprecation);
        let open = get("/favicon.ico", Class::Status, Dialect::Problem, favicon::get).access(Access::Public);
        let router = mounted(vec![old, open], app);
        let ask = |path: &str| {
            let request = Request::get(path).body(Body::empty()).expect("a request");
            router.clone().oneshot(request)
        };
        // Also in a refusal: there is no key here.
        let refused = ask("/v0/models").await.expect("answered");
        assert_eq!(refused.status(), 401);
        assert_eq!(refused.headers()["deprecation"], "@1767225600");
        assert_eq!(refused.headers()["sunset"], "Fri, 01 Jan 2027 00:00:00 GMT");
        assert_eq!(refused.headers()["link"], "</api/v1/models>; rel=\"successor-version\"");
        let lasting = ask("/favicon.ico").await.expect("answered");
        assert!(!lasting.headers().contains_key("deprecation") && !lasting.headers().contains_key("sunset"));
    }
}
