//! Attacks on the way out.

use atelier_plugin_sdk::http::Request;
use atelier_plugin_sdk::{CallContext, Failure};

fn url(context: &CallContext, path: &str) -> String {
    format!("{}{path}", context.base_url)
}

/// Holds every answer open.
pub fn open_requests(context: &CallContext, path: &str) -> Result<(), Failure> {
    let mut held = Vec::new();
    loop {
        held.push(Request::get(url(context, path)).send()?);
    }
}

/// One request after the other, without end.
pub fn many_requests(context: &CallContext, path: &str) -> Result<(), Failure> {
    loop {
        Request::get(url(context, path)).send()?.bytes(1 << 16)?;
    }
}

/// Reads for as long as something comes, and keeps nothing.
pub fn read_everything(context: &CallContext, path: &str) -> Result<(), Failure> {
    let body = Request::get(url(context, path)).send()?.into_body();
    let mut total = 0;
    while let Some(bytes) = body.read(64 * 1024)? {
        total += bytes.len();
    }
    Err(Failure::bad_response(format!("it got all {total} bytes")))
}

/// Goes where it was told.
pub fn visit(url: &str) -> Result<(), Failure> {
    let status = Request::get(url).send()?.status;
    Err(Failure::bad_response(format!("it got through: {status}")))
}

/// Follows a redirect by hand.
pub fn follow_redirect(context: &CallContext, path: &str) -> Result<(), Failure> {
    let response = Request::get(url(context, path)).send()?;
    let location = response.header("location").ok_or_else(|| Failure::bad_response("no redirect"))?;
    visit(location)
}

/// Sends a header of its own choosing, `name=value`.
pub fn header(context: &CallContext, pair: &str) -> Result<(), Failure> {
    let (name, value) = pair.split_once('=').ok_or_else(|| Failure::invalid("messages", "name=value"))?;
    let status = Request::get(url(context, "/")).header(name, value).send()?.status;
    Err(Failure::bad_response(format!("it got through: {status}")))
}
