"""A device or module on the published `azure-iot-device`: commands in on stdin, events out on stdout."""

import json
import sys

from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient

import clients
from clients import emit


def main():
    clients.watch_subscriptions()
    client = clients.create(IoTHubDeviceClient, IoTHubModuleClient)

    def answer(request):
        client.send_method_response(clients.answer_to(request, "python"))

    client.on_connection_state_change = lambda: clients.tell_connection(client)
    client.connect()
    client.on_method_request_received = answer
    client.on_twin_desired_properties_patch_received = clients.tell_desired
    if isinstance(client, IoTHubDeviceClient):
        client.on_message_received = clients.tell_message
    emit("ready")

    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "report":
            client.patch_twin_reported_properties(command["patch"])
            emit("reported")
        elif command["do"] == "send":
            client.send_message(clients.message_of(command))
            emit("sent")
        elif command["do"] == "twin":
            clients.tell_twin(client.get_twin())
    client.shutdown()


main()
