"""What the device program and its asynchronous twin share: how a client is made and what it tells."""

import json
import logging
import os
import threading

from azure.iot.device import Message, MethodResponse, X509

writing = threading.Lock()


def emit(event, **fields):
    with writing:
        print(json.dumps({"event": event, **fields}), flush=True)


class SubscribeWatcher(logging.Handler):
    """The client offers no hook for what it subscribes to; its log does."""

    def emit(self, record):
        text = record.getMessage()
        if text.startswith("subscribing to "):
            emit("subscribe", topic=text.split()[2])


def watch_subscriptions():
    transport_log = logging.getLogger("azure.iot.device.common.mqtt_transport")
    transport_log.setLevel(logging.INFO)
    transport_log.addHandler(SubscribeWatcher())
    transport_log.propagate = False


def create(device_class, module_class):
    """The client that the environment asks for."""
    environment = os.environ
    text = environment["DEVICE_CONNECTION_STRING"]
    identity = dict(part.split("=", 1) for part in text.split(";"))
    client_class = module_class if "ModuleId" in identity else device_class
    options = {
        "connection_retry_interval": 2,
        "websockets": environment.get("DEVICE_TRANSPORT") == "websocket",
        "product_info": environment.get("DEVICE_MODEL_ID", ""),
    }
    if "x509" not in identity:
        if "DEVICE_TOKEN_SECONDS" in environment:
            options["sastoken_ttl"] = int(environment["DEVICE_TOKEN_SECONDS"])
        return client_class.create_from_connection_string(text, **options)
    if "ModuleId" in identity:
        options["module_id"] = identity["ModuleId"]
    return client_class.create_from_x509_certificate(
        X509(environment["DEVICE_CERTIFICATE_FILE"], environment["DEVICE_CERTIFICATE_KEY_FILE"]),
        hostname=identity["HostName"],
        device_id=identity["DeviceId"],
        **options,
    )


def answer_to(request, by):
    emit("method", name=request.name, payload=request.payload)
    if request.name == "noSuchMethod":
        status, payload = 404, {"error": f"{request.name} is unknown here"}
    else:
        status, payload = 200, {"echo": request.payload, "by": by}
    return MethodResponse.create_from_method_request(request, status, payload)


def message_of(command):
    message = Message(json.dumps(command["body"]))
    message.content_type = "application/json"
    message.content_encoding = "utf-8"
    message.custom_properties.update(command["properties"])
    return message


def tell_connection(client):
    emit("connected" if client.connected else "disconnected")


def tell_message(message):
    emit(
        "message",
        id=message.message_id,
        body=message.data.decode(),
        properties=message.custom_properties,
    )


def tell_desired(patch):
    emit("desired", patch=patch)


def tell_twin(twin):
    emit("twin", desired=twin["desired"], reported=twin["reported"])
