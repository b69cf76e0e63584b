//! A session as its owner sees it.

use std::time::Duration;

use atelier_domain::account::Role;
use atelier_domain::account::session::Session;
use atelier_domain::account::token::Token;
use atelier_service::accounts::SignedIn;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::app::App;
use crate::http::openapi::{id, words};
use crate::http::{ApiError, Reply, answer, browser};

/// Who is signed in, and what their page needs to know.
#[derive(Serialize, ToSchema)]
#[schema(as = CurrentSession)]
pub(super) struct CurrentView {
    #[schema(schema_with = id)]
    id: String,
    #[schema(schema_with = id)]
    user: String,
    /// The user's.
    name: String,
    #[schema(inline, value_type = RoleWord)]
    role: &'static str,
    /// What the session may do.
    #[schema(inline, value_type = Vec<ScopeWord>)]
    scopes: Vec<&'static str>,
    /// To be sent in `x-csrf-token` with whatever changes something.
    csrf_token: String,
    /// The session ends then, however often it is used.
    #[schema(format = DateTime)]
    expires: String,
    /// And before, if it is not used for so many seconds.
    idle_seconds: u64,
}

words! {
    RoleWord: "user" | "administrator";
    ScopeWord: "read" | "generate" | "admin" | "plugin-admin";
}

impl CurrentView {
    pub(super) fn new(
        app: &App,
        user: &atelier_domain::account::User,
        session: &Session,
        token: &Token,
    ) -> Self {
        let role = app.accounts.role_of(user);
        Self {
            id: session.id.to_string(),
            user: user.id.to_string(),
            name: user.name.clone(),
            role: match role {
                Role::User => "user",
                Role::Administrator => "administrator",
            },
            scopes: role.scopes().iter().map(|scope| scope.as_str()).collect(),
            csrf_token: token.csrf().text(),
            expires: session.expires.rfc3339(),
            idle_seconds: app.accounts.session_times().0.as_secs(),
        }
    }
}

/// The answer that begins a session.
pub(super) fn begun(app: &App, made: &SignedIn) -> Result<Reply, ApiError> {
    let mut reply = answer::json(&CurrentView::new(app, &made.user, &made.session, &made.token))?;
    let lasts = Duration::from_millis(made.session.expires.0.saturating_sub(made.session.created.0));
    browser::set(&app.config.server, &mut reply.response, Some((&made.token, lasts.as_secs())));
    Ok(reply)
}

/// A session among others.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(in crate::http) struct SessionView<'a> {
    #[schema(schema_with = id)]
    id: String,
    #[schema(format = DateTime)]
    created: String,
    /// To the minute.
    #[schema(format = DateTime)]
    last_used: String,
    #[schema(format = DateTime)]
    expires: String,
    /// What the browser called itself.
    agent: &'a str,
    /// It is the one that asks.
    current: bool,
}

impl<'a> SessionView<'a> {
    pub(in crate::http) fn new(session: &'a Session, current: bool) -> Self {
        Self {
            id: session.id.to_string(),
            created: session.created.rfc3339(),
            last_used: session.last_used.rfc3339(),
            expires: session.expires.rfc3339(),
            agent: &session.agent,
            current,
        }
    }
}

/// The session that asks, for the reference.
pub(super) fn current_sample() -> Value {
    json!({"id": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", "user": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60719", "name": "ada",
        "role": "user", "scopes": ["read", "generate"], "csrf_token": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
        "expires": "2026-12-22T00:00:00.000Z", "idle_seconds": 86400})
}

/// A session among others, for the reference.
pub(super) fn sample() -> Value {
    json!({"id": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", "created": "2026-11-22T00:00:00.000Z",
        "last_used": "2026-11-22T09:30:00.000Z", "expires": "2026-12-22T00:00:00.000Z", "agent": "Mozilla/5.0 (X11)",
        "current": true})
}
