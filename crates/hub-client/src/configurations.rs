//! Configurations: automatic device management.

use http::Method;
use hub_protocol::{
    configuration::{Configuration, ConfigurationId},
    sas::UNRESERVED,
};
use percent_encoding::utf8_percent_encode;

use crate::{ClientError, HubClient, IfMatch, client::Call, retry::Repeatable};

impl HubClient {
    pub async fn configuration(&self, id: &ConfigurationId) -> Result<Configuration, ClientError> {
        self.read(&Call::new(Method::GET, path(id))).await
    }

    /// All of them; a hub has at most a hundred.
    pub async fn configurations(&self) -> Result<Vec<Configuration>, ClientError> {
        self.read(&Call::new(Method::GET, "/configurations")).await
    }

    /// Refused when there is one of that id already.
    pub async fn create_configuration(&self, configuration: &Configuration) -> Result<Configuration, ClientError> {
        // Repeated after a lost answer it would be refused by its own success.
        let call = put(configuration, &IfMatch::None)?.repeatable(Repeatable::UnlessDone);
        self.read(&call).await
    }

    /// Everything but the content, which never changes. `IfMatch::None` would mean "create" to
    /// the hub and is refused here.
    pub async fn update_configuration(
        &self,
        configuration: &Configuration,
        condition: IfMatch,
    ) -> Result<Configuration, ClientError> {
        if condition == IfMatch::None {
            return Err(ClientError::invalid(
                "updating a configuration needs an etag or \"any\"",
            ));
        }
        self.read(&put(configuration, &condition)?).await
    }

    /// Twins keep what it wrote, until another configuration writes there.
    pub async fn delete_configuration(&self, id: &ConfigurationId, condition: IfMatch) -> Result<(), ClientError> {
        let call = Call::new(Method::DELETE, path(id)).condition(&condition)?;
        self.succeed(&call).await.map(drop)
    }
}

fn path(id: &ConfigurationId) -> String {
    format!("/configurations/{}", utf8_percent_encode(id.as_str(), UNRESERVED))
}

fn put(configuration: &Configuration, condition: &IfMatch) -> Result<Call, ClientError> {
    Call::new(Method::PUT, path(&configuration.id))
        .condition(condition)?
        .json(configuration)
}
