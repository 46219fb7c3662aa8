//! Configurations: desired properties for every twin that matches (service.md 7).

use hub_protocol::{
    DeviceId, ErrorCode, HubError,
    configuration::{Configuration, ConfigurationContent, ConfigurationId, Content, InvalidContent},
    query::{self, Aggregate, Item, ItemValue, Selection},
};

use super::{Hub, now};
use crate::{
    store::{self, IfMatch, Rows},
    targeting,
};

/// The field of a count's only row.
const COUNT: &str = "count";

impl Hub {
    /// With its metrics as they are now.
    pub(crate) async fn configuration(&self, id: ConfigurationId) -> Result<Configuration, HubError> {
        let read = self.0.store.read(move |sql| store::get_configuration(sql, &id));
        Ok(self.counted(read.await?).await)
    }

    pub(crate) async fn configurations(&self) -> Result<Vec<Configuration>, HubError> {
        let found = self.0.store.read(store::list_configurations).await?;
        let mut configurations = Vec::with_capacity(found.len());
        for configuration in found {
            configurations.push(self.counted(configuration).await);
        }
        Ok(configurations)
    }

    pub(crate) async fn put_configuration(
        &self,
        configuration: Configuration,
        if_match: IfMatch,
    ) -> Result<Configuration, HubError> {
        self.0
            .store
            .write(move |transaction| transaction.put_configuration(&configuration, &if_match, now()))
            .await
    }

    pub(crate) async fn delete_configuration(&self, id: ConfigurationId, if_match: IfMatch) -> Result<(), HubError> {
        self.0
            .store
            .write(move |transaction| transaction.delete_configuration(&id, &if_match))
            .await
    }

    /// Once, to one Edge device: missing modules are created, named properties are set. A
    /// deployment that targets the device has the last word all the same.
    pub(crate) async fn apply_configuration_content(
        &self,
        device_id: DeviceId,
        content: &ConfigurationContent,
    ) -> Result<(), HubError> {
        let Content::Edge(deployment) = content.read()? else {
            return Err(InvalidContent::NoEdgeAgent.into());
        };
        let device = self.device(device_id.as_str()).await?;
        if !device.capabilities.iot_edge {
            let text = format!("Device {device_id} is no IoT Edge device.");
            return Err(HubError::new(ErrorCode::ArgumentInvalid, text));
        }
        self.0
            .store
            .write(move |transaction| {
                transaction.carry_out(&device_id, |twins| targeting::deploy(&deployment, twins), now())
            })
            .await
    }

    async fn counted(&self, mut configuration: Configuration) -> Configuration {
        for metrics in [&mut configuration.system_metrics, &mut configuration.metrics] {
            for (name, text) in &metrics.queries {
                match self.count(text).await {
                    Ok(count) => drop(metrics.results.insert(name.clone(), count)),
                    // A query that fails has no result.
                    Err(error) => tracing::debug!("metric {name} was not counted: {error}"),
                }
            }
        }
        configuration
    }

    /// How many rows a query has.
    async fn count(&self, text: &str) -> Result<u64, HubError> {
        let invalid = |error: query::QueryError| HubError::new(ErrorCode::ArgumentInvalid, error.to_string());
        let mut query = query::parse(text).map_err(invalid)?;
        let counts_in_one_row = query.top.is_none() && !query.is_aggregate();
        if counts_in_one_row {
            query.selection = Selection::Items(vec![Item {
                value: ItemValue::Aggregate(Aggregate::Count, None),
                name: vec![COUNT.to_owned()],
            }]);
        }
        let (mut count, mut continuation) = (0, None);
        loop {
            let page = self.0.store.query(query.clone(), None, continuation).await?;
            count += match &page.rows {
                Rows::Raw(rows) if counts_in_one_row => {
                    rows.first().and_then(|row| row[COUNT].as_u64()).unwrap_or_default()
                }
                Rows::Raw(rows) | Rows::DeviceJobs(rows) => rows.len() as u64,
                Rows::Twins(twins) => twins.len() as u64,
            };
            continuation = page.continuation;
            if continuation.is_none() {
                return Ok(count);
            }
        }
    }
}
