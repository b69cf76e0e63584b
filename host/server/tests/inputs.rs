//! Bad input on every route: what is wrong with a request is derived from the route table and the API's own description, so that a
//! route which is added is asked like the others.

#[path = "support/installed.rs"]
#[expect(dead_code, reason = "this host is neither killed nor restarted")]
mod installed;

#[path = "inputs/exports.rs"]
mod exports;
#[path = "inputs/goods.rs"]
mod goods;
#[path = "inputs/paths.rs"]
mod paths;
#[path = "inputs/refused.rs"]
mod refused;
#[path = "inputs/spoilt.rs"]
mod spoilt;
#[path = "inputs/strangers.rs"]
mod strangers;
#[path = "inputs/world.rs"]
mod world;
