//! Every device of the open hub, as last known, and news of what changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use hub_protocol::{DeviceId, Timestamp, identity::ConnectionState, merge::Object, twin::Twin};
use local_hub::TwinSection;
use tokio::sync::broadcast;

/// News a reader may be behind before it must look at the table itself.
const NEWS: usize = 16_384;

#[derive(Debug, Clone)]
pub enum TableNews {
    /// `written` is the patch, where it is known; otherwise compare.
    Changed {
        before: Option<Arc<Twin>>,
        twin: Arc<Twin>,
        written: Option<(TwinSection, Arc<Object>)>,
    },
    Removed {
        device_id: DeviceId,
    },
}

#[derive(Clone)]
pub struct Entry {
    pub twin: Arc<Twin>,
    pub connection_changed: Option<Timestamp>,
}

pub struct DeviceTable {
    inner: RwLock<Inner>,
    news: broadcast::Sender<TableNews>,
}

#[derive(Default)]
struct Inner {
    entries: BTreeMap<DeviceId, Entry>,
    connected: usize,
    fresh_at: Option<Timestamp>,
}

impl Default for DeviceTable {
    fn default() -> Self {
        Self {
            inner: RwLock::default(),
            news: broadcast::Sender::new(NEWS),
        }
    }
}

fn is_connected(twin: &Twin) -> bool {
    twin.connection_state == ConnectionState::Connected
}

impl DeviceTable {
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn subscribe(&self) -> broadcast::Receiver<TableNews> {
        self.news.subscribe()
    }

    pub fn get(&self, device_id: &DeviceId) -> Option<Entry> {
        self.read().entries.get(device_id).cloned()
    }

    pub fn has(&self, device_id: &DeviceId) -> bool {
        self.read().entries.contains_key(device_id)
    }

    /// Entries in order of id.
    pub fn page(&self, offset: usize, limit: usize) -> Vec<Entry> {
        self.read().entries.values().skip(offset).take(limit).cloned().collect()
    }

    pub fn ids(&self) -> Vec<DeviceId> {
        self.read().entries.keys().cloned().collect()
    }

    /// Devices, and how many of them are connected.
    pub fn counts(&self) -> (usize, usize) {
        let inner = self.read();
        (inner.entries.len(), inner.connected)
    }

    /// When the table last agreed with the hub.
    pub fn fresh_at(&self) -> Option<Timestamp> {
        self.read().fresh_at
    }

    pub(crate) fn set_fresh(&self, now: Timestamp) {
        self.write().fresh_at = Some(now);
    }

    fn tell(&self, news: TableNews) {
        // Nobody reading is fine.
        let _ = self.news.send(news);
    }

    /// Takes a twin as the hub has it. An older version than the one held is ignored: a page
    /// read before an event may arrive after it.
    pub(crate) fn put(&self, twin: Arc<Twin>, written: Option<(TwinSection, Arc<Object>)>, now: Timestamp) {
        let mut inner = self.write();
        let before = inner.entries.get(&twin.device_id).cloned();
        if let Some(before) = &before
            && (before.twin.version > twin.version || *before.twin == *twin)
        {
            return;
        }
        let flipped = before
            .as_ref()
            .is_some_and(|before| is_connected(&before.twin) != is_connected(&twin));
        let connection_changed = if flipped {
            Some(now)
        } else {
            before.as_ref().and_then(|before| before.connection_changed)
        };
        let was_connected = before.as_ref().is_some_and(|before| is_connected(&before.twin));
        inner.connected = inner.connected + usize::from(is_connected(&twin)) - usize::from(was_connected);
        inner.entries.insert(
            twin.device_id.clone(),
            Entry {
                twin: twin.clone(),
                connection_changed,
            },
        );
        drop(inner);
        self.tell(TableNews::Changed {
            before: before.map(|entry| entry.twin),
            twin,
            written,
        });
    }

    pub(crate) fn set_connected(&self, device_id: &DeviceId, connected: bool, at: Timestamp) {
        let mut inner = self.write();
        let Some(entry) = inner.entries.get_mut(device_id) else {
            return;
        };
        let before = entry.twin.clone();
        if is_connected(&before) == connected {
            return;
        }
        let twin = Arc::make_mut(&mut entry.twin);
        twin.connection_state = if connected {
            ConnectionState::Connected
        } else {
            ConnectionState::Disconnected
        };
        if connected {
            twin.last_activity_time = at;
        }
        entry.connection_changed = Some(at);
        let twin = entry.twin.clone();
        inner.connected = if connected {
            inner.connected + 1
        } else {
            inner.connected - 1
        };
        drop(inner);
        self.tell(TableNews::Changed {
            before: Some(before),
            twin,
            written: None,
        });
    }

    pub(crate) fn remove(&self, device_id: &DeviceId) {
        let mut inner = self.write();
        let Some(entry) = inner.entries.remove(device_id) else {
            return;
        };
        inner.connected -= usize::from(is_connected(&entry.twin));
        drop(inner);
        self.tell(TableNews::Removed {
            device_id: device_id.clone(),
        });
    }

    /// Removes what a whole reading of the hub did not show.
    pub(crate) fn retain(&self, seen: &BTreeSet<DeviceId>) {
        let gone: Vec<DeviceId> = self.ids().into_iter().filter(|id| !seen.contains(id)).collect();
        gone.iter().for_each(|id| self.remove(id));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn twin(version: u64, state: &str) -> Arc<Twin> {
        let document = json!({"deviceId": "d", "etag": "e", "version": version, "connectionState": state});
        Arc::new(serde_json::from_value(document).unwrap())
    }

    #[test]
    fn an_older_version_never_replaces_a_newer_one() {
        let table = DeviceTable::default();
        table.put(twin(5, "Connected"), None, Timestamp::NEVER);
        table.put(twin(4, "Disconnected"), None, Timestamp::NEVER);
        assert_eq!(table.counts(), (1, 1));
    }

    #[test]
    fn the_same_twin_again_is_no_news() {
        let table = DeviceTable::default();
        table.put(twin(5, "Connected"), None, Timestamp::NEVER);
        let mut news = table.subscribe();
        table.put(twin(5, "Connected"), None, Timestamp::NEVER);
        assert!(news.try_recv().is_err());
        table.set_connected(&twin(5, "Connected").device_id, false, Timestamp::NEVER);
        assert!(matches!(news.try_recv(), Ok(TableNews::Changed { .. })));
        assert_eq!(table.counts(), (1, 0));
    }
}
