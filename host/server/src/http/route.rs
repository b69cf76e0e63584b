//! The route table: each route with its class, access, body and error shape. A route that is not here does not exist,
//! and one that is cannot be without a limit and a scope.

mod compatible;
mod entry;
mod own;

use std::sync::Arc;

use atelier_domain::account::Scope;
use atelier_service::limits::Class;
use axum::Router;
use http::Method;

use super::deprecation::Deprecation;
use super::idempotency::Idempotency;
use super::openapi::Operation;
use super::{Dialect, cross_origin, gate, proxied};
use crate::app::App;
use entry::Entry;

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

/// A hundred templates at once.
const TEMPLATES: usize = 8 * MIB;
/// A file to keep, and what surrounds it in a form: the most that OpenAI's batches have, and videos (E-3).
const FILE: usize = 200 * MIB;

/// Names, passwords and tokens.
const CREDENTIALS: usize = 16 * KIB;

/// As many secrets as a key may have, escaped.
const PROVIDER_KEYS: usize = 512 * KIB;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// A key with the scope.
    Key(Scope),
}

const ADMIN: Access = Access::Key(Scope::Admin);
/// One's own keys and sessions.
const OWN: Access = Access::Key(Scope::Read);
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
    /// Either, as its content type says.
    JsonOrForm,
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

fn entries() -> Vec<Entry> {
    compatible::entries().into_iter().chain(own::entries()).collect()
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
    let outside = app.clone();
    let mut router = Router::new();
    for (index, Entry { route, mount }) in entries.into_iter().enumerate() {
        let path = route.path;
        router = router.route(path, mount(Arc::new(Route { index, ..route })));
    }
    let router = router.fallback(gate::not_found).method_not_allowed_fallback(gate::method_not_allowed);
    cross_origin::shared(proxied::behind(router.with_state(app), &outside), &outside)
}

#[cfg(test)]
mod tests;
