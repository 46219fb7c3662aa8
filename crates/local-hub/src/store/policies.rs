//! Shared access policies: the five that every IoT Hub has, with keys of this hub's own.

use std::collections::BTreeMap;

use hub_protocol::{ServiceConnectionString, connection_string::Credential, identity::SymmetricKey, sas::SasKey};
use rusqlite::{Connection, params};

use crate::{error::StoreError, fixture::FixtureError};

/// What a policy may do. `RegistryWrite` implies `RegistryRead`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    RegistryRead = 1,
    RegistryWrite = 2,
    ServiceConnect = 4,
    DeviceConnect = 8,
}

const BUILT_IN: [(&str, u32); 5] = [
    ("iothubowner", 15),
    ("service", 4),
    ("device", 8),
    ("registryRead", 1),
    ("registryReadWrite", 3),
];

#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub name: String,
    rights: u32,
    pub primary: SasKey,
    pub secondary: SasKey,
}

impl Policy {
    pub(crate) fn may(&self, right: Right) -> bool {
        self.rights & right as u32 != 0
    }
}

#[derive(Debug)]
pub(crate) struct Policies(Vec<Policy>);

impl Policies {
    /// Reads the policies, making those that are missing.
    pub(crate) fn open_file(path: &std::path::Path) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        Self::open(&connection)
    }

    fn open(connection: &Connection) -> Result<Self, StoreError> {
        for (name, rights) in BUILT_IN {
            connection.execute(
                "INSERT OR IGNORE INTO policies (name, rights, primary_key, secondary_key) VALUES (?1, ?2, ?3, ?4)",
                params![
                    name,
                    rights,
                    random_key()?.to_base64().expose(),
                    random_key()?.to_base64().expose()
                ],
            )?;
        }
        let mut statement = connection.prepare("SELECT name, rights, primary_key, secondary_key FROM policies")?;
        let rows = statement.query_map([], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, String>(3)?,
            ))
        })?;
        let mut policies = Vec::new();
        for row in rows {
            let (name, rights, primary, secondary) = row?;
            let key = |text: &str| SasKey::parse(text).map_err(|_| rusqlite::Error::InvalidQuery);
            policies.push(Policy {
                name,
                rights,
                primary: key(&primary)?,
                secondary: key(&secondary)?,
            });
        }
        Ok(Self(policies))
    }

    /// Gives built-in policies the keys of a fixture.
    pub(crate) fn set_keys(
        path: &std::path::Path,
        keys: &BTreeMap<String, SymmetricKey>,
    ) -> Result<(), crate::error::StartError> {
        let refused = |error: StoreError| crate::error::StartError::Database {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let connection = Connection::open(path).map_err(|error| refused(error.into()))?;
        for (name, keys) in keys {
            if !BUILT_IN.iter().any(|(known, _)| known == name) {
                return Err(FixtureError::Policy(name.clone()).into());
            }
            let pair = keys.keys().ok().flatten();
            let (primary, secondary) = pair.ok_or_else(|| FixtureError::PolicyKeys(name.clone()))?;
            connection
                .execute(
                    "UPDATE policies SET primary_key = ?2, secondary_key = ?3 WHERE name = ?1",
                    params![name, primary.to_base64().expose(), secondary.to_base64().expose()],
                )
                .map_err(|error| refused(error.into()))?;
        }
        Ok(())
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Policy> {
        self.0.iter().find(|policy| policy.name == name)
    }

    /// # Panics
    /// Never for a built-in policy's name: `open` made them all.
    pub(crate) fn connection_string(&self, policy: &str, host_name: String) -> ServiceConnectionString {
        let Some(found) = self.find(policy) else {
            unreachable!("{policy} is built in")
        };
        ServiceConnectionString {
            host_name,
            policy: found.name.clone(),
            credential: Credential::Key(found.primary.clone()),
        }
    }
}

/// 32 bytes from the operating system.
pub(crate) fn random_key() -> Result<SasKey, StoreError> {
    let mut bytes = vec![0; 32];
    getrandom::fill(&mut bytes).map_err(|_| rusqlite::Error::InvalidQuery)?;
    SasKey::from_bytes(bytes).map_err(|_| rusqlite::Error::InvalidQuery.into())
}
