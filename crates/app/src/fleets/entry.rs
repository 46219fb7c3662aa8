//! One fleet: its file, what that means, and how the window sees it.

use std::{collections::BTreeMap, sync::Arc};

use device_sim::{Fault, FleetFile, Load, Member};
use hub_protocol::DeviceId;
use tokio_util::sync::CancellationToken;

use super::storage::StoredFleet;
use crate::{
    error::{AppError, Result},
    models::{self, Files},
    open_hub::count,
    view::{Fleet, FleetGroup, FleetLoad, FleetTask, FleetTotals, SimulatedState, StateCount, SwitchedFault},
};

pub(super) struct FleetEntry {
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) source: String,
    pub(super) created_at: String,
    pub(super) starts_with_hub: bool,
    /// What the source means; or why it means nothing, with the models there are.
    pub(super) file: std::result::Result<Arc<FleetFile>, String>,
    pub(super) members: BTreeMap<DeviceId, Member>,
    /// Groups of the file by model.
    pub(super) groups: Vec<FleetGroup>,
    pub(super) load: Option<FleetLoad>,
    /// Its devices by state, in the order of `SimulatedState::ALL`.
    pub(super) counts: [u32; 5],
    /// Rises when devices come or go.
    pub(super) version: u32,
    pub(super) run: Option<Arc<device_sim::Fleet>>,
    pub(super) task: Option<FleetTask>,
    pub(super) cancel: Option<CancellationToken>,
}

pub(super) fn load_view(load: &Load) -> FleetLoad {
    FleetLoad {
        devices: u32::try_from(load.devices).unwrap_or(u32::MAX),
        messages_per_day: load.messages_per_day,
        connects_per_second: load.connects_per_second,
        tier: load.tier.to_string(),
        units: u32::try_from(load.units).unwrap_or(u32::MAX),
        too_much: load.is_too_much,
    }
}

/// As the window has a fault. Both are the same JSON.
pub(super) fn switched(faults: &[Fault]) -> Vec<SwitchedFault> {
    let view = |fault: &Fault| {
        let mut value = serde_json::to_value(fault).ok()?;
        let table = value.as_object_mut()?;
        // Left out where they are whole.
        for share in ["devices", "chance"] {
            table.entry(share).or_insert_with(|| 1.0.into());
        }
        serde_json::from_value(value).ok()
    };
    faults.iter().filter_map(view).collect()
}

/// The faults of some that were switched on in the window; wrong settings are named.
pub(super) fn unswitched(faults: &[SwitchedFault]) -> Result<Vec<Fault>> {
    let fault = |fault: &SwitchedFault| {
        let value = serde_json::to_value(fault).unwrap_or_default();
        serde_json::from_value(value).map_err(|error| AppError::invalid(format!("A fault is wrong: {error}.")))
    };
    faults.iter().map(fault).collect()
}

impl FleetEntry {
    pub(super) fn new(stored: StoredFleet, files: &Files) -> Self {
        let mut entry = Self {
            id: stored.id,
            name: stored.name,
            source: stored.source,
            created_at: stored.created_at,
            starts_with_hub: stored.starts_with_hub,
            file: Err(String::new()),
            members: BTreeMap::new(),
            groups: Vec::new(),
            load: None,
            counts: [0; 5],
            version: 0,
            run: None,
            task: None,
            cancel: None,
        };
        entry.read(files);
        entry
    }

    /// Takes the source for what it means with these models.
    pub(super) fn read(&mut self, files: &Files) {
        match FleetFile::parse(&self.source, &models::reader(files)) {
            Ok(file) => self.take(file),
            Err(error) => {
                self.members = BTreeMap::new();
                self.groups = Vec::new();
                self.load = None;
                self.file = Err(error.to_string());
            }
        }
    }

    pub(super) fn take(&mut self, file: FleetFile) {
        self.members = file.members().map(|member| (member.id.clone(), member)).collect();
        self.load = Some(load_view(&file.load()));
        self.groups = Vec::new();
        for member in self.members.values() {
            let Some(group) = file.devices.get(member.group) else {
                continue;
            };
            match self.groups.iter_mut().find(|known| known.model == group.model) {
                Some(known) => known.count += 1,
                None => self.groups.push(FleetGroup {
                    model: group.model.clone(),
                    title: member.model.title().to_owned(),
                    count: 1,
                }),
            }
        }
        self.file = Ok(Arc::new(file));
    }

    pub(super) fn is_busy(&self) -> bool {
        self.task.as_ref().is_some_and(|task| task.running)
    }

    pub(super) fn devices(&self) -> u32 {
        self.counts.iter().sum()
    }

    pub(super) fn running(&self) -> u32 {
        self.counts[1..].iter().sum()
    }

    pub(super) fn missing(&self) -> u32 {
        count(self.members.len()).saturating_sub(self.devices())
    }

    pub(super) fn view(&self, at_ms: u64) -> Fleet {
        let counters = self.run.as_ref().map(|run| run.counters()).unwrap_or_default();
        let counts = SimulatedState::ALL.into_iter().zip(self.counts);
        Fleet {
            id: self.id,
            name: self.name.clone(),
            created_at: self.created_at.clone(),
            devices: self.devices(),
            missing: self.missing(),
            members: self.version,
            groups: self.groups.clone(),
            per_second: self.file.as_ref().map_or(0, |file| file.connect.per_second),
            starts_with_hub: self.starts_with_hub,
            faults: self
                .file
                .as_ref()
                .map_or_else(|_| Vec::new(), |file| switched(&file.faults)),
            counts: counts.map(|(state, count)| StateCount { state, count }).collect(),
            totals: FleetTotals {
                at_ms,
                connects: counters.connects,
                messages: counters.messages_sent,
                reports: counters.reports,
                methods: counters.methods_answered,
            },
            load: self.load.clone(),
            task: self.task.clone(),
            problem: self.file.as_ref().err().cloned(),
        }
    }
}
