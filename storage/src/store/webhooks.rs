use atelier_domain::id::{EndpointId, UserId};
use atelier_domain::store::{EndpointStore, StoreError};
use atelier_domain::webhook::{EndpointQueue, WebhookEndpoint};

use super::Store;
use super::deletions::refuse_deleted;
use super::rows::write;
use super::sealed::{read_sealed, write_sealed};
use crate::engine::{Txn, TxnError};
use crate::schema::Table;

impl EndpointStore for Store {
    fn create_endpoint(&self, endpoint: &WebhookEndpoint, per_owner_max: usize) -> Result<bool, StoreError> {
        self.engine().write(|txn| {
            refuse_deleted(txn, endpoint.owner)?;
            let mut endpoints = of(txn, endpoint.owner)?;
            if endpoints.iter().any(|known| known.id == endpoint.id) {
                return Err(StoreError::Exists { what: format!("webhook endpoint {}", endpoint.id) }.into());
            }
            if endpoints.len() >= per_owner_max {
                return Ok(false);
            }
            endpoints.push(endpoint.clone());
            write(txn, Table::WebhookQueues, endpoint.id.as_bytes(), &EndpointQueue::default())?;
            write_sealed(txn, Table::WebhookEndpoints, endpoint.owner.as_bytes(), &endpoints)?;
            Ok(true)
        })
    }

    fn endpoints(&self, owner: UserId) -> Result<Vec<WebhookEndpoint>, StoreError> {
        Ok(self.sealed_row(Table::WebhookEndpoints, owner.as_bytes())?.unwrap_or_default())
    }

    fn endpoint(&self, owner: UserId, id: EndpointId) -> Result<Option<WebhookEndpoint>, StoreError> {
        Ok(self.endpoints(owner)?.into_iter().find(|endpoint| endpoint.id == id))
    }

    fn endpoint_queue(&self, id: EndpointId) -> Result<EndpointQueue, StoreError> {
        Ok(self.row(Table::WebhookQueues, id.as_bytes())?.unwrap_or_default())
    }

    fn change_endpoint(
        &self,
        owner: UserId,
        id: EndpointId,
        change: &dyn Fn(&mut WebhookEndpoint),
    ) -> Result<Option<WebhookEndpoint>, StoreError> {
        self.engine().write(|txn| change_endpoint(txn, owner, id, change))
    }

    fn remove_endpoint(&self, owner: UserId, id: EndpointId) -> Result<bool, StoreError> {
        self.engine().write(|txn| {
            let mut endpoints = of(txn, owner)?;
            let count = endpoints.len();
            endpoints.retain(|endpoint| endpoint.id != id);
            if endpoints.len() == count {
                return Ok(false);
            }
            txn.remove(Table::WebhookQueues, id.as_bytes())?;
            write_sealed(txn, Table::WebhookEndpoints, owner.as_bytes(), &endpoints)?;
            Ok(true)
        })
    }
}

fn of(txn: &Txn<'_>, owner: UserId) -> Result<Vec<WebhookEndpoint>, TxnError> {
    Ok(read_sealed(txn, Table::WebhookEndpoints, owner.as_bytes())?.unwrap_or_default())
}

/// Changes the owner's endpoint within a transaction; gives it as it then is.
pub(super) fn change_endpoint(
    txn: &Txn<'_>,
    owner: UserId,
    id: EndpointId,
    change: &dyn Fn(&mut WebhookEndpoint),
) -> Result<Option<WebhookEndpoint>, TxnError> {
    let mut endpoints = of(txn, owner)?;
    let Some(endpoint) = endpoints.iter_mut().find(|endpoint| endpoint.id == id) else { return Ok(None) };
    let before = endpoint.clone();
    change(endpoint);
    (endpoint.id, endpoint.owner) = (id, owner);
    let after = endpoint.clone();
    if after != before {
        write_sealed(txn, Table::WebhookEndpoints, owner.as_bytes(), &endpoints)?;
    }
    Ok(Some(after))
}
