"""A device on the published `azure-iot-device`: commands in on stdin, events out on stdout."""

import json
import logging
import os
import sys
import threading

from azure.iot.device import IoTHubDeviceClient, Message, MethodResponse

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


def main():
    transport_log = logging.getLogger("azure.iot.device.common.mqtt_transport")
    transport_log.setLevel(logging.INFO)
    transport_log.addHandler(SubscribeWatcher())
    transport_log.propagate = False

    client = IoTHubDeviceClient.create_from_connection_string(
        os.environ["DEVICE_CONNECTION_STRING"], connection_retry_interval=2
    )

    def answer(request):
        emit("method", name=request.name, payload=request.payload)
        if request.name == "echo":
            status, payload = 200, {"echo": request.payload, "by": "python"}
        else:
            status, payload = 404, {"error": f"{request.name} is unknown here"}
        client.send_method_response(
            MethodResponse.create_from_method_request(request, status, payload)
        )

    client.on_connection_state_change = lambda: emit(
        "connected" if client.connected else "disconnected"
    )
    client.connect()
    client.on_method_request_received = answer
    client.on_twin_desired_properties_patch_received = lambda patch: emit("desired", patch=patch)
    emit("ready")

    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "report":
            client.patch_twin_reported_properties(command["patch"])
            emit("reported")
        elif command["do"] == "send":
            message = Message(json.dumps(command["body"]))
            message.content_type = "application/json"
            message.content_encoding = "utf-8"
            message.custom_properties.update(command["properties"])
            client.send_message(message)
            emit("sent")
        elif command["do"] == "twin":
            twin = client.get_twin()
            emit("twin", desired=twin["desired"], reported=twin["reported"])
    client.shutdown()


main()
