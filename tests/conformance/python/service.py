"""The published `azure-iot-hub` service client: one JSON command a line in, one answer a line out."""

import json
import os
import sys

from azure.iot.hub import (
    DigitalTwinClient,
    IoTHubConfigurationManager,
    IoTHubJobManager,
    IoTHubRegistryManager,
)
from azure.iot.hub.models import (
    CloudToDeviceMethod,
    Configuration,
    ConfigurationContent,
    ConfigurationMetrics,
    ConfigurationQueriesTestInput,
    ExportImportDevice,
    QuerySpecification,
    Twin,
    TwinProperties,
)
from azure.iot.hub.protocol.models import JobRequest
from msrest.exceptions import HttpOperationError

connection_string = os.environ["IOTHUB_CONNECTION_STRING"]
registry = IoTHubRegistryManager.from_connection_string(connection_string)
configurations = IoTHubConfigurationManager.from_connection_string(connection_string)
digital_twins = DigitalTwinClient.from_connection_string(connection_string)
jobs = IoTHubJobManager.from_connection_string(connection_string)


def identity(created):
    summary = {
        "deviceId": created.device_id,
        "etag": created.etag,
        "authentication": created.authentication.type,
        "connectionState": created.connection_state,
    }
    if hasattr(created, "module_id"):
        summary["moduleId"] = created.module_id
        summary["managedBy"] = created.managed_by
    else:
        summary["status"] = created.status
    if created.authentication.type == "sas":
        summary["primaryKey"] = created.authentication.symmetric_key.primary_key
    return summary


def twin_summary(twin):
    desired, reported = twin.properties.desired, twin.properties.reported
    return {
        "etag": twin.etag,
        "tags": twin.tags or {},
        "connectionState": twin.connection_state,
        "desired": without_metadata(desired),
        "desiredVersion": desired["$version"],
        "reported": without_metadata(reported),
    }


def without_metadata(section):
    return {k: v for k, v in section.items() if not k.startswith("$")}


def create(deviceId, moduleId=None, credential="sas", thumbprint=None):
    if moduleId:
        if credential == "selfSigned":
            made = registry.create_module_with_x509(deviceId, moduleId, None, thumbprint, thumbprint)
        elif credential == "certificateAuthority":
            made = registry.create_module_with_certificate_authority(deviceId, moduleId, None)
        else:
            made = registry.create_module_with_sas(deviceId, moduleId, None, None, None)
    elif credential == "selfSigned":
        made = registry.create_device_with_x509(deviceId, thumbprint, thumbprint, "enabled")
    elif credential == "certificateAuthority":
        made = registry.create_device_with_certificate_authority(deviceId, "enabled")
    else:
        made = registry.create_device_with_sas(deviceId, None, None, "enabled")
    return identity(made)


def get(deviceId, moduleId=None):
    if moduleId:
        return identity(registry.get_module(deviceId, moduleId))
    return identity(registry.get_device(deviceId))


def list_devices():
    return [{"deviceId": d.device_id, "status": d.status} for d in registry.get_devices(1000)]


def list_modules(deviceId):
    return [module.module_id for module in registry.get_modules(deviceId)]


def update(deviceId, status, etag):
    keys = registry.get_device(deviceId).authentication.symmetric_key
    return identity(
        registry.update_device_with_sas(
            deviceId, etag, keys.primary_key, keys.secondary_key, status
        )
    )


def update_module(deviceId, moduleId, managedBy):
    module = registry.get_module(deviceId, moduleId)
    keys = module.authentication.symmetric_key
    return identity(
        registry.update_module_with_sas(
            deviceId, moduleId, managedBy, module.etag, keys.primary_key, keys.secondary_key
        )
    )


def delete(deviceId, moduleId=None):
    if moduleId:
        registry.delete_module(deviceId, moduleId)
    else:
        registry.delete_device(deviceId)


def bulk(mode, deviceIds, status=None):
    done = registry.bulk_create_or_update_devices(
        [ExportImportDevice(id=each, import_mode=mode, status=status) for each in deviceIds]
    )
    return done.is_successful


def statistics():
    return registry.get_device_registry_statistics().serialize()


def connected_devices():
    return registry.get_service_statistics().connected_device_count


def twin(deviceId, moduleId=None):
    if moduleId:
        return twin_summary(registry.get_module_twin(deviceId, moduleId))
    return twin_summary(registry.get_twin(deviceId))


def update_twin(deviceId, moduleId=None, tags=None, desired=None, etag=None):
    patch = Twin(tags=tags, properties=desired and TwinProperties(desired=desired))
    if moduleId:
        return twin_summary(registry.update_module_twin(deviceId, moduleId, patch, etag))
    return twin_summary(registry.update_twin(deviceId, patch, etag))


def replace_twin(deviceId, moduleId=None, tags=None, desired=None):
    whole = Twin(tags=tags, properties=TwinProperties(desired=desired))
    if moduleId:
        return twin_summary(registry.replace_module_twin(deviceId, moduleId, whole))
    return twin_summary(registry.replace_twin(deviceId, whole))


def query(sql, pageSize):
    return [[item.device_id for item in page] for page in pages(sql, pageSize)]


def rows(sql):
    """Rows that are no twins: this client makes twins of them all, and keeps what twins do not have aside."""
    found = [item for page in pages(sql, 100) for item in page]
    return [{**(item.additional_properties or {}), **item.serialize()} for item in found]


def pages(sql, pageSize):
    token = None
    while True:
        page = registry.query_iot_hub(QuerySpecification(query=sql), token, pageSize)
        yield page.items
        token = page.continuation_token
        if not token:
            return


def invoke(deviceId, method, payload, moduleId=None, connectTimeout=0):
    request = CloudToDeviceMethod(
        method_name=method,
        payload=payload,
        response_timeout_in_seconds=30,
        connect_timeout_in_seconds=connectTimeout,
    )
    if moduleId:
        answer = registry.invoke_device_module_method(deviceId, moduleId, request)
    else:
        answer = registry.invoke_device_method(deviceId, request)
    return {"status": answer.status, "payload": answer.payload}


def configuration_summary(configuration):
    return {
        "id": configuration.id,
        "etag": configuration.etag,
        "priority": configuration.priority,
        "targetCondition": configuration.target_condition,
        "labels": configuration.labels,
        "content": without_empty(configuration.content.serialize()),
        "systemMetrics": configuration.system_metrics.results,
    }


def without_empty(section):
    return {k: v for k, v in section.items() if v}


def create_configuration(configurationId, content, targetCondition, priority, labels):
    return configuration_summary(
        configurations.create_configuration(
            Configuration(
                id=configurationId,
                schema_version="1.0",
                content=ConfigurationContent(
                    device_content=content.get("deviceContent"),
                    module_content=content.get("moduleContent"),
                ),
                target_condition=targetCondition,
                priority=priority,
                labels=labels,
                metrics=ConfigurationMetrics(queries={}),
            )
        )
    )


def get_configuration(configurationId):
    return configuration_summary(configurations.get_configuration(configurationId))


def list_configurations():
    return [each.id for each in configurations.get_configurations(100)]


def update_configuration(configurationId, targetCondition):
    changed = configurations.get_configuration(configurationId)
    changed.target_condition = targetCondition
    return configuration_summary(
        configurations.update_configuration(changed, f'"{changed.etag}"')
    )


def delete_configuration(configurationId):
    configurations.delete_configuration(configurationId)


def test_queries(targetCondition, metrics):
    tested = configurations.test_configuration_queries(
        ConfigurationQueriesTestInput(
            target_condition=targetCondition, custom_metric_queries=metrics
        )
    )
    return {
        "targetConditionError": tested.target_condition_error,
        "customMetricQueryErrors": tested.custom_metric_query_errors or {},
    }


def digital_twin(deviceId):
    return digital_twins.get_digital_twin(deviceId)


def update_digital_twin(deviceId, patch):
    digital_twins.update_digital_twin(deviceId, patch)


def command(deviceId, name, payload, component=None):
    if component:
        return digital_twins.invoke_component_command(deviceId, component, name, payload)
    return digital_twins.invoke_command(deviceId, name, payload)


def job_summary(job):
    # This client knows the statistics; other fields the tests do not read.
    statistics = job.device_job_statistics
    return {
        "jobId": job.job_id,
        "type": job.type,
        "status": job.status,
        "succeeded": statistics and statistics.succeeded_count,
        "failed": statistics and statistics.failed_count,
    }


def schedule(jobId, condition, method=None, payload=None, desired=None, startTime=None):
    if method:
        work = {
            "type": "scheduleDeviceMethod",
            "cloud_to_device_method": CloudToDeviceMethod(
                method_name=method, payload=payload, response_timeout_in_seconds=30
            ),
        }
    else:
        work = {
            "type": "scheduleUpdateTwin",
            "update_twin": Twin(etag="*", properties=TwinProperties(desired=desired)),
        }
    request = JobRequest(
        job_id=jobId,
        query_condition=condition,
        start_time=startTime,
        max_execution_time_in_seconds=60,
        **work,
    )
    return job_summary(jobs.create_scheduled_job(jobId, request))


def job(jobId):
    return job_summary(jobs.get_scheduled_job(jobId))


def cancel_job(jobId):
    return job_summary(jobs.cancel_scheduled_job(jobId))


COMMANDS = {
    "create": create,
    "get": get,
    "list": list_devices,
    "listModules": list_modules,
    "update": update,
    "updateModule": update_module,
    "delete": delete,
    "bulk": bulk,
    "statistics": statistics,
    "connectedDevices": connected_devices,
    "twin": twin,
    "updateTwin": update_twin,
    "replaceTwin": replace_twin,
    "query": query,
    "rows": rows,
    "invoke": invoke,
    "createConfiguration": create_configuration,
    "getConfiguration": get_configuration,
    "listConfigurations": list_configurations,
    "updateConfiguration": update_configuration,
    "deleteConfiguration": delete_configuration,
    "testQueries": test_queries,
    "digitalTwin": digital_twin,
    "updateDigitalTwin": update_digital_twin,
    "command": command,
    "schedule": schedule,
    "job": job,
    "cancelJob": cancel_job,
}

for line in sys.stdin:
    command = json.loads(line)
    answer = {"event": "answer", "id": command.pop("id")}
    try:
        answer["result"] = COMMANDS[command.pop("do")](**command)
    except HttpOperationError as error:
        response = error.response
        answer["error"] = {
            "status": response.status_code,
            "header": response.headers.get("iothub-errorcode"),
            "body": response.text,
        }
    except Exception as error:  # noqa: BLE001 - whatever the client raises is the test's to judge
        answer["error"] = {"message": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
