//! Models of providers that come, go and fall silent.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::clock::TestClock;
use crate::scripted::Scripted;
use atelier_domain::alias::Alias;
use atelier_domain::model::Task;
use atelier_service::ServiceError;
use atelier_service::meter::NoMeter;
use atelier_service::registry::Registry;

async fn registry(provider: &Arc<Scripted>) -> (Arc<Registry>, Arc<TestClock>) {
    let clock = Arc::new(TestClock(AtomicU64::new(1_000_000)));
    let aliases = HashMap::from([("art".to_owned(), Alias::of("scripted/painter".parse().expect("an id")))]);
    let registry = Arc::new(Registry::new(aliases, clock.clone(), Arc::new(NoMeter)));
    registry.put(&"scripted".parse().expect("a name"), provider.clone()).await;
    (registry, clock)
}

#[tokio::test]
async fn concurrent_misses_share_one_load() {
    let provider = Scripted::new([]);
    let (registry, _) = registry(&provider).await;
    let lookups = (0..50).map(|_| registry.resolve("art", Task::ImageGeneration, "me"));
    for found in futures::future::join_all(lookups).await {
        assert_eq!(found.expect("found").model.id.as_str(), "scripted/painter");
    }
    assert_eq!(provider.seen.lock().expect("no panic").discoveries, 1);
}

#[tokio::test]
async fn a_silent_provider_serves_what_it_said_before_and_says_so() {
    let provider = Scripted::new([]);
    let (registry, clock) = registry(&provider).await;
    registry.renew().await;
    *provider.is_silent.lock().expect("no panic") = true;
    clock.pass_seconds(3600);
    registry.renew().await;
    assert_eq!(provider.seen.lock().expect("no panic").discoveries, 2);
    let all = registry.all(0).await;
    assert!(all[0].failure.is_some());
    assert!(
        registry.resolve("scripted/found", Task::Chat, "me").await.is_ok(),
        "what discovery found is kept"
    );
}

#[tokio::test]
async fn what_cannot_be_called_is_refused_with_the_reason() {
    let provider = Scripted::new([]);
    let (registry, _) = registry(&provider).await;
    let refusal = |model: &'static str, task| {
        let registry = &registry;
        async move { registry.resolve(model, task, "me").await.expect_err("refused") }
    };
    assert!(matches!(
        refusal("scripted/soon", Task::ImageGeneration).await,
        ServiceError::ModelNotCallable { .. }
    ));
    let cannot = refusal("scripted/painter", Task::Chat).await;
    assert!(
        matches!(&cannot, ServiceError::ModelCannot { able, .. } if able == &["scripted/found"]),
        "{cannot:?}"
    );
    let unknown = refusal("scripted/paiter", Task::ImageGeneration).await;
    assert!(
        matches!(&unknown, ServiceError::ModelUnknown { nearest, .. } if nearest[0] == "scripted/painter"),
        "{unknown:?}"
    );
    assert!(matches!(
        refusal("scripted/private", Task::ImageGeneration).await,
        ServiceError::ModelUnknown { .. }
    ));
    let owner = registry.resolve("scripted/private", Task::ImageGeneration, "somebody").await;
    assert!(owner.is_ok(), "its owner may");
}

#[tokio::test]
async fn an_instance_that_was_removed_is_gone_at_once() {
    let provider = Scripted::new([]);
    let (registry, _) = registry(&provider).await;
    assert!(registry.resolve("art", Task::ImageGeneration, "me").await.is_ok());
    assert!(registry.remove(&"scripted".parse().expect("a name")).await);
    let gone = registry.resolve("art", Task::ImageGeneration, "me").await;
    assert!(matches!(gone, Err(ServiceError::ModelUnknown { .. })), "{gone:?}");
}
