//! Attacks on the HTTP edge, each named after what it refuses: sent over bare sockets where no client library would send them.

#[path = "support/host.rs"]
#[expect(dead_code, reason = "a part of it is for the tests of routes")]
mod host;

#[path = "attacks/cross_origin.rs"]
mod cross_origin;
#[path = "attacks/encodings.rs"]
mod encodings;
#[path = "attacks/headers.rs"]
mod headers;
#[path = "attacks/hosts.rs"]
mod hosts;
#[path = "attacks/paths.rs"]
mod paths;
#[path = "attacks/proxies.rs"]
mod proxies;
#[path = "attacks/slow_clients.rs"]
mod slow_clients;
#[path = "attacks/smuggling.rs"]
mod smuggling;
#[path = "attacks/wire.rs"]
mod wire;
