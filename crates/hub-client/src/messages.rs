//! Messages to devices.

use http::{HeaderName, HeaderValue, Method};
use hub_protocol::{DeviceId, message::Properties};
use serde::Deserialize;

use crate::{
    ClientError, HubClient,
    client::{Call, device_path},
    retry::Repeatable,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Purged {
    total_messages_purged: u64,
}

impl HubClient {
    /// Queues a message for a device: at most 64 KiB with its properties, 50 waiting at once. It
    /// is not repeated once it may have arrived. Names of properties become names of headers, so
    /// a hub sees them in lower case.
    pub async fn send_message(&self, id: &DeviceId, properties: &Properties, body: Vec<u8>) -> Result<(), ClientError> {
        let mut call = Call::new(
            Method::POST,
            format!("{}/messages/deviceBound", device_path("devices", id)?),
        )
        .body(body)
        .repeatable(Repeatable::UnlessDone);
        for (name, value) in properties.to_headers() {
            let unfit = || {
                ClientError::invalid(format!(
                    "the property {name} cannot be sent: it does not fit into a header"
                ))
            };
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| unfit())?;
            call = call.header(header, value);
        }
        self.succeed(&call).await.map(drop)
    }

    /// Empties a device's queue; returns how many messages there were.
    pub async fn purge_messages(&self, id: &DeviceId) -> Result<u64, ClientError> {
        let call = Call::new(Method::DELETE, format!("{}/commands", device_path("devices", id)?));
        let purged: Purged = self.read(&call).await?;
        Ok(purged.total_messages_purged)
    }
}
