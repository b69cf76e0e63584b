//! The running server's own API, for the command line.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use atelier_domain::account::{Role, Scope};
use atelier_domain::id::KeyId;
use atelier_domain::money::{BudgetLimits, MicroCredits};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{BalanceRow, BudgetRow, KeyRow, UserRow};
use crate::cli::backup::Shown;
use crate::cli::reach::{self, Client};
use crate::config::Config;
use crate::http::host::HostName;

const PATIENCE: Duration = Duration::from_secs(15);
/// Between two pieces of an answer.
const PIECE_PATIENCE: Duration = Duration::from_secs(60);
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// A server that answers.
pub(in crate::cli) struct Server {
    address: SocketAddr,
    scheme: &'static str,
    /// A name that it answers to.
    host: String,
    key: String,
    client: Client<Full<Bytes>>,
}

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct NewKey {
    id: String,
    secret: String,
}

impl Server {
    fn new(config: &Config, key: String) -> anyhow::Result<Self> {
        let (address, transport) = (config.server.listen, &config.server.transport);
        let host = config.server.hosts.first().map_or_else(|| address.to_string(), HostName::written);
        Ok(Self { address, scheme: transport.scheme(), host, key, client: reach::client(transport)? })
    }

    /// The server's, if it answers at the configured address: it holds the store then.
    ///
    /// # Errors
    /// It answers, and there is no key to ask it with.
    pub(in crate::cli) async fn at_work(config: &Config) -> anyhow::Result<Option<Self>> {
        let address = config.server.listen;
        if tokio::net::TcpStream::connect(address).await.is_err() {
            return Ok(None);
        }
        match std::env::var("ATELIER_KEY") {
            Ok(key) if !key.is_empty() => Ok(Some(Self::new(config, key)?)),
            _ => bail!(
                "the server runs at {address} and holds the store: set ATELIER_KEY to an administrator's key so that \
                 this command asks the server, or stop the server first"
            ),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Bytes> {
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        self.send(method, path, "application/json", body, PATIENCE).await
    }

    /// Sends a body of any kind, and waits for `patience` at most.
    ///
    /// # Errors
    /// The server does not answer in time, or refuses: the text is its reason.
    pub(in crate::cli) async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Bytes,
        patience: Duration,
    ) -> anyhow::Result<Bytes> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}://{}{path}", self.scheme, self.address))
            .header(HOST, &self.host)
            .header(AUTHORIZATION, format!("Bearer {}", self.key))
            .header(CONTENT_TYPE, content_type)
            .body(Full::new(body))?;
        let exchange = async {
            let response = self.client.request(request).await?;
            let status = response.status();
            let read = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = read.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
            anyhow::Ok((status, body))
        };
        let (status, body) = tokio::time::timeout(patience, exchange).await.with_context(|| {
            format!("the server at {} did not answer in {} s", self.address, patience.as_secs())
        })??;
        if status.is_success() {
            return Ok(body);
        }
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        bail!("the server refused: {}", told["detail"].as_str().unwrap_or("it gave no reason"))
    }

    /// Writes an answer of any size to a file; `told` is given the bytes so far. Waits for each piece for as long as for an answer.
    ///
    /// # Errors
    /// The server refuses, stops in the middle, or the file cannot be written.
    pub(in crate::cli) async fn download(
        &self,
        path: &str,
        mut out: &File,
        told: &mut dyn FnMut(u64),
    ) -> anyhow::Result<()> {
        let request = Request::builder()
            .uri(format!("{}://{}{path}", self.scheme, self.address))
            .header(HOST, &self.host)
            .header(AUTHORIZATION, format!("Bearer {}", self.key))
            .body(Full::default())?;
        let late =
            || format!("the server at {} says nothing for {} s", self.address, PIECE_PATIENCE.as_secs());
        let response = tokio::time::timeout(PIECE_PATIENCE, self.client.request(request)).await;
        let response = response.with_context(late)??;
        let status = response.status();
        let mut body = response.into_body();
        if !status.is_success() {
            let read = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let told: Value =
                read.ok().and_then(|body| serde_json::from_slice(&body.to_bytes()).ok()).unwrap_or_default();
            bail!("the server refused: {}", told["detail"].as_str().unwrap_or("it gave no reason"))
        }
        let mut bytes = 0;
        loop {
            let frame = tokio::time::timeout(PIECE_PATIENCE, body.frame()).await.with_context(late)?;
            let Some(frame) = frame else { return Ok(()) };
            let frame = frame.context("the server broke off: its log says why")?;
            let Ok(piece) = frame.into_data() else { continue };
            // The disk is the only thing that this command waits for meanwhile.
            out.write_all(&piece)?;
            bytes += piece.len() as u64;
            told(bytes);
        }
    }

    pub(in crate::cli) async fn ask_for<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<T> {
        let bytes = self.ask(method, path, body).await?;
        serde_json::from_slice(&bytes).context("the server's answer is not what this version expects")
    }

    async fn all<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Vec<T>> {
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let page: Page<T> = self.ask_for(Method::GET, &format!("{path}{after}"), None).await?;
            all.extend(page.data);
            match page.next {
                Some(next) => after = format!("{}after={next}", if path.contains('?') { "&" } else { "?" }),
                None => return Ok(all),
            }
        }
    }

    pub(super) async fn create_user(&self, name: &str, role: Role) -> anyhow::Result<UserRow> {
        let role = if role == Role::Administrator { "administrator" } else { "user" };
        self.ask_for(Method::POST, "/api/v1/users", Some(json!({"name": name, "role": role}))).await
    }

    pub(super) async fn users(&self) -> anyhow::Result<Vec<UserRow>> {
        self.all("/api/v1/users").await
    }

    pub(super) async fn set_disabled(&self, name: &str, disabled: bool) -> anyhow::Result<()> {
        let verb = if disabled { "disable" } else { "enable" };
        self.change_user(name, verb, None).await
    }

    pub(super) async fn set_password(&self, name: &str, password: &str) -> anyhow::Result<()> {
        self.change_user(name, "password", Some(json!({"password": password}))).await
    }

    pub(super) async fn sign_out(&self, name: &str) -> anyhow::Result<()> {
        self.change_user(name, "sign-out", None).await
    }

    pub(super) async fn delete_user(&self, name: &str) -> anyhow::Result<()> {
        let user = self.user(name).await?;
        self.ask(Method::DELETE, &format!("/api/v1/users/{}", user.id), None).await.map(|_| ())
    }

    /// Writes what a user has to a file; gives how many bytes it is.
    pub(super) async fn export_user(&self, name: &str, file: &File) -> anyhow::Result<u64> {
        let user = self.user(name).await?;
        let (mut bytes, mut shown) = (0, Shown::new());
        let path = format!("/api/v1/users/{}/export", user.id);
        self.download(&path, file, &mut |so_far| {
            bytes = so_far;
            shown.bytes(so_far);
        })
        .await?;
        Ok(bytes)
    }

    async fn change_user(&self, name: &str, verb: &str, body: Option<Value>) -> anyhow::Result<()> {
        let user = self.user(name).await?;
        self.ask(Method::POST, &format!("/api/v1/users/{}/{verb}", user.id), body).await.map(|_| ())
    }

    async fn user(&self, name: &str) -> anyhow::Result<UserRow> {
        let users = self.users().await?;
        let mut named = users.into_iter().filter(|user| !name.is_empty() && user.name == name);
        named.next().with_context(|| format!("there is no user {name:?}"))
    }

    pub(super) async fn create_key(
        &self,
        user: &str,
        name: &str,
        scopes: &[Scope],
        days: Option<u64>,
    ) -> anyhow::Result<(String, String)> {
        let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
        let body = json!({"user": user, "name": name, "scopes": scopes, "expires_in_days": days});
        let made: NewKey = self.ask_for(Method::POST, "/api/v1/keys", Some(body)).await?;
        Ok((made.id, made.secret))
    }

    pub(super) async fn keys(&self, user: &str) -> anyhow::Result<Vec<KeyRow>> {
        self.all(&format!("/api/v1/keys?user={}", encoded(user))).await
    }

    pub(super) async fn grant(
        &self,
        user: &str,
        amount: MicroCredits,
        reason: &str,
    ) -> anyhow::Result<BalanceRow> {
        let body = json!({"user": user, "amount": amount, "reason": reason});
        self.ask_for(Method::POST, "/api/v1/credits", Some(body)).await
    }

    pub(super) async fn balance(&self, user: &str) -> anyhow::Result<BalanceRow> {
        self.ask_for(Method::GET, &format!("/api/v1/credits?user={}", encoded(user)), None).await
    }

    pub(super) async fn set_budget(
        &self,
        user: &str,
        key: Option<KeyId>,
        limits: BudgetLimits,
    ) -> anyhow::Result<BudgetRow> {
        let body = json!({"user": user, "key": key, "day": limits.day, "month": limits.month});
        self.ask_for(Method::POST, "/api/v1/budgets", Some(body)).await
    }

    pub(super) async fn budget(&self, user: &str, key: Option<KeyId>) -> anyhow::Result<BudgetRow> {
        let key = key.map(|key| format!("&key={key}")).unwrap_or_default();
        self.ask_for(Method::GET, &format!("/api/v1/budgets?user={}{key}", encoded(user)), None).await
    }

    pub(super) async fn revoke_key(&self, user: &str, id: KeyId) -> anyhow::Result<()> {
        let path = format!("/api/v1/keys/{id}/revoke?user={}", encoded(user));
        self.ask(Method::POST, &path, None).await.map(|_| ())
    }
}

/// Percent-encoding (RFC 3986 §2.1) of a value in a query.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}
