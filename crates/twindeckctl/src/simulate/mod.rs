//! `simulate`: devices that live as long as this program.

mod memory;
pub(crate) mod plan;
mod register;

use std::{sync::Arc, time::Duration};

use device_sim::{DeviceState, Fleet, FleetEvent, FleetFile, FleetOptions, Member, Shard, SimulatedDevice};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::{
    sync::broadcast::Receiver,
    time::{Instant, sleep},
};
use twindeck_app::trust;

use self::memory::MemoryFile;
use crate::{
    arguments::Simulate,
    connection::{Connection, Target},
    failure::{Failure, Result},
    output::Output,
    stop::Stop,
};

/// Between two looks at the fleet: while it connects, and from then on.
const LOOK: Duration = Duration::from_millis(50);
const LATER_LOOK: Duration = Duration::from_millis(500);
/// Lines for machines come no faster than this.
const LINE: Duration = Duration::from_secs(1);

pub(crate) async fn run(arguments: Simulate, connection: &Connection, output: Output) -> Result<()> {
    if arguments.check {
        return plan::check(&arguments, output);
    }
    let file = plan::fleet(&arguments)?;
    let target = connection.open()?;
    // A hub with an authority of its own is nobody's bill.
    if !target.is_on_this_machine() && connection.ca_file.is_none() {
        warn(&file, &arguments, output)?;
    }
    let memory = arguments.state.as_deref().map(MemoryFile::open).transpose()?;
    let mut stop = Stop::listen()?;
    let members: Vec<Member> = file.shard(arguments.shard.unwrap_or(Shard::WHOLE)).collect();
    let devices = tokio::select! {
        () = stop.requested() => return Ok(()),
        devices = prepare(&target, members, memory.as_ref(), output) => devices?,
    };
    let fleet = Fleet::new(FleetOptions {
        mqtt_port: arguments.mqtt_port,
        connects_per_second: arguments.connects_per_second.unwrap_or(file.connect.per_second),
        token_lifetime: file.connect.token_lifetime.get(),
        ..FleetOptions::new(
            Arc::new(target.tls.clone()),
            // Packages may come from anywhere, also where the hub's own authority says nothing.
            trust::system().unwrap_or_else(|_| target.tls.clone()),
        )
    })
    .map_err(|error| Failure::internal(error.to_string()))?;
    let mut memory = memory.map(|file| (file, fleet.subscribe()));
    let count = devices.len();
    fleet.start(devices);
    let mut status = Status::new(output);
    let followed = tokio::select! {
        () = stop.requested() => Ok(()),
        followed = status.follow(&fleet, count) => followed,
        kept = keep(memory.as_mut(), &fleet) => kept,
    };
    status.bar.finish_and_clear();
    if let Some((file, _)) = &mut memory {
        file.read(&fleet);
    }
    tokio::select! {
        () = fleet.stop_all() => {}
        kept = keep(memory.as_mut(), &fleet) => kept?,
    }
    if let Some((file, news)) = &mut memory {
        file.finish(news)?;
    }
    followed?;
    let counters = fleet.counters();
    let totals = json!({
        "stopped": true,
        "connects": counters.connects,
        "tokensRenewed": counters.tokens_renewed,
        "connectionsLost": counters.connections_lost,
        "refusals": counters.refusals,
        "restarts": counters.restarts,
        "keptOffline": counters.kept_offline,
        "reports": counters.reports,
        "methodsAnswered": counters.methods_answered,
        "messagesSent": counters.messages_sent,
        "messagesDropped": counters.messages_dropped,
        "bytesDownloaded": counters.bytes_downloaded,
    });
    output.result(|| format!("{count} devices have stopped."), &totals)
}

/// Says what the fleet means for a hub in Azure, and goes on only if that is wanted.
fn warn(file: &FleetFile, arguments: &Simulate, output: Output) -> Result<()> {
    let load = file.load();
    if !arguments.yes {
        let text = format!("This fleet may cost money: {load}.");
        return Err(Failure::usage(text, "Add --yes to run it against this hub."));
    }
    if output.is_json() {
        output.json_line(&json!({ "load": plan::load_json(file, arguments) }))
    } else {
        output.progress(&format!("{load}."));
        Ok(())
    }
}

/// Registers the devices that the hub does not know.
pub(crate) async fn prepare(
    target: &Target,
    members: Vec<Member>,
    memory: Option<&MemoryFile>,
    output: Output,
) -> Result<Vec<SimulatedDevice>> {
    let identities: Vec<_> = members
        .iter()
        .map(|member| (member.id.clone(), member.tags.clone()))
        .collect();
    let mut told = Instant::now();
    let mut connections = register::register(target, &identities, |done| {
        if told.elapsed() >= LINE {
            told = Instant::now();
            output.progress(&format!("{done} of {} devices are registered.", identities.len()));
        }
    })
    .await?;
    let device = |member: Member| {
        let connection = connections.remove(&member.id)?;
        Some(SimulatedDevice {
            connection,
            model: member.model,
            time_scale: member.time_scale,
            seed: member.seed,
            memory: memory.map(|memory| memory.of(&member.id)).unwrap_or_default(),
            faults: member.faults,
        })
    };
    Ok(members.into_iter().filter_map(device).collect())
}

/// Ends only with an error.
async fn keep(memory: Option<&mut (MemoryFile, Receiver<FleetEvent>)>, fleet: &Fleet) -> Result<()> {
    match memory {
        Some((file, news)) => file.follow(fleet, news).await,
        None => std::future::pending().await,
    }
}

/// How the fleet is, told without end.
struct Status {
    output: Output,
    bar: ProgressBar,
    is_announced: bool,
    last_line: Option<(Instant, Value)>,
}

impl Status {
    fn new(output: Output) -> Self {
        let bar = if output.is_json() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new_spinner()
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Self {
            output,
            bar,
            is_announced: false,
            last_line: None,
        }
    }

    async fn follow(&mut self, fleet: &Fleet, count: usize) -> Result<()> {
        let mut news = fleet.subscribe();
        loop {
            let states: Vec<DeviceState> = fleet.states().into_iter().map(|(_, state)| state).collect();
            self.tell(&states, count)?;
            // The next change, and what comes with it.
            let _ = news.recv().await;
            sleep(if self.is_announced { LATER_LOOK } else { LOOK }).await;
            news = news.resubscribe();
        }
    }

    fn tell(&mut self, states: &[DeviceState], count: usize) -> Result<()> {
        self.bar.set_message(sentence(states));
        self.bar.tick();
        let connected = states.iter().filter(|state| **state == DeviceState::Connected).count();
        if connected == count && !self.is_announced {
            self.is_announced = true;
            let text = || format!("{count} devices are connected. Stop with Ctrl+C.");
            let ready = json!({ "ready": true, "connected": connected });
            let output = self.output;
            return self.bar.suspend(|| output.result(text, &ready));
        }
        if !self.output.is_json() {
            return Ok(());
        }
        // Machines hear of changes, not too often; what is ready at once has nothing to say before.
        let line = json!({ "progress": progress(states) });
        match &self.last_line {
            Some((at, last)) if at.elapsed() < LINE || *last == line => Ok(()),
            Some(_) => {
                self.last_line = Some((Instant::now(), line.clone()));
                self.output.json_line(&line)
            }
            None => {
                self.last_line = Some((Instant::now(), line));
                Ok(())
            }
        }
    }
}

fn progress(states: &[DeviceState]) -> Value {
    let count = |is: fn(&DeviceState) -> bool| states.iter().filter(|state| is(state)).count();
    json!({
        "devices": states.len(),
        "connected": count(|state| *state == DeviceState::Connected),
        "waiting": count(|state| matches!(state, DeviceState::Waiting { .. })),
        "refused": count(|state| matches!(state, DeviceState::Refused { .. })),
    })
}

fn sentence(states: &[DeviceState]) -> String {
    let counts = progress(states);
    let mut text = format!("{} of {} connected", counts["connected"], states.len());
    for word in ["waiting", "refused"] {
        if counts[word] != 0 {
            text.push_str(&format!(", {} {word}", counts[word]));
        }
    }
    let reason = states.iter().find_map(|state| match state {
        DeviceState::Waiting { reason, .. } | DeviceState::Refused { reason, .. } => Some(reason),
        DeviceState::Connecting | DeviceState::Connected | DeviceState::Stopped => None,
    });
    if let Some(reason) = reason {
        text.push_str(&format!(": {reason}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_line_counts_and_names_a_reason() {
        let refused = DeviceState::Refused {
            reason: "wrong key".into(),
            retry_in: Duration::ZERO,
        };
        let states = [DeviceState::Connected, DeviceState::Connecting, refused];
        assert_eq!(sentence(&states), "1 of 3 connected, 1 refused: wrong key");
    }
}
