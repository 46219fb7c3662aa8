//! The table of endpoints: what a path asks for and the right it takes.

use hub_protocol::{ErrorCode, HubError};
use serde_json::json;

use super::{Answer, Call, configurations, device, digital_twins, jobs, messages, registry, twins};
use crate::{hub::Hub, limits::Operation, store::Right};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    ListDevices,
    BulkDevices,
    GetDevice,
    PutDevice,
    DeleteDevice,
    ListModules,
    GetModule,
    PutModule,
    DeleteModule,
    RegenerateKeys,
    DeviceStatistics,
    ServiceStatistics,
    CreateRegistryJob,
    ListRegistryJobs,
    GetRegistryJob,
    CancelRegistryJob,
    Query,
    GetTwin,
    MergeTwin,
    ReplaceTwin,
    InvokeMethod,
    GetDigitalTwin,
    PatchDigitalTwin,
    RootCommand,
    ComponentCommand,
    CreateJob,
    GetJob,
    CancelJob,
    QueryJobs,
    ListConfigurations,
    GetConfiguration,
    PutConfiguration,
    DeleteConfiguration,
    TestConfigurationQueries,
    ApplyConfigurationContent,
    SendMessage,
    PurgeMessages,
    ReceiveFeedback,
    CompleteFeedback,
    AbandonFeedback,
    /// The device's own side of HTTPS (device.md 7.3).
    SendTelemetry,
    ReceiveMessage,
    SettleMessage,
    AbandonMessage,
    Health,
}

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// A policy with any of these rights.
    Policy(&'static [Right]),
    /// The device itself, or a policy that may connect as one.
    Device,
    /// Anybody: it tells nothing but that the hub is there.
    Anyone,
}

impl Endpoint {
    /// Fixed segments compare without case, ids with it.
    fn find(call: &Call) -> Result<Self, HubError> {
        let lower: Vec<String> = call
            .segments
            .iter()
            .map(|segment| segment.to_ascii_lowercase())
            .collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        Ok(match (call.method.as_str(), lower.as_slice()) {
            ("GET", ["healthz"]) => Self::Health,
            ("GET", ["devices"]) => Self::ListDevices,
            ("POST", ["devices"]) => Self::BulkDevices,
            ("POST", ["devices", "query"]) => Self::Query,
            ("POST", ["devices", "keys", "regenerate"]) => Self::RegenerateKeys,
            ("GET", ["devices", _]) => Self::GetDevice,
            ("PUT", ["devices", _]) => Self::PutDevice,
            ("DELETE", ["devices", _]) => Self::DeleteDevice,
            ("GET", ["devices", _, "modules"]) => Self::ListModules,
            ("GET", ["devices", _, "modules", _]) => Self::GetModule,
            ("PUT", ["devices", _, "modules", _]) => Self::PutModule,
            ("DELETE", ["devices", _, "modules", _]) => Self::DeleteModule,
            ("DELETE", ["devices", _, "commands"]) => Self::PurgeMessages,
            ("POST", ["devices", _, "applyconfigurationcontent"]) => Self::ApplyConfigurationContent,
            ("POST", ["devices", _, "messages", "devicebound"]) => Self::SendMessage,
            ("POST", ["devices", _, "messages", "events"]) => Self::SendTelemetry,
            ("GET", ["devices", _, "messages", "devicebound"]) => Self::ReceiveMessage,
            ("DELETE", ["devices", _, "messages", "devicebound", _]) => Self::SettleMessage,
            ("POST", ["devices", _, "messages", "devicebound", _, "abandon"]) => Self::AbandonMessage,
            ("GET", ["statistics", "devices"]) => Self::DeviceStatistics,
            ("GET", ["statistics", "service"]) => Self::ServiceStatistics,
            ("GET", ["twins", _] | ["twins", _, "modules", _]) => Self::GetTwin,
            ("PATCH", ["twins", _] | ["twins", _, "modules", _]) => Self::MergeTwin,
            ("PUT", ["twins", _] | ["twins", _, "modules", _]) => Self::ReplaceTwin,
            ("POST", ["twins", _, "methods"] | ["twins", _, "modules", _, "methods"]) => Self::InvokeMethod,
            ("GET", ["digitaltwins", _]) => Self::GetDigitalTwin,
            ("PATCH", ["digitaltwins", _]) => Self::PatchDigitalTwin,
            ("POST", ["digitaltwins", _, "commands", _]) => Self::RootCommand,
            ("POST", ["digitaltwins", _, "components", _, "commands", _]) => Self::ComponentCommand,
            ("GET", ["jobs", "v2", "query"]) => Self::QueryJobs,
            ("PUT", ["jobs", "v2", _]) => Self::CreateJob,
            ("GET", ["jobs", "v2", _]) => Self::GetJob,
            ("POST", ["jobs", "v2", _, "cancel"]) => Self::CancelJob,
            ("POST", ["jobs", "create"]) => Self::CreateRegistryJob,
            ("GET", ["jobs"]) => Self::ListRegistryJobs,
            ("GET", ["jobs", _]) => Self::GetRegistryJob,
            ("DELETE", ["jobs", _]) => Self::CancelRegistryJob,
            ("GET", ["configurations"]) => Self::ListConfigurations,
            ("POST", ["configurations", "testqueries"]) => Self::TestConfigurationQueries,
            ("GET", ["configurations", _]) => Self::GetConfiguration,
            ("PUT", ["configurations", _]) => Self::PutConfiguration,
            ("DELETE", ["configurations", _]) => Self::DeleteConfiguration,
            ("GET", ["messages", "servicebound", "feedback"]) => Self::ReceiveFeedback,
            ("DELETE", ["messages", "servicebound", "feedback", _]) => Self::CompleteFeedback,
            ("POST", ["messages", "servicebound", "feedback", _, "abandon"]) => Self::AbandonFeedback,
            (
                method,
                [
                    "devices" | "twins" | "digitaltwins" | "statistics" | "jobs" | "configurations" | "messages",
                    ..,
                ],
            ) => {
                let text = format!("{method} is not known for /{}.", call.segments.join("/"));
                return Err(HubError::new(ErrorCode::GenericMethodNotAllowed, text));
            }
            _ => {
                let text = format!("There is nothing at /{}.", call.segments.join("/"));
                return Err(HubError::new(ErrorCode::GenericNotFound, text));
            }
        })
    }

    /// The right each takes (service.md 1.2).
    pub(super) fn access(self) -> Access {
        use Right::{RegistryRead, RegistryWrite, ServiceConnect};
        match self {
            Self::ListDevices
            | Self::GetDevice
            | Self::ListModules
            | Self::GetModule
            | Self::DeviceStatistics
            | Self::ServiceStatistics
            | Self::ListConfigurations
            | Self::GetConfiguration
            | Self::TestConfigurationQueries => Access::Policy(&[RegistryRead]),
            Self::BulkDevices
            | Self::PutDevice
            | Self::DeleteDevice
            | Self::PutModule
            | Self::DeleteModule
            | Self::RegenerateKeys
            | Self::CreateRegistryJob
            | Self::ListRegistryJobs
            | Self::GetRegistryJob
            | Self::CancelRegistryJob
            | Self::PutConfiguration
            | Self::DeleteConfiguration
            | Self::ApplyConfigurationContent => Access::Policy(&[RegistryWrite]),
            Self::Query
            | Self::GetTwin
            | Self::MergeTwin
            | Self::ReplaceTwin
            | Self::InvokeMethod
            | Self::GetDigitalTwin
            | Self::PatchDigitalTwin
            | Self::RootCommand
            | Self::ComponentCommand
            | Self::SendMessage
            | Self::PurgeMessages
            | Self::ReceiveFeedback
            | Self::CompleteFeedback
            | Self::AbandonFeedback => Access::Policy(&[ServiceConnect]),
            Self::CreateJob | Self::GetJob | Self::CancelJob | Self::QueryJobs => {
                Access::Policy(&[ServiceConnect, RegistryWrite])
            }
            Self::SendTelemetry | Self::ReceiveMessage | Self::SettleMessage | Self::AbandonMessage => Access::Device,
            Self::Health => Access::Anyone,
        }
    }

    /// What a call counts as where rates are kept. Bulk calls, methods and telemetry count by
    /// their size, where it is known.
    fn operation(self) -> Option<Operation> {
        Some(match self {
            Self::Health | Self::BulkDevices | Self::InvokeMethod | Self::RootCommand | Self::ComponentCommand => {
                return None;
            }
            Self::SendTelemetry => return None,
            Self::ListDevices
            | Self::GetDevice
            | Self::PutDevice
            | Self::DeleteDevice
            | Self::ListModules
            | Self::GetModule
            | Self::PutModule
            | Self::DeleteModule
            | Self::RegenerateKeys
            | Self::DeviceStatistics
            | Self::ServiceStatistics => Operation::Registry,
            Self::Query => Operation::Query,
            Self::GetTwin | Self::GetDigitalTwin => Operation::TwinRead,
            Self::MergeTwin | Self::ReplaceTwin | Self::PatchDigitalTwin => Operation::TwinUpdate,
            Self::CreateRegistryJob
            | Self::ListRegistryJobs
            | Self::GetRegistryJob
            | Self::CancelRegistryJob
            | Self::CreateJob
            | Self::GetJob
            | Self::CancelJob
            | Self::QueryJobs => Operation::Job,
            Self::ListConfigurations
            | Self::GetConfiguration
            | Self::PutConfiguration
            | Self::DeleteConfiguration
            | Self::TestConfigurationQueries
            | Self::ApplyConfigurationContent => Operation::Configuration,
            Self::SendMessage
            | Self::PurgeMessages
            | Self::ReceiveFeedback
            | Self::CompleteFeedback
            | Self::AbandonFeedback => Operation::MessageToDevice,
            Self::ReceiveMessage | Self::SettleMessage | Self::AbandonMessage => Operation::ReceiveOverHttps,
        })
    }

    /// Errors of direct methods and digital twins travel as a JSON text in the body (service.md
    /// 11.1, shape C).
    fn answers_errors_as_text(self) -> bool {
        matches!(
            self,
            Self::InvokeMethod
                | Self::GetDigitalTwin
                | Self::PatchDigitalTwin
                | Self::RootCommand
                | Self::ComponentCommand
        )
    }

    /// Where a missing id is looked up once more, decoded again. Not where something would be
    /// changed or deleted: `a%41` and `aA` are both ids.
    fn may_decode_again(self) -> bool {
        matches!(
            self,
            Self::GetDevice | Self::ListModules | Self::GetModule | Self::GetTwin | Self::SendMessage
        )
    }

    async fn admit_and_answer(self, hub: &Hub, call: &Call) -> Result<Answer, HubError> {
        admit(hub, call, self.access()).await?;
        if let Some(operation) = self.operation() {
            hub.throttle(operation, 1).await?;
        }
        self.answer(hub, call).await
    }

    async fn answer(self, hub: &Hub, call: &Call) -> Result<Answer, HubError> {
        match self {
            Self::ListDevices => registry::list_devices(hub, call).await,
            Self::BulkDevices => registry::bulk(hub, call).await,
            Self::GetDevice => registry::get_device(hub, call).await,
            Self::PutDevice => registry::put_device(hub, call).await,
            Self::DeleteDevice => registry::delete_device(hub, call).await,
            Self::ListModules => registry::list_modules(hub, call).await,
            Self::GetModule => registry::get_module(hub, call).await,
            Self::PutModule => registry::put_module(hub, call).await,
            Self::DeleteModule => registry::delete_module(hub, call).await,
            Self::RegenerateKeys => registry::regenerate_keys(hub, call).await,
            Self::DeviceStatistics => registry::device_statistics(hub).await,
            Self::ServiceStatistics => registry::service_statistics(hub).await,
            Self::CreateRegistryJob => registry::create_job(hub, call).await,
            Self::ListRegistryJobs => registry::list_jobs(hub).await,
            Self::GetRegistryJob => registry::get_job(hub, call).await,
            Self::CancelRegistryJob => registry::cancel_job(hub, call).await,
            Self::Query => twins::query(hub, call).await,
            Self::GetTwin => twins::get(hub, call).await,
            Self::MergeTwin => twins::write(hub, call, crate::store::TwinWrite::Merge).await,
            Self::ReplaceTwin => twins::write(hub, call, crate::store::TwinWrite::Replace).await,
            Self::InvokeMethod => twins::invoke_method(hub, call).await,
            Self::GetDigitalTwin => digital_twins::get(hub, call).await,
            Self::PatchDigitalTwin => digital_twins::patch(hub, call).await,
            Self::RootCommand => digital_twins::root_command(hub, call).await,
            Self::ComponentCommand => digital_twins::component_command(hub, call).await,
            Self::CreateJob => jobs::create(hub, call).await,
            Self::GetJob => jobs::get(hub, call).await,
            Self::CancelJob => jobs::cancel(hub, call).await,
            Self::QueryJobs => jobs::query(hub, call).await,
            Self::ListConfigurations => configurations::list(hub).await,
            Self::GetConfiguration => configurations::get(hub, call).await,
            Self::PutConfiguration => configurations::put(hub, call).await,
            Self::DeleteConfiguration => configurations::delete(hub, call).await,
            Self::TestConfigurationQueries => configurations::test_queries(call),
            Self::ApplyConfigurationContent => configurations::apply_content(hub, call).await,
            Self::SendMessage => messages::send(hub, call).await,
            Self::PurgeMessages => messages::purge(hub, call).await,
            Self::ReceiveFeedback => messages::receive_feedback(hub).await,
            Self::CompleteFeedback => messages::complete_feedback(hub, call).await,
            Self::AbandonFeedback => messages::abandon_feedback(hub, call).await,
            Self::SendTelemetry => device::send_telemetry(hub, call).await,
            Self::ReceiveMessage => device::receive(hub, call).await,
            Self::SettleMessage => device::settle(hub, call).await,
            Self::AbandonMessage => device::abandon(hub, call).await,
            Self::Health => {
                hub.is_well().await?;
                Ok(Answer::json(&json!({ "status": "ok" })))
            }
        }
    }
}

/// Answers a call, errors included.
pub(super) async fn route(hub: &Hub, call: &Call) -> Answer {
    let endpoint = match Endpoint::find(call) {
        Ok(endpoint) => endpoint,
        Err(error) => return Answer::error(&error, false),
    };
    let mut answer = endpoint.admit_and_answer(hub, call).await;
    // Azure IoT Explorer encodes ids twice (service.md 0.1).
    if matches!(&answer, Err(error) if error.code == ErrorCode::DeviceNotFound)
        && endpoint.may_decode_again()
        && let Some(call) = call.decoded_again()
    {
        // Admitted afresh: a token's scope may cover the one id and not the other.
        answer = endpoint.admit_and_answer(hub, &call).await;
    }
    answer.unwrap_or_else(|error| Answer::error(&error, endpoint.answers_errors_as_text()))
}

async fn admit(hub: &Hub, call: &Call, access: Access) -> Result<(), HubError> {
    let path: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    match access {
        Access::Policy(rights) => hub.gate().service(call.header("Authorization"), &path, rights)?,
        Access::Device => device::admit(hub, call).await?,
        Access::Anyone => return Ok(()),
    }
    check_version(call)
}

/// Any date of this century's tens and later, with or without `-preview`.
fn check_version(call: &Call) -> Result<(), HubError> {
    let version = call.query("api-version").unwrap_or_default();
    let date = version.strip_suffix("-preview").unwrap_or(version).as_bytes();
    let digits = |range: std::ops::Range<usize>| date[range].iter().all(u8::is_ascii_digit);
    let known = date.len() == 10
        && date.starts_with(b"20")
        && date[2] >= b'1'
        && date[4] == b'-'
        && date[7] == b'-'
        && digits(0..4)
        && digits(5..7)
        && digits(8..10);
    if known {
        return Ok(());
    }
    Err(HubError::new(
        ErrorCode::InvalidProtocolVersion,
        format!("The api-version {version:?} is not known."),
    ))
}
