use std::ops::Bound;

use atelier_domain::plugin::InstalledPlugin;
use atelier_domain::store::{PluginStore, StoreError};

use super::Store;
use crate::codec::{decode, encode};
use crate::keys;
use crate::schema::Table;

impl PluginStore for Store {
    fn plugins(&self) -> Result<Vec<InstalledPlugin>, StoreError> {
        let engine = self.engine();
        let keys = engine.keys(Table::Plugins, (Bound::Unbounded, Bound::Unbounded), usize::MAX)?;
        let mut plugins = Vec::with_capacity(keys.len());
        for key in keys {
            // One that was removed meanwhile is left out.
            if let Some(row) = engine.get(Table::Plugins, &key)? {
                plugins.push(decode(Table::Plugins, &key, &row)?);
            }
        }
        Ok(plugins)
    }

    fn plugin(&self, id: &str) -> Result<Option<InstalledPlugin>, StoreError> {
        let key = keys::plugin_id(id)?;
        self.engine().get(Table::Plugins, key)?.map(|row| decode(Table::Plugins, key, &row)).transpose()
    }

    fn put_plugin(&self, plugin: &InstalledPlugin) -> Result<(), StoreError> {
        let key = keys::plugin_id(plugin.id())?;
        let row = encode(Table::Plugins, plugin)?;
        // JSON from a manifest may be nested as deeply as its parser allows; inside a row it would be too deep to read.
        if let Err(error) = decode::<InstalledPlugin>(Table::Plugins, key, &row) {
            let id = plugin.id();
            return Err(StoreError::Unavailable(format!(
                "{id} cannot be stored, as it could not be read back: {error}"
            )));
        }
        self.engine().write(|txn| txn.put(Table::Plugins, key, &row))
    }

    fn remove_plugin(&self, id: &str) -> Result<bool, StoreError> {
        let key = keys::plugin_id(id)?;
        self.engine().write(|txn| txn.remove(Table::Plugins, key))
    }
}
