//! The hub itself: its operations, without their transports.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hub_protocol::{
    DeviceConnectionString, DeviceId, ErrorCode, HubError, Secret, Timestamp,
    identity::{BulkRegistryResult, DeviceIdentity, ExportImportDevice, RegistryStatistics, Status},
    merge::Object,
    method::{MethodRequest, MethodResponse},
    query,
    topic::{self, Filter},
    twin::{Twin, TwinPatch},
};
use serde_json::json;
use time::OffsetDateTime;
use tokio::{sync::broadcast, time::timeout};

use crate::{
    auth::Gate,
    config::LocalHubConfig,
    error::{StartError, StoreError},
    events::{EVENT_BUFFER, HubEvent, TwinSection},
    sessions::{Outgoing, Sessions},
    store::{self, IfMatch, Page, Policies, Store, StoredSession, TwinWrite},
};

/// A handle; every transport holds one.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Inner>);

struct Inner {
    store: Store,
    policies: Policies,
    names: Vec<String>,
    host_name: String,
    token_skew: Duration,
    sessions: Arc<Sessions>,
    events: broadcast::Sender<HubEvent>,
}

/// To the hundred nanoseconds that go over the wire, so that what is told and what is read later
/// are equal.
pub(crate) fn now() -> Timestamp {
    let now = OffsetDateTime::now_utc();
    let nanos = now.unix_timestamp_nanos();
    Timestamp::from_unix_nanos(nanos - nanos.rem_euclid(100))
}

impl Hub {
    pub(crate) fn open(config: &LocalHubConfig) -> Result<Self, StartError> {
        let path = config.database_file();
        let failed = |error: StoreError| StartError::Database {
            path: path.clone(),
            reason: error.to_string(),
        };
        let sessions = Arc::new(Sessions::default());
        let events = broadcast::Sender::new(EVENT_BUFFER);
        let (tell_sessions, tell_events) = (sessions.clone(), events.clone());
        let store = Store::open(&path, move |event| {
            tell_device(&tell_sessions, &event);
            // Nobody watching is fine.
            let _ = tell_events.send(event);
        })
        .map_err(failed)?;
        let policies = Policies::open_file(&path).map_err(failed)?;
        Ok(Self(Arc::new(Inner {
            store,
            policies,
            names: config.names(),
            host_name: config.host_name.clone(),
            token_skew: config.token_skew,
            sessions,
            events,
        })))
    }

    pub(crate) fn policies(&self) -> &Policies {
        &self.0.policies
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.0.names
    }

    pub(crate) fn token_skew(&self) -> Duration {
        self.0.token_skew
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<HubEvent> {
        self.0.events.subscribe()
    }

    pub(crate) fn gate(&self) -> Gate<'_> {
        let inner = &self.0;
        let now = u64::try_from(now().unix_seconds()).unwrap_or_default();
        Gate {
            policies: &inner.policies,
            names: &inner.names,
            now,
            skew: inner.token_skew.as_secs(),
        }
    }

    pub(crate) async fn close(&self) {
        self.0.store.flush().await;
    }

    // ---- identities ----------------------------------------------------------------------

    pub(crate) async fn device(&self, device_id: &str) -> Result<DeviceIdentity, HubError> {
        let id = device_id.to_owned();
        self.0.store.read(move |sql| store::get_device(sql, &id)).await
    }

    pub(crate) async fn devices(&self, top: usize) -> Result<Vec<DeviceIdentity>, HubError> {
        self.0.store.read(move |sql| store::list_devices(sql, top)).await
    }

    pub(crate) async fn put_device(
        &self,
        device: DeviceIdentity,
        if_match: IfMatch,
    ) -> Result<DeviceIdentity, HubError> {
        self.0
            .store
            .write(move |transaction| transaction.put_device(&device, &if_match, now()))
            .await
    }

    pub(crate) async fn delete_device(&self, device_id: &str, if_match: IfMatch) -> Result<(), HubError> {
        let id = device_id.to_owned();
        self.0
            .store
            .write(move |transaction| transaction.delete_device(&id, &if_match))
            .await
    }

    pub(crate) async fn bulk(&self, items: Vec<ExportImportDevice>) -> Result<BulkRegistryResult, HubError> {
        self.0
            .store
            .write(move |transaction| transaction.bulk(&items, now()))
            .await
    }

    pub(crate) async fn statistics(&self) -> Result<RegistryStatistics, HubError> {
        self.0.store.read(store::statistics).await
    }

    pub(crate) async fn connected(&self) -> Result<u64, HubError> {
        self.0.store.read(store::connected).await
    }

    pub(crate) async fn device_connection_string(&self, device_id: &DeviceId) -> Result<Secret, HubError> {
        let device = self.device(device_id.as_str()).await?;
        let Some(key) = device.primary_key() else {
            return Err(HubError::new(
                ErrorCode::ArgumentInvalid,
                "This device does not connect with a key.",
            ));
        };
        let (host_name, device_id) = (self.0.host_name.clone(), device.device_id);
        Ok(DeviceConnectionString {
            host_name,
            device_id,
            key,
            gateway_host_name: None,
        }
        .to_secret())
    }

    // ---- twins ---------------------------------------------------------------------------

    pub(crate) async fn twin(&self, device_id: &str) -> Result<Twin, HubError> {
        let id = device_id.to_owned();
        self.0.store.read(move |sql| store::get_twin(sql, &id)).await
    }

    pub(crate) async fn write_twin(
        &self,
        device_id: &str,
        patch: TwinPatch,
        how: TwinWrite,
        if_match: IfMatch,
    ) -> Result<Arc<Twin>, HubError> {
        let id = device_id.to_owned();
        self.0
            .store
            .write(move |transaction| transaction.write_twin(&id, &patch, how, &if_match, now()))
            .await
    }

    pub(crate) async fn report(&self, device_id: &DeviceId, patch: Object) -> Result<u64, HubError> {
        let id = device_id.clone();
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
        self.0
            .store
            .read(move |sql| store::run_query(sql, &query, page_size, continuation.as_deref()))
            .await
    }

    // ---- what devices do -----------------------------------------------------------------

    pub(crate) async fn connect(
        &self,
        device_id: &DeviceId,
        clean_session: bool,
        model_id: Option<String>,
    ) -> Result<StoredSession, HubError> {
        let id = device_id.clone();
        let write = self
            .0
            .store
            .write(move |t| t.connect(&id, clean_session, model_id.as_deref(), now()));
        write.await
    }

    /// Stored only if no newer connection of the device has come in the meantime.
    pub(crate) async fn disconnect(&self, device_id: &DeviceId) {
        let (id, sessions) = (device_id.clone(), self.0.sessions.clone());
        let stored = self.0.store.write(move |transaction| {
            if sessions.get(&id).is_some() {
                return Ok(());
            }
            transaction.disconnect(&id, now())
        });
        if let Err(error) = stored.await {
            tracing::warn!(device = %device_id, "a disconnect could not be stored: {error}");
        }
    }

    pub(crate) async fn subscribe_device(&self, device_id: &DeviceId, filters: Vec<Filter>) -> Result<(), HubError> {
        let id = device_id.clone();
        self.0
            .store
            .write(move |transaction| transaction.subscribe(&id, &filters))
            .await
    }

    pub(crate) async fn unsubscribe_device(&self, device_id: &DeviceId, filters: Vec<Filter>) -> Result<(), HubError> {
        let id = device_id.clone();
        self.0
            .store
            .write(move |transaction| transaction.unsubscribe(&id, &filters))
            .await
    }

    pub(crate) fn telemetry(&self, device_id: &DeviceId, body: &Bytes) {
        let _ = self.0.events.send(HubEvent::Telemetry {
            device_id: device_id.clone(),
            bytes: body.len(),
        });
    }

    // ---- direct methods ------------------------------------------------------------------

    /// At most once: delivered to a device that is connected and subscribed within the connect
    /// timeout, answered within the response timeout or reported as such.
    pub(crate) async fn invoke_method(
        &self,
        device_id: &str,
        request: MethodRequest,
    ) -> Result<MethodResponse, HubError> {
        request
            .check()
            .map_err(|error| HubError::new(ErrorCode::ArgumentInvalid, error.to_string()))?;
        let device = self.device(device_id).await?;
        let offline = |text: &str| HubError::new(ErrorCode::DeviceNotOnline, text);
        if device.status == Status::Disabled {
            return Err(offline("The device is disabled."));
        }
        let connect = Duration::from_secs(request.connect_timeout_in_seconds.into());
        let sessions = self.sessions();
        let session = timeout(connect, sessions.taking_methods(&device.device_id))
            .await
            .map_err(|_| offline("Timed out waiting for device to connect."))?;
        let Some((pending, answer)) = sessions.expect_answer(&device.device_id) else {
            let text = "Too many methods are under way on this device.";
            return Err(HubError::new(ErrorCode::DeviceMaximumInflightMethodExceeded, text));
        };
        let message = Outgoing {
            topic: topic::method_request(&request.method_name, &pending.request_id),
            payload: request.payload.to_string().into(),
        };
        if !session.send(message) {
            return Err(offline("The device's connection was closed: it does not keep up."));
        }
        let wait = Duration::from_secs(request.response_timeout_in_seconds.into());
        match timeout(wait, answer).await {
            Ok(Ok(response)) => Ok(response),
            _ => Err(HubError::new(
                ErrorCode::GatewayTimeout,
                "Timed out waiting for the response from device.",
            )),
        }
    }
}

/// What a committed event means to the device it is about. Runs on the storing thread, in order.
fn tell_device(sessions: &Sessions, event: &HubEvent) {
    match event {
        HubEvent::TwinChanged {
            section: TwinSection::Desired,
            patch,
            twin,
        } => {
            let Some(session) = sessions.get(&twin.device_id) else {
                return;
            };
            if !session.is_subscribed(Filter::DesiredPatches) {
                return;
            }
            let version = twin.properties.desired.version;
            let mut body = Object::clone(patch);
            body.insert("$version".into(), json!(version));
            let payload = serde_json::Value::Object(body).to_string().into();
            session.send(Outgoing {
                topic: topic::desired_patch(version),
                payload,
            });
        }
        HubEvent::DeviceDeleted { device_id } => sessions.close(device_id),
        HubEvent::IdentityChanged { twin } if twin.status == Status::Disabled => sessions.close(&twin.device_id),
        _ => {}
    }
}
