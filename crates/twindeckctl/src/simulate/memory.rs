//! What devices remember, kept in a file between two runs.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use device_sim::{Fleet, FleetEvent, News};
use hub_protocol::{DeviceId, merge::Object};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tokio::{
    sync::broadcast::{
        Receiver,
        error::{RecvError, TryRecvError},
    },
    time::{Instant, sleep_until},
};

use crate::failure::{Failure, Result};

/// What changed is written no later than this; a killed process loses as much.
const SAVE_AFTER: Duration = Duration::from_secs(2);

/// Only what devices remember beyond what their model gives them. No keys.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    devices: BTreeMap<DeviceId, Object>,
}

pub(crate) struct MemoryFile {
    path: PathBuf,
    kept: Kept,
    save_at: Option<Instant>,
}

impl MemoryFile {
    /// A file that is not there yet remembers nothing.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let kept = match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                let text = format!("{} does not hold what devices remember: {error}.", path.display());
                Failure::usage(
                    text,
                    "Name another file with --state, or remove this one to begin anew.",
                )
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => Kept::default(),
            Err(error) => {
                let text = format!("{} cannot be read: {error}.", path.display());
                return Err(Failure::usage(text, "Name another file with --state."));
            }
        };
        let file = Self {
            path: path.to_owned(),
            kept,
            save_at: None,
        };
        // Better told now than after an hour.
        file.save()?;
        Ok(file)
    }

    pub(crate) fn of(&self, id: &DeviceId) -> Object {
        self.kept.devices.get(id).cloned().unwrap_or_default()
    }

    /// Follows the fleet; ends only with an error.
    pub(crate) async fn follow(&mut self, fleet: &Fleet, news: &mut Receiver<FleetEvent>) -> Result<()> {
        loop {
            let save_at = self.save_at.unwrap_or_else(|| Instant::now() + SAVE_AFTER);
            tokio::select! {
                event = news.recv() => self.take(fleet, event),
                () = sleep_until(save_at), if self.save_at.is_some() => self.save_now()?,
            }
        }
    }

    /// Takes what is left to be heard, and saves.
    pub(crate) fn finish(&mut self, news: &mut Receiver<FleetEvent>) -> Result<()> {
        loop {
            match news.try_recv() {
                Ok(event) => self.note(event),
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return self.save_now(),
            }
        }
    }

    fn take(&mut self, fleet: &Fleet, event: std::result::Result<FleetEvent, RecvError>) {
        match event {
            Ok(event) => self.note(event),
            Err(RecvError::Lagged(_)) => self.read(fleet),
            Err(RecvError::Closed) => {}
        }
    }

    /// Takes from every running device what it remembers now.
    pub(crate) fn read(&mut self, fleet: &Fleet) {
        for (id, _) in fleet.states() {
            if let Some(memory) = fleet.memory(&id) {
                self.remember(id, memory);
            }
        }
    }

    fn note(&mut self, event: FleetEvent) {
        if let News::Memory(memory) = event.news {
            self.remember(event.device_id, memory);
        }
    }

    fn remember(&mut self, id: DeviceId, memory: Object) {
        if memory.is_empty() {
            self.kept.devices.remove(&id);
        } else {
            self.kept.devices.insert(id, memory);
        }
        self.save_at.get_or_insert_with(|| Instant::now() + SAVE_AFTER);
    }

    fn save_now(&mut self) -> Result<()> {
        self.save_at = None;
        self.save()
    }

    /// All or nothing: a new file takes the old one's place.
    fn save(&self) -> Result<()> {
        let write = || {
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
            serde_json::to_writer(&mut file, &self.kept)?;
            file.flush()?;
            file.persist(&self.path)?;
            Ok(())
        };
        write().map_err(|error: std::io::Error| {
            let text = format!(
                "What devices remember cannot be written to {}: {error}.",
                self.path.display()
            );
            Failure::internal(text)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(value: Value) -> Object {
        let Value::Object(object) = value else {
            panic!("{value}")
        };
        object
    }

    #[test]
    fn what_was_saved_is_there_again_and_a_new_file_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        let id = DeviceId::new("pump-1").unwrap();
        let mut file = MemoryFile::open(&path).unwrap();
        assert!(file.of(&id).is_empty());
        let memory = object(json!({ "firmwareVersion": "2.0.0" }));
        file.note(FleetEvent {
            device_id: id.clone(),
            news: News::Memory(memory.clone()),
        });
        file.save_now().unwrap();
        assert_eq!(MemoryFile::open(&path).unwrap().of(&id), memory);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn news_that_came_too_fast_at_the_end_lose_only_what_was_overtaken() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = MemoryFile::open(&dir.path().join("state.json")).unwrap();
        let id = DeviceId::new("pump-1").unwrap();
        let (tell, mut news) = tokio::sync::broadcast::channel(2);
        for boots in 1..=9 {
            let memory = object(json!({ "boots": boots }));
            let event = FleetEvent {
                device_id: id.clone(),
                news: News::Memory(memory),
            };
            tell.send(event).unwrap();
        }
        file.finish(&mut news).unwrap();
        assert_eq!(MemoryFile::open(&file.path).unwrap().of(&id)["boots"], 9);
    }

    #[test]
    fn a_file_of_something_else_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        std::fs::write(&path, "my notes").unwrap();
        assert!(matches!(MemoryFile::open(&path), Err(Failure::Usage(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "my notes");
    }
}
