//! Twins and queries.

use std::sync::Arc;

use hub_protocol::{
    ClientId, ErrorCode, HubError,
    merge::Object,
    query,
    twin::{Twin, TwinPatch},
};

use super::{Hub, now};
use crate::store::{self, IfMatch, Page, TwinWrite};

impl Hub {
    pub(crate) async fn twin(&self, id: &ClientId) -> Result<Twin, HubError> {
        let id = id.clone();
        self.0.store.read(move |sql| store::get_twin(sql, &id)).await
    }

    pub(crate) async fn write_twin(
        &self,
        id: &ClientId,
        patch: TwinPatch,
        how: TwinWrite,
        if_match: IfMatch,
    ) -> Result<Arc<Twin>, HubError> {
        let id = id.clone();
        self.0
            .store
            .write(move |transaction| transaction.write_twin(&id, &patch, how, &if_match, now()))
            .await
    }

    pub(crate) async fn report(&self, id: &ClientId, patch: Object) -> Result<u64, HubError> {
        let id = id.clone();
        self.0
            .store
            .write(move |transaction| transaction.report(&id, patch, now()))
            .await
    }

    pub(crate) async fn query(
        &self,
        text: &str,
        page_size: Option<usize>,
        continuation: Option<String>,
    ) -> Result<Page, HubError> {
        let invalid =
            |error: query::QueryError| HubError::new(ErrorCode::ArgumentInvalid, format!("BadRequest: {error}"));
        let query = query::parse(text).map_err(invalid)?;
        self.0.store.query(query, page_size, continuation).await
    }
}
