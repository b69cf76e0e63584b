//! What a template hides, a plugin can put into no log.

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::hidden::HiddenTexts;
use atelier_domain::provider::{CallContext, Provider as _};

use crate::logs;
use crate::support::{Host, collect, context, profile, question};
use crate::upstream::{Echo, Script, Upstream};

#[tokio::test]
async fn a_plugins_line_that_repeats_what_is_hidden_is_not_logged() {
    const SHOWN: &str = "visible-walrus-31";
    const HIDDEN: &str = "invisible-narwhal-77";
    logs::capture();
    let upstream = Upstream::start([("/echo", Script::Echo(Echo::Body))]).await;
    let host = Host::new(profile());
    let provider = host.instance(&upstream.address);
    for (scope, hidden) in [(SHOWN, "something else"), (HIDDEN, "Say Invisible, Narwhal!")] {
        // The plugin logs all that it sees, its context among it.
        let context = CallContext {
            scope: Arc::from(scope),
            hidden: Some(Arc::new(HiddenTexts::of([hidden]))),
            ..context(Duration::from_secs(60))
        };
        let ended = collect(Arc::clone(&provider).chat(context, question("dump", "/echo", Vec::new()))).await;
        assert!(format!("{:?}", ended.error).contains(scope), "it saw it: {ended:?}");
    }
    let log = logs::captured();
    assert!(log.contains(SHOWN), "{log}");
    assert!(!log.contains(HIDDEN), "{log}");
    assert!(log.contains("repeats a hidden prompt"), "{log}");
}
