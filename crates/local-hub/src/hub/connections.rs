//! What connected devices and modules do.

use std::sync::Arc;

use bytes::Bytes;
use hub_protocol::{
    ClientId, HubError,
    message::Properties,
    topic::{Filter, Subscription},
};
use rustls_pki_types::CertificateDer;

use super::{Hub, now};
use crate::{
    auth::Admission,
    log::{MessageSource, NewEvent, Sender},
    store::{self, Credentials, StoredSession},
};

impl Hub {
    /// What decides whether `id` may connect; fails when there is no such identity.
    pub(crate) async fn credentials(&self, id: &ClientId) -> Result<Credentials, HubError> {
        let key = id.clone();
        let found = self.0.store.read(move |sql| store::credentials(sql, &key)).await?;
        found.ok_or_else(|| HubError::client_not_found(id))
    }

    /// Lets a device or module in, over whatever it came: by the token it gave, or by the
    /// certificates it showed, its own first.
    pub(crate) async fn admit(
        &self,
        id: &ClientId,
        token: Option<&str>,
        certificates: &[CertificateDer<'_>],
    ) -> Result<(Credentials, Admission), HubError> {
        let credentials = self.credentials(id).await?;
        let admission = self.gate().device_or_certificate(&credentials, token, certificates)?;
        Ok((credentials, admission))
    }

    pub(crate) async fn connect(
        &self,
        client: &ClientId,
        clean_session: bool,
        model_id: Option<String>,
    ) -> Result<StoredSession, HubError> {
        let id = client.clone();
        let write = self
            .0
            .store
            .write(move |t| t.connect(&id, clean_session, model_id.as_deref(), now()));
        write.await
    }

    /// Stored only if no newer connection of the device has come in the meantime.
    pub(crate) async fn disconnect(&self, client: &ClientId) {
        let (id, sessions) = (client.clone(), self.0.sessions.clone());
        let stored = self.0.store.write(move |transaction| {
            if sessions.get(&id).is_some() {
                return Ok(());
            }
            transaction.disconnect(&id, now())
        });
        if let Err(error) = stored.await {
            tracing::warn!(device = %client, "a disconnect could not be stored: {error}");
        }
    }

    pub(crate) async fn subscribe_device(&self, client: &ClientId, asked: Vec<Subscription>) -> Result<(), HubError> {
        let id = client.clone();
        self.0
            .store
            .write(move |transaction| transaction.subscribe(&id, &asked))
            .await
    }

    pub(crate) async fn unsubscribe_device(&self, client: &ClientId, filters: Vec<Filter>) -> Result<(), HubError> {
        let id = client.clone();
        self.0
            .store
            .write(move |transaction| transaction.unsubscribe(&id, &filters))
            .await
    }

    /// A message of a device or module, for the log. Its properties are the sender's own words;
    /// `sender` is what the hub knows. Waits for the log where that cannot keep up.
    pub(crate) async fn telemetry(
        &self,
        sender: &Arc<Sender>,
        properties: Properties,
        body: Bytes,
    ) -> Result<(), HubError> {
        let event = NewEvent {
            source: MessageSource::Telemetry,
            sender: sender.clone(),
            properties,
            body,
        };
        self.0.log.accept(event, now).await?;
        self.tally().telemetry();
        Ok(())
    }
}
