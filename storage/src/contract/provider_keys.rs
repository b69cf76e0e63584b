//! The contract of [`ProviderKeyStore`].

use atelier_domain::id::UserId;
use atelier_domain::plugin::{OwnKey, SecretValue};
use atelier_domain::store::ProviderKeyStore;
use atelier_domain::time::Timestamp;

pub fn key(instance: &str, secret: &str) -> OwnKey {
    let secrets = [("api-key".to_owned(), SecretValue::new(secret))].into();
    OwnKey { instance: instance.parse().expect("a name"), secrets, set: Timestamp(7) }
}

pub fn own_keys_are_one_for_each_instance_and_their_owners_alone(store: &dyn ProviderKeyStore) {
    let (one, other) = (UserId::new(), UserId::new());
    for (instance, secret) in [("b", "1"), ("a", "2"), ("b", "3")] {
        assert!(store.put_provider_key(one, &key(instance, secret), 9).expect("kept"));
    }
    assert_eq!(store.provider_keys(one).expect("read"), [key("a", "2"), key("b", "3")]);
    assert!(store.provider_keys(other).expect("read").is_empty());
    assert!(!store.remove_provider_key(other, "a").expect("none of theirs"));
    assert!(store.remove_provider_key(one, "a").expect("removed"));
    assert!(!store.remove_provider_key(one, "a").expect("gone already"));
    assert!(store.remove_provider_key(one, "b").expect("removed"));
    assert!(store.provider_keys(one).expect("read").is_empty());
}

pub fn an_owner_keeps_no_more_own_keys_than_they_may(store: &dyn ProviderKeyStore) {
    let owner = UserId::new();
    assert!(store.put_provider_key(owner, &key("a", "1"), 1).expect("kept"));
    assert!(!store.put_provider_key(owner, &key("b", "1"), 1).expect("one too many"));
    assert!(store.put_provider_key(owner, &key("a", "2"), 1).expect("in its place"));
    assert_eq!(store.provider_keys(owner).expect("read"), [key("a", "2")]);
}
