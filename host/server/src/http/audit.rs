//! `/api/v1/admin/audit`, and what of each request goes into the audit log.

pub(super) mod list;

use atelier_domain::account::{Principal, Scope, browser_key};
use atelier_domain::audit::{Actor, AuditKind};
use atelier_domain::failure::ProviderError;
use atelier_domain::id::UserId;
use atelier_service::ServiceError;
use atelier_service::audit::{Begun, Noted};
use http::Method;

use super::gate::{Call, Reply};
use super::route::{Access, Route};
use super::{ApiError, backup, export, idempotency};
use crate::app::App;

/// Where whoever has a key makes and revokes keys.
const KEYS: &str = "/api/v1/keys";
/// Where people change how they get in themselves.
const WAYS_IN: [&str; 3] =
    ["/api/v1/auth/password", "/api/v1/auth/sign-out-everywhere", "/api/v1/account/delete"];
/// Where they change in whose account they are served.
const PROVIDER_KEYS: [&str; 2] = ["/api/v1/provider-keys", "/api/v1/provider-keys/{instance}/remove"];

/// Where much leaves at once.
const COPIES: [&str; 3] = [backup::PATH, export::OWN, export::OF_USER];

/// Whether requests to a route are administration: what changes something under an administrator's scope, keys and other ways in, and
/// copies of everything.
pub(super) fn is_administration(route: &Route) -> bool {
    let changes = route.method != Method::GET;
    let is_administrators = matches!(route.access, Access::Key(Scope::Admin | Scope::PluginAdmin));
    let is_key =
        route.path == KEYS || route.path.strip_prefix(KEYS).is_some_and(|rest| rest.starts_with('/'));
    let is_own_key = PROVIDER_KEYS.contains(&route.path);
    (changes && (is_administrators || is_key || is_own_key || WAYS_IN.contains(&route.path)))
        || COPIES.contains(&route.path)
}

/// Handles a request that administers something: it is noted before it is done, and how it ended. Where its client leaves
/// before, the note stands as that of an action whose end is not known.
pub(super) async fn answer<H, F>(call: Call, handler: H) -> Result<Reply, ApiError>
where
    H: Fn(Call) -> F,
    F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
{
    let actor = call.caller.as_ref().map(|caller| actor(&caller.principal));
    let target = Some(call.parts.uri.path().to_owned());
    let noted = Noted { target, ..noted(&call.route, &call.request_id, actor) };
    let begun = call.app.audit.begin(noted).await?;
    let outcome = if idempotency::wants_key(&call) {
        idempotency::answer(call, handler).await
    } else {
        handler(call).await
    };
    ended(begun, outcome).await
}

/// Notes how it ended, and gives that back.
pub(super) async fn ended(begun: Begun, outcome: Result<Reply, ApiError>) -> Result<Reply, ApiError> {
    match &outcome {
        Ok(reply) => begun.end(reply.response.status().as_u16(), None).await,
        Err(error) => begun.end(error.status().as_u16(), Some(error.code())).await,
    }
    outcome
}

/// What is noted of a user who does what a token that was mailed to them allows: to be begun before it is done, and [`ended`].
pub(super) fn by_mail(call: &Call, user: UserId) -> Noted {
    noted(&call.route, &call.request_id, Some(Actor { user, key: browser_key(user) }))
}

/// Notes that a request was not let in, if it was for its key's, password's or page's sake. Gives the error back.
pub(super) fn refused(
    app: &App,
    route: &Route,
    request_id: &str,
    who: Option<&Principal>,
    error: ApiError,
) -> ApiError {
    let kind = match &error {
        ApiError::Service(
            ServiceError::KeyUnknown
            | ServiceError::KeyExpired
            | ServiceError::KeyRevoked
            | ServiceError::UserDisabled,
        ) => Some(AuditKind::KeyRefused),
        ApiError::Service(ServiceError::ScopeMissing(_)) => Some(AuditKind::ScopeRefused),
        ApiError::Service(ServiceError::SignInFailed | ServiceError::TooManyFailures { .. }) => {
            Some(AuditKind::SignInRefused)
        }
        ApiError::CrossSite { .. } => Some(AuditKind::CrossSiteRefused),
        _ => None,
    };
    if let Some(kind) = kind {
        let noted = noted(route, request_id, who.map(actor));
        app.audit.refused(kind, noted, error.status().as_u16(), error.code());
    }
    error
}

/// Notes that a prompt was not sent, if that is what its handler failed with.
pub(super) fn prompt_refused(
    app: &App,
    route: &Route,
    request_id: &str,
    who: Option<&Principal>,
    error: &ApiError,
) {
    if let ApiError::Service(ServiceError::Provider(ProviderError::PromptRefused { .. })) = error {
        let noted = noted(route, request_id, who.map(actor));
        app.audit.refused(AuditKind::PromptRefused, noted, error.status().as_u16(), error.code());
    }
}

/// Notes a callback that its provider has not signed.
pub(super) fn refused_callback(call: &Call) {
    let (noted, error) = (noted(&call.route, &call.request_id, None), ApiError::NoSuchRoute);
    call.app.audit.refused(AuditKind::CallbackRefused, noted, error.status().as_u16(), error.code());
}

fn noted(route: &Route, request_id: &str, actor: Option<Actor>) -> Noted {
    Noted {
        actor,
        action: format!("{} {}", route.method, route.path),
        target: None,
        request_id: request_id.to_owned(),
    }
}

fn actor(principal: &Principal) -> Actor {
    Actor { user: principal.user, key: principal.key }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::route;

    #[test]
    fn whatever_changes_something_for_others_is_administration() {
        let (noted, others): (Vec<_>, Vec<_>) = route::table().into_iter().partition(is_administration);
        for route in &others {
            let is_administrators = matches!(route.access, Access::Key(Scope::Admin | Scope::PluginAdmin));
            assert!(!is_administrators || route.method == Method::GET, "{} {}", route.method, route.path);
        }
        let is_noted = |path: &str| noted.iter().any(|route| route.path == path);
        assert!(WAYS_IN.iter().chain(&PROVIDER_KEYS).all(|path| is_noted(path)));
        for path in [KEYS, "/api/v1/keys/{id}/revoke", backup::PATH, "/api/v1/plugins", "/api/v1/credits"] {
            assert!(is_noted(path), "{path}");
        }
        assert!(!is_noted("/v1/chat/completions") && !is_noted("/v1/models"));
    }
}
