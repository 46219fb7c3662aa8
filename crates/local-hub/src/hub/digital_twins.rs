//! Digital twins: IoT Plug and Play's view of a twin (service.md 8).

use std::sync::Arc;

use hub_protocol::{
    ClientId, HubError, digital_twin,
    twin::{Twin, TwinPatch},
};
use serde_json::Value;

use super::{Hub, now};
use crate::store::{self, IfMatch, TwinWrite};

impl Hub {
    /// Takes a JSON Patch; what it means depends on the twin, so both are one transaction.
    pub(crate) async fn patch_digital_twin(
        &self,
        id: &ClientId,
        operations: Value,
        if_match: IfMatch,
    ) -> Result<Arc<Twin>, HubError> {
        let id = id.clone();
        self.0
            .store
            .write(move |transaction| {
                let twin = store::get_twin(transaction.sql, &id)?;
                let desired = digital_twin::desired_patch(&operations, &twin).map_err(HubError::from)?;
                let patch = TwinPatch::desired(desired);
                transaction.write_twin(&id, &patch, TwinWrite::Merge, &if_match, now())
            })
            .await
    }
}
