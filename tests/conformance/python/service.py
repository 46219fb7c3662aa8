"""The published `azure-iot-hub` service client: one JSON command a line in, one answer a line out."""

import json
import os
import sys

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, QuerySpecification, Twin, TwinProperties
from msrest.exceptions import HttpOperationError

registry = IoTHubRegistryManager.from_connection_string(os.environ["IOTHUB_CONNECTION_STRING"])


def identity(device):
    return {
        "deviceId": device.device_id,
        "etag": device.etag,
        "status": device.status,
        "primaryKey": device.authentication.symmetric_key.primary_key,
    }


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


def create(deviceId):
    return identity(registry.create_device_with_sas(deviceId, None, None, "enabled"))


def get(deviceId):
    return identity(registry.get_device(deviceId))


def list_devices():
    return [{"deviceId": d.device_id, "status": d.status} for d in registry.get_devices(1000)]


def update(deviceId, status, etag):
    keys = registry.get_device(deviceId).authentication.symmetric_key
    return identity(
        registry.update_device_with_sas(
            deviceId, etag, keys.primary_key, keys.secondary_key, status
        )
    )


def delete(deviceId):
    registry.delete_device(deviceId)


def twin(deviceId):
    return twin_summary(registry.get_twin(deviceId))


def update_twin(deviceId, tags=None, desired=None, etag=None):
    patch = Twin(tags=tags, properties=desired and TwinProperties(desired=desired))
    return twin_summary(registry.update_twin(deviceId, patch, etag))


def query(sql, pageSize):
    pages, token = [], None
    while True:
        page = registry.query_iot_hub(QuerySpecification(query=sql), token, pageSize)
        pages.append([item.device_id for item in page.items])
        token = page.continuation_token
        if not token:
            return pages


def invoke(deviceId, method, payload, connectTimeout=0):
    answer = registry.invoke_device_method(
        deviceId,
        CloudToDeviceMethod(
            method_name=method,
            payload=payload,
            response_timeout_in_seconds=30,
            connect_timeout_in_seconds=connectTimeout,
        ),
    )
    return {"status": answer.status, "payload": answer.payload}


COMMANDS = {
    "create": create,
    "get": get,
    "list": list_devices,
    "update": update,
    "delete": delete,
    "twin": twin,
    "updateTwin": update_twin,
    "query": query,
    "invoke": invoke,
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
