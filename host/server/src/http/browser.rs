//! What browsers send by themselves: the session's cookie, and where a request comes from. A cookie alone proves nothing about who meant
//! a request, so that whatever changes something needs more (OWASP, Cross-Site Request Forgery Prevention).

use std::net::{IpAddr, Ipv4Addr};

use atelier_domain::account::token::Token;
use axum::response::Response;
use http::header::{COOKIE, HOST, HeaderName, HeaderValue, ORIGIN, SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{Extensions, HeaderMap, Method};

use super::ApiError;
use crate::config::Server;
use crate::listener::Peer;

/// A browser keeps it only if it came over TLS, for this host alone and for all of its paths (RFC 6265bis §4.1.3.2).
const SECURE_COOKIE: &str = "__Host-atelier";
/// Where there is no TLS, on this machine alone.
const LOOPBACK_COOKIE: &str = "atelier-session";
/// Beside the cookie of a request that changes something.
pub(super) const X_CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The address that a request came from.
pub(super) fn address(extensions: &Extensions) -> IpAddr {
    // Without one there is no connection either: a test that calls the router itself.
    extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0)
}

/// What a browser calls itself.
pub(super) fn agent(headers: &HeaderMap) -> &str {
    headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether browsers reach this server over TLS, as far as it knows: the cookie is then never sent without.
fn is_secure(server: &Server) -> bool {
    let is_public = server.public_url.as_ref().is_some_and(|url| url.starts_with("https://"));
    is_public || server.transport.scheme() == "https" || !server.listen.ip().to_canonical().is_loopback()
}

fn cookie_name(server: &Server) -> &'static str {
    if is_secure(server) { SECURE_COOKIE } else { LOOPBACK_COOKIE }
}

/// The session's token among a request's cookies. Two of one name are none: one of them was put there by somebody else.
pub(super) fn token(server: &Server, headers: &HeaderMap) -> Option<Token> {
    let name = cookie_name(server);
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut values = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter_map(|(key, value)| (key == name).then_some(value));
    match (values.next(), values.next()) {
        (Some(value), None) => Token::read(value),
        _ => None,
    }
}

/// Gives the browser its session; without one, takes it back.
pub(super) fn set(server: &Server, response: &mut Response, session: Option<(&Token, u64)>) {
    let (value, seconds) = session.map_or(("", 0), |(token, seconds)| (token.reveal(), seconds));
    let secure = if is_secure(server) { "; Secure" } else { "" };
    let name = cookie_name(server);
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// Refuses a request that changes something and was not meant by the session's own page.
pub(super) fn check_meant(server: &Server, parts: &Parts, token: &Token) -> Result<(), ApiError> {
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let is_told = check_origin(server, parts)?;
    if !is_told {
        return Err(ApiError::CrossSite { why: "it has neither `origin` nor `sec-fetch-site`" });
    }
    let mut sent = parts.headers.get_all(&X_CSRF_TOKEN).iter();
    match (sent.next().and_then(|value| value.to_str().ok()), sent.next()) {
        (Some(text), None) if token.csrf().is(text) => Ok(()),
        _ => Err(ApiError::CrossSite { why: "send the session's `csrf_token` in the header `x-csrf-token`" }),
    }
}

/// Refuses what a browser says is of another site; whether it says anything.
pub(super) fn check_origin(server: &Server, parts: &Parts) -> Result<bool, ApiError> {
    let site = parts.headers.get(&SEC_FETCH_SITE);
    if site.is_some_and(|site| site != "same-origin") {
        return Err(ApiError::CrossSite { why: "`sec-fetch-site` is not `same-origin`" });
    }
    let origin = parts.headers.get(ORIGIN);
    if let Some(origin) = origin
        && !origin.to_str().is_ok_and(|origin| is_ours(server, parts, origin))
    {
        return Err(ApiError::CrossSite { why: "`origin` is another" });
    }
    Ok(site.is_some() || origin.is_some())
}

/// Whether an origin (RFC 6454) is the one at which this server is reached.
fn is_ours(server: &Server, parts: &Parts, origin: &str) -> bool {
    if let Some(public) = &server.public_url {
        let of = |url: &str| url::Url::parse(url).ok().map(|url| url.origin());
        return of(origin).is_some_and(|origin| origin.is_tuple() && Some(origin) == of(public));
    }
    let host = parts.uri.authority().map(|authority| authority.as_str());
    let host = host.or_else(|| parts.headers.get(HOST)?.to_str().ok());
    let scheme = if is_secure(server) { "https://" } else { "http://" };
    let named = origin.strip_prefix(scheme).unwrap_or_default();
    !named.is_empty() && host.is_some_and(|host| host.eq_ignore_ascii_case(named))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::config::Config;

    fn server(change: impl FnOnce(&mut Server)) -> Server {
        let mut server = Config::shipped().expect("ours").server;
        change(&mut server);
        server
    }

    fn parts(method: Method, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri("/api/v1/keys");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    fn cookie_of(server: &Server, token: Option<(&Token, u64)>) -> String {
        let mut response = Response::default();
        set(server, &mut response, token);
        response.headers()[SET_COOKIE].to_str().expect("text").to_owned()
    }

    #[test]
    fn a_cookie_is_for_this_host_alone_and_over_tls_where_there_is_one() {
        let token = Token::generate().expect("randomness");
        let plain = server(|_| ());
        let secret = token.reveal();
        assert_eq!(
            cookie_of(&plain, Some((&token, 60))),
            format!("atelier-session={secret}; Path=/; Max-Age=60; HttpOnly; SameSite=Lax")
        );
        let public = server(|server| server.public_url = Some("https://atelier.example".to_owned()));
        let expected = format!("__Host-atelier={secret}; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(cookie_of(&public, Some((&token, 60))), expected);
        let open = server(|server| server.listen = ([0, 0, 0, 0], 8484).into());
        assert_eq!(cookie_of(&open, Some((&token, 60))), expected);
        assert!(cookie_of(&open, None).starts_with("__Host-atelier=; Path=/; Max-Age=0;"));
    }

    #[test]
    fn a_token_is_read_from_its_own_cookie_alone() {
        let token_text = Token::generate().expect("randomness").reveal().to_owned();
        let read = |server: &Server, cookies: &[&str]| {
            let headers: Vec<_> = cookies.iter().map(|cookie| ("cookie", *cookie)).collect();
            token(server, &parts(Method::GET, &headers).headers).map(|token| token.reveal().to_owned())
        };
        let (plain, open) = (server(|_| ()), server(|server| server.listen = ([0, 0, 0, 0], 1).into()));
        let ours = format!("atelier-session={token_text}");
        assert_eq!(read(&plain, &[&format!("a=b; {ours}; c=d")]), Some(token_text.clone()));
        assert_eq!(read(&open, &[&ours]), None, "over TLS, only what came over TLS");
        assert_eq!(read(&open, &[&format!("__Host-atelier={token_text}")]), Some(token_text.clone()));
        for none in [vec![], vec!["atelier-session="], vec!["atelier-session=short"], vec![&ours, &ours]] {
            assert_eq!(read(&plain, &none), None, "{none:?}");
        }
    }

    #[test]
    fn csrf_is_refused_whatever_of_it_is_missing() {
        let (plain, token) = (server(|_| ()), Token::generate().expect("randomness"));
        let (csrf, host) = (token.csrf().text(), ("host", "127.0.0.1:8484"));
        let meant = |server: &Server, headers: &[(&str, &str)]| {
            check_meant(server, &parts(Method::POST, headers), &token).is_ok()
        };
        let (own, site) = (("origin", "http://127.0.0.1:8484"), ("sec-fetch-site", "same-origin"));
        let good = ("x-csrf-token", csrf.as_str());
        assert!(meant(&plain, &[host, own, good]) && meant(&plain, &[host, site, good]));
        assert!(meant(&plain, &[host, own, site, good]));
        assert!(!meant(&plain, &[host, own]), "no token");
        assert!(!meant(&plain, &[host, good]), "nothing says where it comes from");
        let others = Token::generate().expect("randomness").csrf().text();
        assert!(!meant(&plain, &[host, own, ("x-csrf-token", &others)]), "another session's token");
        assert!(!meant(&plain, &[host, own, good, good]), "two tokens");
        for wrong in ["null", "http://evil.example", "https://127.0.0.1:8484", "http://127.0.0.1:84840", ""] {
            assert!(!meant(&plain, &[host, ("origin", wrong), good]), "{wrong:?}");
            assert!(!meant(&plain, &[host, ("origin", wrong), site, good]), "{wrong:?}");
        }
        for wrong in ["cross-site", "same-site", "none"] {
            assert!(!meant(&plain, &[host, own, ("sec-fetch-site", wrong), good]), "{wrong}");
        }
        let public = server(|server| server.public_url = Some("https://atelier.example".to_owned()));
        assert!(meant(&public, &[host, ("origin", "https://atelier.example"), good]));
        assert!(!meant(&public, &[host, own, good]), "its address behind the proxy");
        assert!(!meant(&public, &[host, ("origin", "https://atelier.example.evil.example"), good]));
        assert!(check_meant(&plain, &parts(Method::GET, &[]), &token).is_ok(), "reading changes nothing");
    }
}
