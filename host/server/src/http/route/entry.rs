//! How a row of the route table is written.

use std::sync::Arc;

use atelier_domain::account::Scope;
use atelier_service::limits::Class;
use axum::extract::{Request, State};
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;

use super::{Access, Media, Route, TEXT};
use crate::app::App;
use crate::http::deprecation::Deprecation;
use crate::http::idempotency::Idempotency;
use crate::http::openapi::Operation;
use crate::http::{ApiError, Call, Dialect, Reply, gate};

pub(super) type Mount = Box<dyn FnOnce(Arc<Route>) -> MethodRouter<Arc<App>> + Send>;

/// A row being written.
pub(super) struct Entry {
    pub route: Route,
    pub mount: Mount,
}

impl Entry {
    pub(super) fn access(mut self, access: Access) -> Self {
        self.route.access = access;
        if access == Access::Public {
            self.route.class = None;
        }
        self
    }
    pub(super) fn body(mut self, media: Media, body_max: usize) -> Self {
        (self.route.media, self.route.body_max) = (media, body_max);
        self
    }
    pub(super) fn idempotency(mut self, idempotency: Idempotency) -> Self {
        self.route.idempotency = idempotency;
        self
    }
    #[cfg_attr(not(test), expect(dead_code, reason = "no route is to go yet"))]
    pub(super) fn deprecated(mut self, deprecation: Deprecation) -> Self {
        self.route.deprecation = Some(deprecation);
        self
    }
    pub(super) fn described(mut self, operation: fn() -> Operation) -> Self {
        self.route.operation = Some(operation);
        self
    }
}

fn entry<H, F>(method: Method, path: &'static str, class: Class, dialect: Dialect, handler: H) -> Entry
where
    H: Fn(Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
{
    let (filter, scope, media, body_max) = match method {
        Method::GET => (MethodFilter::GET, Scope::Read, Media::None, TEXT),
        Method::DELETE => (MethodFilter::DELETE, Scope::Generate, Media::None, 0),
        _ => (MethodFilter::POST, Scope::Generate, Media::Json, TEXT),
    };
    let access = Access::Key(scope);
    // Whatever changes something takes keys, unless its row says otherwise.
    let idempotency = if method == Method::POST { Idempotency::Creates } else { Idempotency::Harmless };
    let route = Route {
        method,
        path,
        class: Some(class),
        access,
        dialect,
        media,
        body_max,
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

pub(super) fn get<H, F>(path: &'static str, class: Class, dialect: Dialect, handler: H) -> Entry
where
    H: Fn(Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
{
    entry(Method::GET, path, class, dialect, handler)
}

pub(super) fn post<H, F>(path: &'static str, class: Class, dialect: Dialect, handler: H) -> Entry
where
    H: Fn(Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
{
    entry(Method::POST, path, class, dialect, handler)
}

pub(super) fn delete<H, F>(path: &'static str, class: Class, dialect: Dialect, handler: H) -> Entry
where
    H: Fn(Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
{
    entry(Method::DELETE, path, class, dialect, handler)
}
