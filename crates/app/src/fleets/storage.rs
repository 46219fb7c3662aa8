//! Fleets and their devices in the application's database.

use device_sim::Fault;
use hub_protocol::{DeviceId, merge::Object};
use rusqlite::{Connection, params};

use crate::{db::Db, error::Result};

pub(super) struct StoredFleet {
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) source: String,
    pub(super) created_at: String,
    pub(super) starts_with_hub: bool,
}

pub(super) struct StoredDevice {
    pub(super) id: DeviceId,
    pub(super) fleet: u32,
    pub(super) model: String,
    /// Its own; `None` where it has what its fleet gives it.
    pub(super) faults: Option<Vec<Fault>>,
    pub(super) memory: Object,
    /// Whether it is meant to run.
    pub(super) running: bool,
}

pub(super) async fn load(db: &Db, hub_id: &str) -> Result<(Vec<StoredFleet>, Vec<StoredDevice>)> {
    let hub_id = hub_id.to_owned();
    db.call(move |sql| Ok((fleets(sql, &hub_id)?, devices(sql, &hub_id)?)))
        .await
}

fn fleets(sql: &Connection, hub_id: &str) -> Result<Vec<StoredFleet>> {
    let mut statement =
        sql.prepare("SELECT id, name, source, created_at, starts_with_hub FROM fleets WHERE hub_id = ?1 ORDER BY id")?;
    let rows = statement.query_map([hub_id], |row| {
        Ok(StoredFleet {
            id: row.get(0)?,
            name: row.get(1)?,
            source: row.get(2)?,
            created_at: row.get(3)?,
            starts_with_hub: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn devices(sql: &Connection, hub_id: &str) -> Result<Vec<StoredDevice>> {
    let mut statement =
        sql.prepare("SELECT device_id, fleet_id, model, faults, memory, running FROM simulated WHERE hub_id = ?1")?;
    let mut rows = statement.query([hub_id])?;
    let mut devices = Vec::new();
    while let Some(row) = rows.next()? {
        let Ok(id) = DeviceId::new(row.get::<_, String>(0)?) else {
            continue;
        };
        let faults: Option<String> = row.get(3)?;
        let memory: String = row.get(4)?;
        devices.push(StoredDevice {
            id,
            fleet: row.get(1)?,
            model: row.get(2)?,
            // What a newer version wrote and this one does not know is as if it were not there.
            faults: faults.and_then(|text| serde_json::from_str(&text).ok()),
            memory: serde_json::from_str(&memory).unwrap_or_default(),
            running: row.get(5)?,
        });
    }
    Ok(devices)
}

pub(super) async fn insert_fleet(db: &Db, hub_id: &str, fleet: StoredFleet) -> Result<u32> {
    let hub_id = hub_id.to_owned();
    let insert = "INSERT INTO fleets (hub_id, name, source, created_at, starts_with_hub) VALUES (?1, ?2, ?3, ?4, ?5)";
    db.call(move |sql| {
        sql.execute(
            insert,
            params![
                hub_id,
                fleet.name,
                fleet.source,
                fleet.created_at,
                fleet.starts_with_hub
            ],
        )?;
        Ok(u32::try_from(sql.last_insert_rowid()).unwrap_or(u32::MAX))
    })
    .await
}

pub(super) async fn update_fleet(db: &Db, id: u32, source: String, starts_with_hub: bool) -> Result<()> {
    db.call(move |sql| {
        sql.execute(
            "UPDATE fleets SET source = ?2, starts_with_hub = ?3 WHERE id = ?1",
            params![id, source, starts_with_hub],
        )?;
        Ok(())
    })
    .await
}

pub(super) async fn delete_fleet(db: &Db, id: u32) -> Result<()> {
    db.call(move |sql| {
        sql.execute("DELETE FROM fleets WHERE id = ?1", [id])?;
        Ok(())
    })
    .await
}

/// Devices that exist on the hub from now on, and are meant to run or not.
pub(super) async fn insert_devices(
    db: &Db,
    hub_id: &str,
    fleet: u32,
    devices: Vec<(DeviceId, String)>,
    running: bool,
) -> Result<()> {
    let hub_id = hub_id.to_owned();
    let insert = "INSERT OR REPLACE INTO simulated (hub_id, device_id, fleet_id, model, memory, running) VALUES (?1, ?2, ?3, ?4, '{}', ?5)";
    db.call(move |sql| {
        let mut statement = sql.prepare(insert)?;
        for (id, model) in devices {
            statement.execute(params![hub_id, id.as_str(), fleet, model, running])?;
        }
        Ok(())
    })
    .await
}

pub(super) async fn delete_devices(db: &Db, hub_id: &str, ids: Vec<DeviceId>) -> Result<()> {
    each(
        db,
        hub_id,
        ids,
        "DELETE FROM simulated WHERE hub_id = ?1 AND device_id = ?2",
    )
    .await
}

pub(super) async fn set_running(db: &Db, hub_id: &str, ids: Vec<DeviceId>, running: bool) -> Result<()> {
    let update = if running {
        "UPDATE simulated SET running = 1 WHERE hub_id = ?1 AND device_id = ?2"
    } else {
        "UPDATE simulated SET running = 0 WHERE hub_id = ?1 AND device_id = ?2"
    };
    each(db, hub_id, ids, update).await
}

async fn each(db: &Db, hub_id: &str, ids: Vec<DeviceId>, change: &'static str) -> Result<()> {
    let hub_id = hub_id.to_owned();
    db.call(move |sql| {
        let mut statement = sql.prepare(change)?;
        for id in ids {
            statement.execute(params![hub_id, id.as_str()])?;
        }
        Ok(())
    })
    .await
}

pub(super) async fn set_faults(db: &Db, hub_id: &str, id: &DeviceId, faults: Option<&[Fault]>) -> Result<()> {
    let (hub_id, id) = (hub_id.to_owned(), id.clone());
    let text = faults.map(|faults| serde_json::json!(faults).to_string());
    db.call(move |sql| {
        sql.execute(
            "UPDATE simulated SET faults = ?3 WHERE hub_id = ?1 AND device_id = ?2",
            params![hub_id, id.as_str(), text],
        )?;
        Ok(())
    })
    .await
}

pub(super) async fn write_memories(db: &Db, hub_id: &str, memories: Vec<(DeviceId, String)>) -> Result<()> {
    let hub_id = hub_id.to_owned();
    db.call(move |sql| {
        let mut statement = sql.prepare("UPDATE simulated SET memory = ?3 WHERE hub_id = ?1 AND device_id = ?2")?;
        for (id, memory) in memories {
            statement.execute(params![hub_id, id.as_str(), memory])?;
        }
        Ok(())
    })
    .await
}
