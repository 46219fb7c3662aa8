//! Saved hubs: checked while typed, added, opened, closed, forgotten; and the local hub.

use std::sync::Arc;

use hub_client::{HubClient, RetryPolicy};
use hub_protocol::{Secret, ServiceConnectionString};
use local_hub::LocalHub;
use rusqlite::params;

use crate::{
    App,
    error::{AppError, Code, Result},
    open_hub::{OpenHub, Reach},
    trust,
    view::{
        ConnectionStringCheck, ConnectionStringProblem, HubKind, LocalHubState, LocalHubStatus, SavedHub, SecretPlace,
    },
    watch,
};

/// The id of the hub on this machine.
pub(crate) const LOCAL: &str = "local";

/// Which part is wrong, or what the string opens. Never gives the key back.
pub fn check_connection_string(text: &str) -> ConnectionStringCheck {
    let none = ConnectionStringCheck {
        problem: None,
        host_name: None,
        policy: None,
        rights: Vec::new(),
        redacted: None,
    };
    match ServiceConnectionString::parse(text) {
        Ok(parsed) => ConnectionStringCheck {
            rights: rights(&parsed.policy).iter().map(|right| (*right).to_owned()).collect(),
            redacted: Some(parsed.redacted()),
            host_name: Some(parsed.host_name),
            policy: Some(parsed.policy),
            ..none
        },
        Err(error) => ConnectionStringCheck {
            problem: Some(ConnectionStringProblem {
                part: error.part.into(),
                message: error.problem,
            }),
            ..none
        },
    }
}

/// What IoT Hub's built-in policies may do.
fn rights(policy: &str) -> &'static [&'static str] {
    match policy {
        "iothubowner" => &["registryRead", "registryWrite", "serviceConnect", "deviceConnect"],
        "service" => &["serviceConnect"],
        "device" => &["deviceConnect"],
        "registryRead" => &["registryRead"],
        "registryReadWrite" => &["registryRead", "registryWrite"],
        _ => &[],
    }
}

impl App {
    /// Tries the string on its hub, keeps it, and opens the hub. On an error nothing is kept.
    pub async fn add_hub(&self, text: Secret, alias: String, colour: String, production: bool) -> Result<SavedHub> {
        let connection = ServiceConnectionString::parse(text.expose())?;
        let client = HubClient::with_retries(connection.clone(), trust::system()?, RetryPolicy::NEVER)?;
        client.count("").await?;
        let id = crate::random_id()?;
        let place = self.0.credentials.keep(&id, &connection.to_secret()).await?;
        let alias = if alias.trim().is_empty() {
            connection.host().to_owned()
        } else {
            alias.trim().to_owned()
        };
        let saved = SavedHub {
            id,
            alias,
            host_name: connection.host_name.clone(),
            policy: connection.policy.clone(),
            kind: HubKind::Remote,
            colour,
            production,
            secret_place: place,
        };
        if place == SecretPlace::Session {
            // Without its string a saved hub would be an empty promise after a restart.
            self.session_hubs().push(saved.clone());
        } else {
            let hub = saved.clone();
            let insert =
                "INSERT INTO hubs (id, alias, host_name, policy, colour, production) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            self.0
                .db
                .call(move |sql| {
                    sql.execute(
                        insert,
                        params![hub.id, hub.alias, hub.host_name, hub.policy, hub.colour, hub.production],
                    )?;
                    Ok(())
                })
                .await?;
        }
        self.open_hub(&saved.id).await?;
        Ok(saved)
    }

    pub(crate) async fn saved_hubs(&self) -> Result<Vec<SavedHub>> {
        let kept = self.0.db.call(|sql| {
            let mut statement =
                sql.prepare("SELECT id, alias, host_name, policy, colour, production FROM hubs ORDER BY alias")?;
            let rows = statement.query_map([], |row| {
                Ok(SavedHub {
                    id: row.get(0)?,
                    alias: row.get(1)?,
                    host_name: row.get(2)?,
                    policy: row.get(3)?,
                    kind: HubKind::Remote,
                    colour: row.get(4)?,
                    production: row.get(5)?,
                    secret_place: SecretPlace::Keychain,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        });
        let mut hubs = kept.await?;
        hubs.extend(self.session_hubs().iter().cloned());
        if self.local_hub_state().status == LocalHubStatus::Running {
            hubs.insert(0, self.local_saved());
        }
        Ok(hubs)
    }

    fn local_saved(&self) -> SavedHub {
        SavedHub {
            id: LOCAL.into(),
            alias: "Local hub".into(),
            host_name: self.local_hub_state().host_name,
            policy: "iothubowner".into(),
            kind: HubKind::Local,
            colour: String::new(),
            production: false,
            secret_place: SecretPlace::DataFolder,
        }
    }

    pub async fn open_hub(&self, id: &str) -> Result<()> {
        if id == LOCAL {
            return self.start_local_hub().await;
        }
        let hubs = self.saved_hubs().await?;
        let saved = hubs.into_iter().find(|hub| hub.id == id);
        let saved = saved.ok_or_else(|| AppError::new(Code::NotFound, "This hub is no longer saved."))?;
        let secret = self.0.credentials.find(id).await?;
        let connection = ServiceConnectionString::parse(secret.expose())?;
        let reach = Reach {
            connection,
            tls: trust::system()?,
            mqtt_port: 8883,
            source: watch::Source::Query {
                pause: watch::REMOTE_PAUSE,
            },
            is_limited: true,
        };
        self.switch_to(saved, reach).await
    }

    async fn switch_to(&self, saved: SavedHub, reach: Reach) -> Result<()> {
        let _one_at_a_time = self.0.switching.lock().await;
        self.close_current().await;
        let (events, dir) = (self.0.events.clone(), self.0.dir.as_path());
        let hub = OpenHub::open(saved, reach, &self.0.db, &self.model_files(), events, dir).await?;
        self.set_open(Some(hub.clone()));
        self.hub_changed();
        self.resume_fleets(&hub);
        self.resume_updates(hub.clone());
        self.resume_jobs(hub);
        Ok(())
    }

    fn hub_changed(&self) {
        self.0.events.note(|pending| {
            pending.reset = true;
            pending.state = true;
            pending.fleets = true;
        });
    }

    async fn close_current(&self) {
        if let Some(hub) = self.set_open(None) {
            hub.close(&self.0.db).await;
        }
    }

    pub async fn close_hub(&self) {
        let _one_at_a_time = self.0.switching.lock().await;
        self.close_current().await;
        self.hub_changed();
    }

    /// Removes the saved hub and its key; the hub itself is not touched.
    pub async fn forget_hub(&self, id: &str) -> Result<()> {
        if self.hub().is_ok_and(|hub| hub.saved.id == id) {
            self.close_hub().await;
        }
        self.0.credentials.forget(id).await?;
        self.session_hubs().retain(|hub| hub.id != id);
        let id = id.to_owned();
        self.0
            .db
            .call(move |sql| {
                sql.execute("DELETE FROM hubs WHERE id = ?1", [&id])?;
                sql.execute("DELETE FROM fleets WHERE hub_id = ?1", [&id])?;
                sql.execute("DELETE FROM method_calls WHERE hub_id = ?1", [&id])?;
                sql.execute("DELETE FROM jobs WHERE hub_id = ?1", [&id])?;
                sql.execute("DELETE FROM twin_changes WHERE hub_id = ?1", [&id])?;
                Ok(())
            })
            .await?;
        self.0.events.state_changed();
        Ok(())
    }

    // ---- the hub on this machine ---------------------------------------------------------

    /// Starts it if it is not running, and opens it.
    pub async fn start_local_hub(&self) -> Result<()> {
        let mut local = self.0.local.lock().await;
        if local.is_none() {
            self.set_local_state(|state| state.status = LocalHubStatus::Starting);
            match LocalHub::start(self.local_config()).await {
                Ok(hub) => {
                    let addresses = hub.addresses().clone();
                    self.set_local_state(|state| {
                        *state = LocalHubState {
                            status: LocalHubStatus::Running,
                            host_name: addresses.host_name,
                            mqtt_port: addresses.mqtt_port,
                            https_port: addresses.https_port,
                            ca_file: addresses.ca_file.display().to_string(),
                            data_dir: addresses.data_dir.display().to_string(),
                            note: addresses.note,
                            error: None,
                        };
                    });
                    *local = Some(Arc::new(hub));
                }
                Err(error) => {
                    let error = AppError::from(error);
                    self.set_local_state(|state| {
                        state.status = LocalHubStatus::Failed;
                        state.error = Some(error.clone());
                    });
                    return Err(error);
                }
            }
        }
        let Some(hub) = local.clone() else {
            return Err(AppError::no_hub());
        };
        drop(local);
        let reach = Reach {
            connection: hub.service_connection_string(),
            tls: trust::only(&hub.addresses().ca_file)?,
            mqtt_port: hub.addresses().mqtt_port,
            source: watch::Source::Events(hub.subscribe()),
            is_limited: self.local_config().limits.is_some(),
        };
        self.switch_to(self.local_saved(), reach).await
    }

    pub async fn stop_local_hub(&self) -> Result<()> {
        if self.hub().is_ok_and(|hub| hub.saved.id == LOCAL) {
            self.close_hub().await;
        }
        self.unwatch_local_hub();
        let hub = self.0.local.lock().await.take();
        if let Some(hub) = hub {
            // Nobody else holds it for longer than a call.
            match Arc::try_unwrap(hub) {
                Ok(hub) => hub.shutdown().await,
                Err(still_used) => drop(still_used),
            }
        }
        self.set_local_state(|state| state.status = LocalHubStatus::Stopped);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::check_connection_string;

    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

    #[test]
    fn a_good_string_says_what_it_opens_and_never_returns_the_key() {
        let check = check_connection_string(&format!("HostName=h;SharedAccessKeyName=service;SharedAccessKey={KEY}"));
        assert_eq!(check.rights, ["serviceConnect"]);
        assert!(!serde_json::to_string(&check).unwrap().contains(KEY));
    }

    #[test]
    fn a_bad_string_names_its_part() {
        let check = check_connection_string("HostName=h;SharedAccessKeyName=p;SharedAccessKey=short");
        assert_eq!(check.problem.unwrap().part, "SharedAccessKey");
    }
}
