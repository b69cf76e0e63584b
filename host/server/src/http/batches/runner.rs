//! A line of a batch, handled by the very handler of its endpoint.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use atelier_domain::batch::BatchEndpoint;
use atelier_service::ServiceError;
use atelier_service::batches::{LineAnswer, LineRunner};
use atelier_service::caller::Caller;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::FutureExt;
use http::Request;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http_body_util::BodyExt;

use crate::app::App;
use crate::http::route::{Route, table};
use crate::http::{
    ApiError, Call, Dialect, Reply, audit, chat_completions, embeddings, images, moderations, responses,
};

/// Hands requests of batches to their endpoints' handlers. They pass no gate: their batch did, and each has its key's rights looked at.
#[derive(Debug)]
pub struct Runner {
    app: Arc<App>,
    routes: Vec<(BatchEndpoint, Arc<Route>)>,
}

impl Runner {
    /// For an app's routes.
    pub fn new(app: Arc<App>) -> Self {
        let routes = table().into_iter().filter_map(|route| {
            let endpoint = route.path.parse().ok().filter(|_| route.method == http::Method::POST)?;
            Some((endpoint, Arc::new(route)))
        });
        Self { routes: routes.collect(), app }
    }

    async fn reply(
        &self,
        caller: Caller,
        endpoint: BatchEndpoint,
        body: Bytes,
    ) -> Result<Response, ApiError> {
        let route = self.routes.iter().find(|(known, _)| *known == endpoint).map(|(_, route)| route.clone());
        let route = route.ok_or(ApiError::NoSuchRoute)?;
        let request = Request::post(route.path)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(())
            .map_err(|error| ApiError::bug(error.to_string()))?;
        let (parts, ()) = request.into_parts();
        let (request_id, who) = (caller.request_id.clone(), caller.principal.clone());
        let (app, caller, body) = (self.app.clone(), Some(caller), Body::from(body));
        let deadline = Instant::now() + self.app.config.server.request_max;
        let call =
            Call { app, caller, route: route.clone(), request_id: request_id.clone(), parts, body, deadline };
        let handling = match endpoint {
            BatchEndpoint::ChatCompletions => chat_completions::create(call).boxed(),
            BatchEndpoint::Responses => responses::create(call).boxed(),
            BatchEndpoint::Embeddings => embeddings::create(call).boxed(),
            BatchEndpoint::Moderations => moderations::create(call).boxed(),
            BatchEndpoint::Images => images::generations::create(call).boxed(),
        };
        let handled = tokio::time::timeout_at(deadline.into(), handling).await;
        let handled = handled.map_err(|_| ApiError::TimedOut)?.inspect_err(|error| {
            audit::prompt_refused(&self.app, &route, &request_id, Some(&who), error);
        });
        let Reply { response, is_stream, .. } = handled?;
        match is_stream {
            false => Ok(response),
            true => Err(ApiError::invalid("stream", "an answer in a file is no stream: leave it out")),
        }
    }
}

#[async_trait]
impl LineRunner for Runner {
    async fn run(&self, caller: Caller, endpoint: BatchEndpoint, body: Bytes) -> LineAnswer {
        let request_id = caller.request_id.clone();
        let (user, key) = (caller.principal.user, caller.principal.key);
        let response = match self.reply(caller, endpoint, body).await {
            Ok(response) => response,
            Err(error) => told(&error, &request_id),
        };
        let answer = read(response).await;
        tracing::info!(request_id = &*request_id, %user, %key, %endpoint, status = answer.status, "a request of a batch");
        answer
    }

    fn refused(&self, error: ServiceError, request_id: &str) -> LineAnswer {
        let response = told(&error.into(), request_id);
        // An error's body lies in memory.
        read(response).now_or_never().unwrap_or(LineAnswer {
            status: 500,
            body: Vec::new(),
            retry_after: None,
        })
    }
}

fn told(error: &ApiError, request_id: &str) -> Response {
    if let Some(detail) = error.internal_detail() {
        error.log(request_id, "a request of a batch failed", &detail);
    }
    error.respond(Dialect::OpenAi, request_id)
}

async fn read(response: Response) -> LineAnswer {
    let (parts, body) = response.into_parts();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    // What clients go by as well.
    let helps = header("x-should-retry") == Some("true") && matches!(parts.status.as_u16(), 429 | 503);
    let seconds = header(RETRY_AFTER.as_str()).and_then(|text| text.parse().ok()).unwrap_or(0);
    let retry_after = helps.then(|| Duration::from_secs(seconds));
    match body.collect().await {
        Ok(whole) => LineAnswer { status: parts.status.as_u16(), body: whole.to_bytes().into(), retry_after },
        Err(error) => {
            tracing::error!(%error, "an answer to a request of a batch broke off");
            LineAnswer { status: 500, body: Vec::new(), retry_after: None }
        }
    }
}
