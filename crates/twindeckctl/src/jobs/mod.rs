//! `job …` and `bulk …`: the same jobs, engine and history as the window's.

pub(crate) mod arguments;

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use twindeck_app::{
    AppError, Code,
    db::Db,
    jobs::{self, Board, Ground, PackageOrder},
    table::DeviceTable,
    view::{
        Job, JobDevice, JobDeviceFilter, JobFilter, JobPreview, JobRunner, JobState, JobTarget, JobWork, NewJob,
        PackageSource,
    },
    watch::{self, Source},
};

use self::arguments::{Bulk, BulkWork, JobCommand, Jobs, OnHub, Order, Registry, Store, Targets, Work, deed};
use crate::{
    arguments::Call,
    connection::{Connection, Target},
    failure::{Failure, Result},
    firmware::ServedPackage,
    input,
    output::Output,
    stop::Stop,
};

/// Failed devices told one by one at the end.
const TOLD: u32 = 20;
/// Lines of progress come no faster than this.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two looks at a job of which nothing is heard.
const LOOK: Duration = Duration::from_secs(2);

pub(crate) async fn run(command: Jobs, connection: &Connection, output: Output) -> Result<()> {
    let Jobs { store, command } = command;
    match command {
        JobCommand::Run(work) => start(work, &store, connection, output).await,
        JobCommand::Resume => resume(&store, connection, output).await,
        JobCommand::List {
            state,
            device,
            text,
            limit,
        } => {
            let filter = JobFilter {
                state: state.map(JobState::from),
                device_id: device.map(|device| device.to_string()),
                text,
                ..JobFilter::default()
            };
            list(filter, limit, &store, connection, output).await
        }
        JobCommand::Show { id, state } => {
            let desk = Desk::open(&store, connection)?;
            desk.board.refresh().await?;
            show(&desk, &id, state.map(JobState::from), output).await
        }
        JobCommand::Cancel { id } => {
            let desk = Desk::open(&store, connection)?;
            desk.board.refresh().await?;
            desk.board.cancel(id.clone()).await?;
            output.result(
                || format!("{id}: what has not begun does not begin."),
                &json!({ "cancelled": id }),
            )
        }
    }
}

pub(crate) async fn bulk(command: Bulk, connection: &Connection, output: Output) -> Result<()> {
    let on_hub = OnHub {
        on_hub: false,
        detach: false,
    };
    let work = match command.work {
        BulkWork::Invoke { call, order } => Work::Invoke { call, order, on_hub },
        BulkWork::Twin { patch, order } => Work::Twin { patch, order, on_hub },
        BulkWork::Registry(registry) => Work::Registry(registry),
    };
    start(work, &command.store, connection, output).await
}

/// A hub's jobs as this process sees them.
struct Desk {
    board: Board,
    target: Target,
    table: Arc<DeviceTable>,
    changed: Arc<Notify>,
    /// The hub counts queries.
    is_limited: bool,
    stop: CancellationToken,
    _stop: DropGuard,
}

impl Desk {
    fn open(store: &Store, connection: &Connection) -> Result<Self> {
        let target = connection.open()?;
        let dir = data_dir(store)?;
        std::fs::create_dir_all(&dir).map_err(|error| {
            Failure::usage(
                format!("The folder {} cannot be made: {error}.", dir.display()),
                "Name another with --data-dir.",
            )
        })?;
        let db = Db::open(&dir.join("twindeck.db"))?;
        let is_here = target.is_on_this_machine();
        let (table, stop, changed) = (
            Arc::new(DeviceTable::default()),
            CancellationToken::new(),
            Arc::new(Notify::new()),
        );
        let ground = Ground {
            hub_id: jobs::hub_id(&db, target.connection.host(), is_here)?,
            client: target.client.clone(),
            table: table.clone(),
            db,
            locks: dir.join("job-locks"),
            is_limited: store.s1_limits || !is_here,
            is_remote: !is_here,
            stop: stop.clone(),
        };
        let heard = changed.clone();
        Ok(Self {
            board: Board::new(ground, move |_| heard.notify_one(), |_, _| {}),
            target,
            table,
            changed,
            is_limited: store.s1_limits || !is_here,
            _stop: stop.clone().drop_guard(),
            stop,
        })
    }

    /// Reads all devices, and again from time to time until the token is cancelled.
    async fn watch(&self) -> Result<CancellationToken> {
        let pause = if self.target.is_on_this_machine() && !self.is_limited {
            Duration::from_millis(500)
        } else {
            watch::REMOTE_PAUSE
        };
        let watching = self.stop.child_token();
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let tell = move |reading| drop(told.send(reading));
        tokio::spawn(watch::run(
            self.target.client.clone(),
            self.table.clone(),
            Source::Query { pause },
            watching.clone(),
            tell,
        ));
        match heard.recv().await {
            Some(read) => {
                read?;
                Ok(watching)
            }
            None => Err(Failure::internal("The devices could not be read.")),
        }
    }

    fn follow_hub(&self) {
        let board = self.board.clone();
        tokio::spawn(async move { board.follow_hub().await });
    }

    /// Waits for the end of a job, telling how it goes.
    async fn end_of(&self, id: &str, stop: &mut Stop, output: Output) -> Result<Job> {
        let mut told = String::new();
        loop {
            let job = self.board.get(id.to_owned()).await?;
            let text = progress(&job);
            if text != told {
                output.progress(&text);
                told = text;
            }
            if job.ended_at.is_some() {
                return Ok(job);
            }
            tokio::select! {
                () = stop.requested() => {
                    let hint = match job.runner {
                        JobRunner::Hub => "The hub goes on with it.".to_owned(),
                        JobRunner::Here => "twindeckctl job resume goes on with it.".to_owned(),
                    };
                    return Err(AppError::new(Code::Internal, format!("Job {id} was left before its end.")).hint(hint).into());
                }
                () = async {
                    // Nothing is heard of a job that another process runs: it is looked at anyway.
                    let _ = tokio::time::timeout(LOOK, self.changed.notified()).await;
                    tokio::time::sleep(PAUSE).await;
                } => {}
            }
        }
    }
}

fn data_dir(store: &Store) -> Result<PathBuf> {
    let own = || dirs::data_local_dir().map(|dir| dir.join("io.github.twindeck.app"));
    store
        .data_dir
        .clone()
        .or_else(own)
        .ok_or_else(|| Failure::usage("There is no folder for data.", "Name one with --data-dir."))
}

struct Wanted {
    work: JobWork,
    order: Order,
    on_hub: OnHub,
    package: Option<ServedPackage>,
}

async fn wanted(work: Work) -> Result<Wanted> {
    let here = OnHub {
        on_hub: false,
        detach: false,
    };
    let (work, order, on_hub, package) = match work {
        Work::Invoke { call, order, on_hub } => (invoke(call)?, order, on_hub, None),
        Work::Twin { patch, order, on_hub } => {
            let patch = crate::twin::parse(&input::read(&patch)?)?;
            let desired = patch.properties.and_then(|properties| properties.desired);
            let work = JobWork::UpdateTwin {
                tags: patch.tags.map(Value::Object),
                desired: desired.map(Value::Object),
            };
            (work, order, on_hub, None)
        }
        Work::FirmwareUpdate {
            package,
            version,
            order,
        } => {
            let served = ServedPackage::open(package).await?;
            let uri = served.firmware.uri.clone();
            let work = JobWork::FirmwareUpdate {
                package: PackageSource::Uri { uri },
                version,
            };
            (work, order, here, Some(served))
        }
        Work::Reboot { order } => (JobWork::Reboot, order, here, None),
        Work::FactoryReset { order } => (JobWork::FactoryReset, order, here, None),
        Work::ConfigurationUpdate { name, value, order } => {
            let value = parsed(&value)?;
            (JobWork::ConfigurationUpdate { name, value }, order, here, None)
        }
        Work::ReadProperties { names, order } => (JobWork::ReadProperties { names }, order, here, None),
        Work::WriteProperties { properties, order } => {
            let properties = parsed(&input::read(&properties)?)?;
            (JobWork::WriteProperties { properties }, order, here, None)
        }
        Work::Registry(Registry::Enable { order }) => (JobWork::Enable, order, here, None),
        Work::Registry(Registry::Disable { order }) => (JobWork::Disable, order, here, None),
        Work::Registry(Registry::Delete { order }) => (JobWork::Delete, order, here, None),
    };
    Ok(Wanted {
        work,
        order,
        on_hub,
        package,
    })
}

fn invoke(call: Call) -> Result<JobWork> {
    Ok(JobWork::InvokeMethod {
        payload: crate::invoke::payload(&call)?,
        method_name: call.method,
        response_timeout_seconds: call.response_timeout,
        connect_timeout_seconds: call.connect_timeout,
    })
}

fn parsed(text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|error| Failure::usage(format!("This is not JSON: {error}."), "Texts need double quotes."))
}

fn target_of(targets: Targets) -> Result<JobTarget> {
    if targets.all {
        return Ok(JobTarget::Query {
            condition: String::new(),
        });
    }
    if let Some(condition) = targets.query {
        return Ok(JobTarget::Query { condition });
    }
    let ids = match targets.devices_file {
        Some(file) => {
            let text = std::fs::read_to_string(&file).map_err(|error| {
                Failure::usage(
                    format!("{} cannot be read: {error}.", file.display()),
                    "It has a device id a line.",
                )
            })?;
            jobs::ids_of(&text).map_err(Failure::Usage)?
        }
        None => targets.devices.iter().map(ToString::to_string).collect(),
    };
    Ok(JobTarget::Devices { ids })
}

async fn start(work: Work, store: &Store, connection: &Connection, output: Output) -> Result<()> {
    let wanted = wanted(work).await?;
    let (kind, order) = (wanted.work.kind(), wanted.order);
    let target = target_of(order.targets)?;
    let runner = if wanted.on_hub.on_hub {
        JobRunner::Hub
    } else {
        JobRunner::Here
    };
    let desk = Desk::open(store, connection)?;
    let mut stop = Stop::listen()?;
    let watching = desk.watch().await?;
    let preview = desk.board.preview(wanted.work.clone(), target.clone(), runner).await;
    if let Some(problem) = preview.problem {
        return Err(Failure::Usage(problem));
    }
    if order.dry_run {
        return output.result(|| told(&preview), &preview);
    }
    if let Some(deed) = deed(kind).filter(|_| !order.yes) {
        let text = format!("This {deed} {} devices.", preview.count);
        return Err(Failure::usage(text, "Add --yes to do it, or --dry-run to see which."));
    }
    let new = NewJob {
        work: wanted.work,
        target,
        runner,
        start_at: order.at,
        max_minutes: order.max_minutes,
        expected: Some(preview.count),
    };
    let firmware = wanted.package.as_ref().map(|package| PackageOrder {
        uri: package.firmware.uri.clone(),
        sha256: package.firmware.sha256.clone(),
    });
    desk.follow_hub();
    if runner == JobRunner::Hub {
        // The hub looks after the devices, and its list tells how it goes.
        watching.cancel();
    }
    let job = desk.board.create(new, firmware).await?;
    output.progress(&format!("Job {}: {} on {} devices.", job.id, job.title, preview.count));
    if wanted.on_hub.detach {
        let handed = desk.board.handed_over(job.id).await?;
        return output.result(|| format!("{}: {:?}", handed.id, handed.state), &handed);
    }
    let job = desk.end_of(&job.id, &mut stop, output).await?;
    ended(&desk, &job, output).await
}

async fn resume(store: &Store, connection: &Connection, output: Output) -> Result<()> {
    let desk = Desk::open(store, connection)?;
    let mut stop = Stop::listen()?;
    desk.watch().await?;
    let ids = desk.board.resume(async |_| None).await?;
    let mut failed = 0;
    for id in ids {
        let job = desk.end_of(&id, &mut stop, output).await?;
        failed += u32::from(job.state != JobState::Completed);
        output.result(|| format!("{id}: {}", job.status_message), &job)?;
    }
    if failed > 0 {
        let text = format!("{failed} jobs did not end well.");
        return Err(AppError::new(Code::Internal, text)
            .hint("twindeckctl job show tells why.")
            .into());
    }
    Ok(())
}

async fn list(filter: JobFilter, limit: u32, store: &Store, connection: &Connection, output: Output) -> Result<()> {
    let desk = Desk::open(store, connection)?;
    desk.board.refresh().await?;
    let page = desk.board.list(filter, 0, limit).await?;
    let text = || {
        let line = |job: &Job| {
            let state = word(job.state);
            format!(
                "{}  {}  {state:<9}  {}  {}",
                job.id,
                job.created_at,
                job.title,
                progress(job)
            )
        };
        let mut lines: Vec<String> = page.jobs.iter().map(line).collect();
        lines.push(format!("{} of {} jobs.", page.jobs.len(), page.total));
        lines.join("\n")
    };
    output.result(text, &page.jobs)
}

async fn show(desk: &Desk, id: &str, state: Option<JobState>, output: Output) -> Result<()> {
    let job = desk.board.get(id.to_owned()).await?;
    let filter = JobDeviceFilter {
        state,
        ..JobDeviceFilter::default()
    };
    let mut devices: Vec<JobDevice> = Vec::new();
    loop {
        let offset = u32::try_from(devices.len()).unwrap_or(u32::MAX);
        let page = desk.board.devices(id.to_owned(), filter.clone(), offset, 1000).await?;
        if page.devices.is_empty() {
            break;
        }
        devices.extend(page.devices);
    }
    let text = || {
        let mut lines = vec![
            format!("{}  {}  {}", job.id, word(job.state), job.title),
            progress(&job),
        ];
        lines.extend(devices.iter().map(device_line));
        lines.join("\n")
    };
    output.result(text, &json!({ "job": job, "devices": devices }))
}

/// The end of a job for people and machines; only a job all of whose devices did it is a success.
async fn ended(desk: &Desk, job: &Job, output: Output) -> Result<()> {
    let filter = JobDeviceFilter {
        state: Some(JobState::Failed),
        ..JobDeviceFilter::default()
    };
    let failed = desk.board.devices(job.id.clone(), filter, 0, TOLD).await?;
    let text = || {
        let mut lines: Vec<String> = failed.devices.iter().map(device_line).collect();
        if failed.total > TOLD {
            lines.push(format!("… and {} more that failed.", failed.total - TOLD));
        }
        lines.push(format!("{}.", job.status_message));
        lines.join("\n")
    };
    output.result(text, job)?;
    if job.state == JobState::Completed && job.failed == 0 {
        return Ok(());
    }
    let text = match (&job.reason, job.state) {
        (Some(reason), _) => reason.clone(),
        (None, JobState::Cancelled) => "The job was cancelled.".into(),
        (None, _) => format!("{} devices did not do it.", job.failed + job.unknown),
    };
    let hint = format!("twindeckctl job show {} tells all of it.", job.id);
    Err(AppError::new(Code::Internal, text).hint(hint).into())
}

fn word(state: JobState) -> &'static str {
    match state {
        JobState::Unknown => "unknown",
        JobState::Scheduled => "scheduled",
        JobState::Enqueued => "enqueued",
        JobState::Running => "running",
        JobState::Completed => "completed",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}

fn progress(job: &Job) -> String {
    match &job.reason {
        Some(reason) if job.ended_at.is_none() => format!("{}: {reason}", word(job.state)),
        _ if job.ended_at.is_some() => job.status_message.clone(),
        _ => format!(
            "{}: {} of {} ended, {} failed, {} under way",
            word(job.state),
            job.succeeded + job.failed + job.cancelled + job.unknown,
            job.total,
            job.failed + job.unknown,
            job.running
        ),
    }
}

fn device_line(device: &JobDevice) -> String {
    let told = device
        .reason
        .as_deref()
        .or(device.result_text.as_deref())
        .unwrap_or_default();
    format!("{}: {}: {told}", device.device_id, word(device.state))
}

fn told(preview: &JobPreview) -> String {
    let mut lines = vec![format!(
        "{} devices, {} of them connected.",
        preview.count, preview.connected
    )];
    if preview.unchanged > 0 {
        lines.push(format!("{} have these values already.", preview.unchanged));
    }
    lines.extend(
        preview
            .estimated_seconds
            .map(|seconds| format!("By the hub's limits it takes {seconds} seconds.")),
    );
    lines.extend(preview.notes.iter().cloned());
    for difference in &preview.differences {
        lines.push(format!("{}:", difference.device_id));
        let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        lines.extend(
            difference
                .lines
                .iter()
                .map(|line| format!("  {}: {} -> {}", line.path, shown(&line.before), shown(&line.after))),
        );
    }
    if !preview.sample.is_empty() {
        lines.push(format!("Such as {}.", preview.sample.join(", ")));
    }
    lines.join("\n")
}
