//! Results that lie at their provider: fetched and kept before their links expire.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use atelier_domain::blob::Blob;
use atelier_domain::failure::{Failure, FailureCode, ProviderError};
use atelier_domain::job::{JobState, StoredOutput};
use atelier_service::fetcher::Fetcher;

use crate::jobs::{Engine, admit, caller, end_of, stores};
use crate::scripted::{Act, Scripted};

const CONTENT: &[u8] = b"\x89PNG a cat";

/// Where results lie: each address answers so often with a failure before it gives its content, and once it gave it, never again.
#[derive(Debug)]
struct Links(Mutex<BTreeMap<String, u32>>);

impl Links {
    fn failing(times: impl IntoIterator<Item = (&'static str, u32)>) -> Arc<Self> {
        let times = times.into_iter().map(|(url, times)| (url.to_owned(), times));
        Arc::new(Self(Mutex::new(times.collect())))
    }
}

#[async_trait]
impl Fetcher for Links {
    async fn fetch(&self, instance: &str, url: &str, _: u64) -> Result<Blob, ProviderError> {
        let mut links = self.0.lock().expect("no panic");
        match links.get_mut(url) {
            Some(0) => {
                links.remove(url);
                Ok(Blob::in_memory("image/png", CONTENT.into()))
            }
            Some(left) => {
                *left -= 1;
                let reason = "its answer is 503".to_owned();
                Err(ProviderError::Unavailable { instance: instance.to_owned(), reason, retry_after: None })
            }
            None => {
                let failure = Box::new(Failure::new(FailureCode::TooLarge, "more than is taken"));
                Err(ProviderError::Reported { instance: instance.to_owned(), failure })
            }
        }
    }
}

/// What became of a job of these acts, with these links.
async fn ended(acts: impl IntoIterator<Item = Act>, links: Arc<Links>) -> (JobState, Option<String>) {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new(acts);
    let (engine, alice) = (Engine::with_fetcher(&store, &blobs, &provider, links).await, caller());
    let job = end_of(&engine, &alice, &admit(&engine, &alice).await).await;
    if let [StoredOutput::Media { blob, size, content_type, .. }] = &job.outputs[..] {
        // The link gives nothing any more: what is served is ours.
        let kept = engine.jobs.open(*blob, *size, content_type).await.expect("it is kept");
        assert_eq!(kept.read(0, CONTENT.len()).expect("read"), CONTENT);
        assert_eq!(content_type, "image/png");
    }
    engine.stop().await;
    (job.state, job.error.map(|error| error.code))
}

#[tokio::test]
async fn a_result_is_fetched_once_and_served_after_its_link_has_expired() {
    let links = Links::failing([("https://cdn.example/one", 0)]);
    let outcome = ended([Act::Pending, Act::Linked("https://cdn.example/one")], links.clone()).await;
    assert_eq!(outcome, (JobState::Succeeded, None));
    assert!(links.0.lock().expect("no panic").is_empty(), "the link was used up");
}

#[tokio::test]
async fn a_result_that_is_not_there_yet_is_fetched_again_although_nobody_can_be_asked_for_it() {
    let links = Links::failing([("https://cdn.example/one", 2)]);
    assert_eq!(ended([Act::Linked("https://cdn.example/one")], links).await, (JobState::Succeeded, None));
}

#[tokio::test]
async fn a_provider_whose_link_is_broken_is_asked_for_another() {
    let links = Links::failing([("https://cdn.example/broken", 100), ("https://cdn.example/good", 0)]);
    let acts =
        [Act::Pending, Act::Linked("https://cdn.example/broken"), Act::Linked("https://cdn.example/good")];
    assert_eq!(ended(acts, links).await, (JobState::Succeeded, None));
}

#[tokio::test]
async fn a_result_that_will_never_be_taken_ends_its_job_at_once_and_says_why() {
    let acts = [Act::Pending, Act::Linked("https://cdn.example/huge")];
    assert_eq!(ended(acts, Links::failing([])).await, (JobState::Failed, Some("too-large".to_owned())));
}
