//! The routes of our own API, and those of no API.

use atelier_domain::account::Scope;
use atelier_service::limits::Class;

use super::entry::{Entry, delete, get, post};
use super::{
    ADMIN, Access, CREDENTIALS, Media, OWN, PLUGIN, PLUGIN_ADMIN, PROVIDER_KEYS, TEMPLATES, WITH_MEDIA,
};
use crate::http::idempotency::Idempotency;
use crate::http::openapi::Reference;
use crate::http::{
    Dialect, audit, auth, backup, budgets, conversations, credits, events, export, favicon, generations,
    hooks, keys, links, models, openapi, plugins, provider_keys, templates, usage, users, webhook_endpoints,
};

pub(super) fn entries() -> Vec<Entry> {
    use Class::{Administration, Analytics, Chat, Generation, Shares, SignIn, Status};
    use Dialect::Problem;
    vec![
        post("/api/v1/generations", Generation, Problem, generations::create::handle)
            .body(Media::Json, WITH_MEDIA)
            .idempotency(Idempotency::Generates)
            .described(generations::create::describe),
        get("/api/v1/generations", Status, Problem, generations::list::handle)
            .described(generations::list::describe),
        get("/api/v1/admin/audit", Administration, Problem, audit::list::handle)
            .access(ADMIN)
            .described(audit::list::describe),
        get("/api/v1/admin/generations", Administration, Problem, generations::failed::handle)
            .access(ADMIN)
            .described(generations::failed::describe),
        get(backup::PATH, Administration, Problem, backup::handle).access(ADMIN).described(backup::describe),
        get("/api/v1/generations/{id}", Status, Problem, generations::get::handle)
            .described(generations::get::describe),
        post("/api/v1/generations/{id}/cancel", Status, Problem, generations::cancel::handle)
            .body(Media::None, 0)
            .idempotency(Idempotency::Harmless)
            .described(generations::cancel::describe),
        get("/api/v1/generations/{id}/outputs/{index}", Status, Problem, generations::content::handle)
            .described(generations::content::describe),
        get(
            "/api/v1/generations/{id}/outputs/{index}/thumbnail",
            Status,
            Problem,
            generations::rendition::thumbnail,
        )
        .described(generations::rendition::describe_thumbnail),
        get("/api/v1/generations/{id}/outputs/{index}/peaks", Status, Problem, generations::rendition::peaks)
            .described(generations::rendition::describe_peaks),
        get("/api/v1/generations/{id}/events", Status, Problem, generations::events::handle)
            .described(generations::events::describe),
        post("/api/v1/templates", Administration, Problem, templates::create::handle)
            .access(ADMIN)
            .described(templates::create::describe),
        get("/api/v1/templates", Status, Problem, templates::list::handle)
            .described(templates::list::describe),
        post("/api/v1/templates/seed", Administration, Problem, templates::seed::handle)
            .body(Media::Json, TEMPLATES)
            .access(ADMIN)
            .described(templates::seed::describe),
        post("/api/v1/templates/clear", Administration, Problem, templates::clear::handle)
            .access(ADMIN)
            .idempotency(Idempotency::Harmless)
            .described(templates::clear::describe),
        get("/api/v1/templates/{id}", Status, Problem, templates::get::handle)
            .described(templates::get::describe),
        post("/api/v1/templates/{id}", Administration, Problem, templates::change::handle)
            .access(ADMIN)
            .described(templates::change::describe),
        post("/api/v1/templates/{id}/archive", Administration, Problem, templates::archive::handle)
            .body(Media::None, 0)
            .access(ADMIN)
            .idempotency(Idempotency::Harmless)
            .described(templates::archive::describe),
        post("/api/v1/templates/{id}/generate", Generation, Problem, templates::generate::handle)
            .idempotency(Idempotency::Generates)
            .described(templates::generate::describe),
        get("/api/v1/events", Status, Problem, events::follow::handle).described(events::follow::describe),
        post("/api/v1/webhook-endpoints", Administration, Problem, webhook_endpoints::create::handle)
            .idempotency(Idempotency::CreatesSecret)
            .described(webhook_endpoints::create::describe),
        get("/api/v1/webhook-endpoints", Administration, Problem, webhook_endpoints::list::handle)
            .described(webhook_endpoints::list::describe),
        get("/api/v1/webhook-endpoints/{id}", Administration, Problem, webhook_endpoints::get::handle)
            .described(webhook_endpoints::get::describe),
        post("/api/v1/webhook-endpoints/{id}", Administration, Problem, webhook_endpoints::change::handle)
            .idempotency(Idempotency::Harmless)
            .described(webhook_endpoints::change::describe),
        post(
            "/api/v1/webhook-endpoints/{id}/rotate",
            Administration,
            Problem,
            webhook_endpoints::rotate::handle,
        )
        .idempotency(Idempotency::CreatesSecret)
        .described(webhook_endpoints::rotate::describe),
        post(
            "/api/v1/webhook-endpoints/{id}/remove",
            Administration,
            Problem,
            webhook_endpoints::remove::handle,
        )
        .body(Media::None, 0)
        .idempotency(Idempotency::Harmless)
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
        post("/api/v1/provider-keys", Administration, Problem, provider_keys::put::handle)
            .body(Media::Json, PROVIDER_KEYS)
            .idempotency(Idempotency::Harmless)
            .described(provider_keys::put::describe),
        get("/api/v1/provider-keys", Administration, Problem, provider_keys::list::handle)
            .described(provider_keys::list::describe),
        post(
            "/api/v1/provider-keys/{instance}/remove",
            Administration,
            Problem,
            provider_keys::remove::handle,
        )
        .body(Media::None, 0)
        .idempotency(Idempotency::Harmless)
        .described(provider_keys::remove::describe),
        post("/api/v1/conversations", Status, Problem, conversations::create::handle)
            .described(conversations::create::describe),
        get("/api/v1/conversations", Status, Problem, conversations::list::handle)
            .described(conversations::list::describe),
        get("/api/v1/conversations/search", Status, Problem, conversations::search::handle)
            .described(conversations::search::describe),
        get("/api/v1/conversations/{id}", Status, Problem, conversations::get::handle)
            .described(conversations::get::describe),
        post("/api/v1/conversations/{id}", Status, Problem, conversations::change::handle)
            .idempotency(Idempotency::Harmless)
            .described(conversations::change::describe),
        delete("/api/v1/conversations/{id}", Status, Problem, conversations::remove::handle)
            .described(conversations::remove::describe),
        get("/api/v1/conversations/{id}/messages", Status, Problem, conversations::messages::handle)
            .described(conversations::messages::describe),
        post("/api/v1/conversations/{id}/messages", Chat, Problem, conversations::say::handle)
            .idempotency(Idempotency::Generates)
            .described(conversations::say::describe),
        post(
            "/api/v1/conversations/{id}/messages/{message}/regenerate",
            Chat,
            Problem,
            conversations::say::again,
        )
        .idempotency(Idempotency::Generates)
        .described(conversations::say::describe_again),
        post("/api/v1/links", Shares, Problem, links::create::handle).described(links::create::describe),
        get("/api/v1/links", Status, Problem, links::list::handle).described(links::list::describe),
        post("/api/v1/links/{id}/revoke", Shares, Problem, links::revoke::handle)
            .idempotency(Idempotency::Harmless)
            .body(Media::None, 0)
            .described(links::revoke::describe),
        // Links are counted by the link that is followed, once it is known to be one (`service::links`).
        get("/links/{token}", Shares, Problem, links::follow::handle)
            .access(Access::Public)
            .described(links::follow::describe),
        get("/links/{token}/thumbnail", Shares, Problem, links::rendition::thumbnail)
            .access(Access::Public)
            .described(links::rendition::describe),
        get("/shares/page.css", Shares, Problem, links::page::style)
            .access(Access::Public)
            .described(links::page::describe_style),
        get("/shares/{token}", Shares, Problem, links::page::handle)
            .access(Access::Public)
            .described(links::page::describe),
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
        post("/api/v1/usage/{id}/refund", Administration, Problem, usage::refund::handle)
            .access(ADMIN)
            .described(usage::refund::describe),
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
        get("/api/v1/users/{id}", Administration, Problem, users::get::handle)
            .access(ADMIN)
            .described(users::get::describe),
        delete("/api/v1/users/{id}", Administration, Problem, users::delete::handle)
            .access(ADMIN)
            .described(users::delete::describe),
        post("/api/v1/account/delete", Administration, Problem, users::delete::own)
            .body(Media::Json, CREDENTIALS)
            .access(OWN)
            .idempotency(Idempotency::Harmless)
            .described(users::delete::describe_own),
        get(export::OWN, Administration, Problem, export::own).access(OWN).described(export::describe_own),
        get(export::OF_USER, Administration, Problem, export::of_user)
            .access(ADMIN)
            .described(export::describe_of_user),
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
        post("/api/v1/users/{id}/password", Administration, Problem, auth::password::set)
            .body(Media::Json, CREDENTIALS)
            .access(ADMIN)
            .idempotency(Idempotency::Harmless)
            .described(auth::password::describe_set),
        post("/api/v1/users/{id}/sign-out", Administration, Problem, auth::everywhere::forced)
            .body(Media::None, 0)
            .access(ADMIN)
            .idempotency(Idempotency::Harmless)
            .described(auth::everywhere::describe_forced),
        // Those of nobody are counted by the address that they come from.
        post("/api/v1/auth/sign-in", SignIn, Problem, auth::sign_in::handle)
            .body(Media::Json, CREDENTIALS)
            .access(Access::Public)
            .idempotency(Idempotency::Harmless)
            .described(auth::sign_in::describe),
        post("/api/v1/auth/sign-up", SignIn, Problem, auth::sign_up::begin)
            .body(Media::Json, CREDENTIALS)
            .access(Access::Public)
            .idempotency(Idempotency::Harmless)
            .described(auth::sign_up::describe_begin),
        post("/api/v1/auth/sign-up/resend", SignIn, Problem, auth::sign_up::resend)
            .body(Media::Json, CREDENTIALS)
            .access(Access::Public)
            .idempotency(Idempotency::Harmless)
            .described(auth::sign_up::describe_resend),
        post("/api/v1/auth/sign-up/verify", SignIn, Problem, auth::sign_up::verify)
            .body(Media::Json, CREDENTIALS)
            .access(Access::Public)
            .idempotency(Idempotency::Harmless)
            .described(auth::sign_up::describe_verify),
        post("/api/v1/auth/password/forgot", SignIn, Problem, auth::forgotten::forgot)
            .body(Media::Json, CREDENTIALS)
            .access(Access::Public)
            .idempotency(Idempotency::Harmless)
            .described(auth::forgotten::describe_forgot),
        post("/api/v1/auth/password/reset", SignIn, Problem, auth::forgotten::reset)
            .body(Media::Json, CREDENTIALS)
            .access(Access::Public)
            .idempotency(Idempotency::Harmless)
            .described(auth::forgotten::describe_reset),
        post("/api/v1/auth/sign-out", Status, Problem, auth::sign_out::handle)
            .body(Media::None, 0)
            .access(OWN)
            .idempotency(Idempotency::Harmless)
            .described(auth::sign_out::describe),
        post("/api/v1/auth/sign-out-everywhere", Status, Problem, auth::everywhere::own)
            .body(Media::None, 0)
            .access(OWN)
            .idempotency(Idempotency::Harmless)
            .described(auth::everywhere::describe_own),
        post("/api/v1/auth/password", Administration, Problem, auth::password::change)
            .body(Media::Json, CREDENTIALS)
            .access(OWN)
            .idempotency(Idempotency::Harmless)
            .described(auth::password::describe_change),
        get("/api/v1/auth/session", Status, Problem, auth::session::handle)
            .described(auth::session::describe),
        get("/api/v1/auth/sessions", Status, Problem, auth::sessions::list)
            .described(auth::sessions::describe_list),
        post("/api/v1/auth/sessions/{id}/revoke", Status, Problem, auth::sessions::revoke)
            .body(Media::None, 0)
            .access(OWN)
            .idempotency(Idempotency::Harmless)
            .described(auth::sessions::describe_revoke),
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
