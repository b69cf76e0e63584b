//! The contract of [`PluginStore`].

use atelier_domain::store::PluginStore;

use super::sample;

pub fn a_plugin_is_put_replaced_and_removed(store: &dyn PluginStore) {
    let mut plugin = sample::plugin("acme/chat");
    assert_eq!(store.plugin("acme/chat").expect("read"), None);
    store.put_plugin(&plugin).expect("put");
    assert_eq!(store.plugin("acme/chat").expect("read"), Some(plugin.clone()));
    plugin.enabled = false;
    plugin.previous = None;
    store.put_plugin(&plugin).expect("replaced");
    assert_eq!(store.plugins().expect("read"), [plugin]);
    assert!(store.remove_plugin("acme/chat").expect("removed"));
    assert!(!store.remove_plugin("acme/chat").expect("answered"));
    assert!(store.plugins().expect("read").is_empty());
}

pub fn plugins_are_listed_by_id(store: &dyn PluginStore) {
    let ids = ["acme/chat", "acme/image", "zeta/speech"];
    for id in [ids[2], ids[0], ids[1]] {
        store.put_plugin(&sample::plugin(id)).expect("put");
    }
    let listed: Vec<String> =
        store.plugins().expect("read").iter().map(|plugin| plugin.id().to_owned()).collect();
    assert_eq!(listed, ids);
}
