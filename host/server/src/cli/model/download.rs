//! Fetching a file of an operator's own model: resumed where an attempt broke off, and kept only if it has its hash.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use atelier_domain::plugin::SecretValue;
use atelier_inference::FetchError;
use atelier_inference::weights::PulledFile;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE, USER_AGENT};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use url::{Host, Url};

use super::super::reach::{self, Client};
use crate::config::Remote;

const REDIRECTS_MAX: usize = 10;
/// Attempts in a row that bring nothing.
const ATTEMPTS_MAX: u32 = 5;
/// For an answer's head, and for each piece of its body.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);
/// No file is larger, whatever a server says or sends.
const BYTES_MAX: u64 = 1 << 41;

/// Told of bytes that are here, of how many if that is known.
pub(super) type Tell<'t> = &'t mut (dyn FnMut(u64, Option<u64>) + Send);

/// Why an attempt ended.
enum Failed {
    /// Another may bring more.
    Passing(anyhow::Error),
    Final(anyhow::Error),
}

/// Fetches a file and keeps it.
///
/// # Errors
/// It cannot be fetched, or has another hash than it should: then nothing of it is left.
pub(super) async fn keep(
    remote: &Remote,
    file: &PulledFile,
    cache_dir: &Path,
    token: Option<&SecretValue>,
    tell: Tell<'_>,
) -> anyhow::Result<()> {
    let client = reach::outside()?;
    let url = remote.base.join(&file.name).with_context(|| format!("the address of {}", file.name))?;
    let token = token.filter(|_| remote.is_hub);
    let partial = remote.files.partial(file, cache_dir)?;
    let mut out = File::options().read(true).write(true).create(true).truncate(false).open(&partial)?;
    out.try_lock().map_err(|_| anyhow::anyhow!("another process fetches {}", partial.display()))?;
    let was_begun = out.metadata()?.len() > 0;
    fetch(&client, &url, token, &mut out, tell).await.with_context(|| format!("fetching {url}"))?;
    let kept = kept(remote, file, cache_dir).await;
    // What was here before may have been of another file: once more, from its beginning.
    if was_begun && matches!(kept, Err(FetchError::WrongHash { .. })) {
        let mut out = File::create(remote.files.partial(file, cache_dir)?)?;
        fetch(&client, &url, token, &mut out, tell).await.with_context(|| format!("fetching {url}"))?;
        return Ok(self::kept(remote, file, cache_dir).await?);
    }
    Ok(kept?)
}

/// Off the async threads: it is read through.
async fn kept(remote: &Remote, file: &PulledFile, cache_dir: &Path) -> Result<(), FetchError> {
    let (files, file, cache_dir) = (remote.files.clone(), file.clone(), cache_dir.to_owned());
    let kept = tokio::task::spawn_blocking(move || files.keep(&file, &cache_dir)).await;
    kept.unwrap_or_else(|stopped| std::panic::resume_unwind(stopped.into_panic()))
}

/// Appends to `out` what is missing, in as many attempts as bring something.
async fn fetch(
    client: &Client<Empty<Bytes>>,
    url: &Url,
    token: Option<&SecretValue>,
    out: &mut File,
    tell: Tell<'_>,
) -> anyhow::Result<()> {
    let mut fruitless = 0;
    loop {
        let before = out.seek(SeekFrom::End(0))?;
        let failed = match attempt(client, url, token, out, before, &mut *tell).await {
            Ok(()) => return Ok(()),
            Err(Failed::Final(error)) => return Err(error),
            Err(Failed::Passing(error)) => error,
        };
        fruitless = if out.metadata()?.len() > before { 0 } else { fruitless + 1 };
        if fruitless >= ATTEMPTS_MAX {
            return Err(failed.context(format!("{ATTEMPTS_MAX} attempts brought nothing; try again later")));
        }
        tokio::time::sleep(PAUSE * 2u32.pow(fruitless)).await;
    }
}

async fn attempt(
    client: &Client<Empty<Bytes>>,
    url: &Url,
    token: Option<&SecretValue>,
    out: &mut File,
    before: u64,
    tell: Tell<'_>,
) -> Result<(), Failed> {
    let response = ask(client, url, token, before).await?;
    let status = response.status();
    let mut here = match status {
        StatusCode::PARTIAL_CONTENT if begin_of(response.headers()) == Some(before) => before,
        StatusCode::OK => 0,
        // There is nothing behind what is here.
        StatusCode::RANGE_NOT_SATISFIABLE if before > 0 => return Ok(()),
        status => return Err(refused(status, url)),
    };
    let length =
        response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let all = length.map(|length| length.saturating_add(here));
    if all.is_some_and(|all| all > BYTES_MAX) {
        return Err(Failed::Final(too_large()));
    }
    let disk = |error: std::io::Error| Failed::Final(anyhow::Error::from(error).context("writing the file"));
    out.set_len(here).and_then(|()| out.seek(SeekFrom::Start(here))).map_err(disk)?;
    let mut body = response.into_body();
    loop {
        let frame = tokio::time::timeout(PATIENCE, body.frame()).await;
        let frame = frame.map_err(|_| Failed::Passing(silence()))?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| Failed::Passing(error.into()))?;
        let Ok(data) = frame.into_data() else { continue };
        here = here.saturating_add(data.len() as u64);
        if here > BYTES_MAX {
            return Err(Failed::Final(too_large()));
        }
        out.write_all(&data).map_err(disk)?;
        tell(here, all);
    }
    if all.is_some_and(|all| here < all) {
        return Err(Failed::Passing(anyhow::anyhow!("it broke off after {here} bytes")));
    }
    Ok(())
}

/// Asks for what is behind `begin`, wherever the file really lies. The token goes to its own server, and over TLS unless that is this machine.
async fn ask(
    client: &Client<Empty<Bytes>>,
    url: &Url,
    token: Option<&SecretValue>,
    begin: u64,
) -> Result<Response<Incoming>, Failed> {
    let mut at = url.clone();
    for _ in 0..=REDIRECTS_MAX {
        let request = request(url, &at, token, begin).map_err(Failed::Final)?;
        let response = tokio::time::timeout(PATIENCE, client.request(request)).await;
        let response = response.map_err(|_| Failed::Passing(silence()))?;
        let response = response.map_err(|error| {
            Failed::Passing(
                anyhow::Error::from(error).context(format!("asking {}", at.host_str().unwrap_or_default())),
            )
        })?;
        if !response.status().is_redirection() {
            return Ok(response);
        }
        at = next(&at, response.headers()).map_err(Failed::Final)?;
    }
    Err(Failed::Final(anyhow::anyhow!("it is redirected more than {REDIRECTS_MAX} times")))
}

fn request(
    first: &Url,
    at: &Url,
    token: Option<&SecretValue>,
    begin: u64,
) -> anyhow::Result<Request<Empty<Bytes>>> {
    let mut request =
        Request::get(at.as_str()).header(USER_AGENT, concat!("atelier/", env!("CARGO_PKG_VERSION")));
    if begin > 0 {
        request = request.header(RANGE, format!("bytes={begin}-"));
    }
    let may_be_told = at.origin() == first.origin() && (at.scheme() == "https" || is_here(at));
    if let Some(token) = token.filter(|_| may_be_told) {
        request = request.header(AUTHORIZATION, format!("Bearer {}", token.reveal()));
    }
    Ok(request.body(Empty::new())?)
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn next(at: &Url, headers: &HeaderMap) -> anyhow::Result<Url> {
    let location = headers.get(LOCATION).context("it is redirected to nowhere")?;
    let next = at.join(location.to_str().context("it is redirected to no address")?)?;
    let is_good = next.scheme() == "https" || (next.scheme() == "http" && at.scheme() == "http");
    ensure!(is_good, "it is redirected from {} to {}", at.scheme(), next.scheme());
    Ok(next)
}

/// `bytes BEGIN-END/ALL` (RFC 9110 §14.4).
fn begin_of(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.parse().ok()
}

fn refused(status: StatusCode, url: &Url) -> Failed {
    let told = |what: &str| anyhow::anyhow!("{} answered {status}{what}", url.host_str().unwrap_or_default());
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failed::Final(told(
            ": it may want a token, [local] hub_token, or its terms to be accepted on its page",
        )),
        StatusCode::NOT_FOUND => {
            Failed::Final(told(": look at the repository's, revision's and file's names"))
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Failed::Passing(told(""))
        }
        _ => Failed::Final(told("")),
    }
}

fn silence() -> anyhow::Error {
    anyhow::anyhow!("the server says nothing for {} s", PATIENCE.as_secs())
}

fn too_large() -> anyhow::Error {
    anyhow::anyhow!("it has more than {BYTES_MAX} bytes, which no model has")
}
