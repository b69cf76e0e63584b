//! Requests that cost, as they are told to whoever keeps count of them.

use super::{Effect, HttpError};
use crate::host_state::CallState;

impl CallState {
    /// Notes a charging request that is about to leave.
    pub(super) async fn journal(&mut self, effect: Effect, repeatable: bool) -> Result<(), HttpError> {
        if effect != Effect::Charging {
            return Ok(());
        }
        let Some(journal) = self.context.journal.clone() else { return Ok(()) };
        journal.charging(repeatable).await.map_err(|error| HttpError {
            code: "limit-reached".to_owned(),
            message: format!("the host could not journal the request: {error}"),
        })
    }

    /// Takes back what was noted of a request: it has done nothing.
    pub(super) fn withdraw(&mut self, effect: Effect, repeatable: bool) {
        if effect == Effect::Charging {
            self.context.journal.iter().for_each(|journal| journal.withdrawn(repeatable));
        }
    }
}
