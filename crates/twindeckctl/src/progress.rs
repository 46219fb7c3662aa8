//! An update on the screen: a bar of devices that ended, and how many are in which stage.

use std::{
    collections::BTreeMap,
    io::IsTerminal,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use hub_protocol::DeviceId;
use indicatif::{ProgressBar, ProgressStyle};
use twindeck_app::{
    firmware::{self, Attempt, Journal, attempt::is_terminal},
    view::UpdateStage,
};

use crate::{firmware::stage_name, output::Output};

/// Lines in a log file come no faster than this.
const PAUSE: Duration = Duration::from_millis(200);

struct Shown {
    stages: BTreeMap<DeviceId, UpdateStage>,
    last_line: Option<Instant>,
}

pub(crate) struct Progress {
    shown: Mutex<Shown>,
    bar: Option<ProgressBar>,
    output: Output,
}

impl Progress {
    pub(crate) fn new(ids: &[DeviceId], output: Output) -> Self {
        let is_drawn = !output.is_json() && std::io::stderr().is_terminal();
        let bar = is_drawn.then(|| {
            let bar = ProgressBar::new(ids.len() as u64);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}  {elapsed}  {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self {
            shown: Mutex::new(Shown {
                stages: ids.iter().map(|id| (id.clone(), UpdateStage::Queued)).collect(),
                last_line: None,
            }),
            bar,
            output,
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Journal for Progress {
    async fn save(&self, changed: Vec<(DeviceId, Attempt)>) -> twindeck_app::Result<()> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown
            .stages
            .extend(changed.into_iter().map(|(id, attempt)| (id, attempt.stage)));
        let ended = shown.stages.values().filter(|stage| is_terminal(**stage)).count();
        let text = sentence(shown.stages.values().copied());
        match &self.bar {
            Some(bar) => {
                bar.set_position(ended as u64);
                bar.set_message(text);
            }
            None if ended == shown.stages.len() || shown.last_line.is_none_or(|last| last.elapsed() >= PAUSE) => {
                shown.last_line = Some(Instant::now());
                self.output.progress(&text);
            }
            None => {}
        }
        Ok(())
    }
}

fn sentence(stages: impl Iterator<Item = UpdateStage>) -> String {
    let counts = firmware::counts(stages);
    let parts = counts
        .iter()
        .map(|count| format!("{} {}", count.count, stage_name(count.stage)));
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_counted_by_stage() {
        let stages = [UpdateStage::Completed, UpdateStage::Queued, UpdateStage::Completed];
        assert_eq!(sentence(stages.into_iter()), "1 queued, 2 completed");
    }
}
