//! The registry as lines of a file, out and in.

use hub_protocol::{
    ClientId, HubError, Timestamp,
    identity::{ExportImportDevice, ImportMode, ImportProperties},
    merge::Object,
    twin::PropertySet,
};
use rusqlite::{Connection, Row, params};
use serde_json::Value;

use super::{
    Transaction,
    identities::{MESSAGE_COUNT, json},
    twins,
};
use crate::error::StoreError;

/// The next identities behind `after`, each device before its modules.
pub(crate) fn page(
    connection: &Connection,
    after: Option<&ClientId>,
    size: usize,
) -> Result<Vec<ExportImportDevice>, StoreError> {
    let columns = twins::COLUMNS;
    let sql = format!(
        "SELECT {columns}, managed_by, {MESSAGE_COUNT} FROM identities
         WHERE (device_id, module_id) > (?1, ?2) ORDER BY device_id, module_id LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let (device, module) = after.map_or(("", ""), |id| (id.device_str(), id.module_str()));
    let rows = statement.query_map(params![device, module, size], from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn count(connection: &Connection) -> Result<usize, StoreError> {
    Ok(connection.query_row("SELECT count(*) FROM identities", [], |row| row.get(0))?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ExportImportDevice> {
    let twin = twins::from_row(row)?;
    Ok(ExportImportDevice {
        module_id: twin.module_id,
        etag: Some(twin.device_etag),
        status: twin.status,
        status_reason: twin.status_reason,
        managed_by: row.get("managed_by")?,
        authentication: Some(json(row, "authentication")?),
        twin_etag: Some(twin.etag),
        tags: Some(twin.tags),
        properties: Some(ImportProperties {
            desired: whole(&twin.properties.desired),
            reported: whole(&twin.properties.reported),
        }),
        capabilities: twin.capabilities,
        device_scope: twin.device_scope,
        parent_scopes: twin.parent_scopes,
        ..ExportImportDevice::new(twin.device_id)
    })
}

/// Values with `$metadata` and `$version`.
fn whole(set: &PropertySet) -> Object {
    match serde_json::to_value(set) {
        Ok(Value::Object(object)) => object,
        _ => Object::new(),
    }
}

impl Transaction<'_> {
    /// Lines of an import, each by itself; says of each how it went. `None` when the job is to
    /// stop, with nothing done.
    pub(crate) fn import_lines(
        &mut self,
        job_id: &str,
        progress: u8,
        items: &[ExportImportDevice],
        now: Timestamp,
    ) -> Result<Option<Vec<Result<(), HubError>>>, StoreError> {
        if !self.advance_registry_job(job_id, progress)? {
            return Ok(None);
        }
        let default = ImportMode::CreateOrUpdateIfMatchETag;
        let mut done = Vec::with_capacity(items.len());
        for item in items {
            done.push(self.alone(|transaction| transaction.import(item, default, now))?);
        }
        Ok(Some(done))
    }
}
