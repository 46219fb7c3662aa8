"""The same device or module on the asynchronous clients of `azure-iot-device`."""

import asyncio
import json
import sys

from azure.iot.device.aio import IoTHubDeviceClient, IoTHubModuleClient

import clients
from clients import emit


async def main():
    clients.watch_subscriptions()
    client = clients.create(IoTHubDeviceClient, IoTHubModuleClient)

    async def answer(request):
        await client.send_method_response(clients.answer_to(request, "python-async"))

    client.on_connection_state_change = lambda: clients.tell_connection(client)
    await client.connect()
    client.on_method_request_received = answer
    client.on_twin_desired_properties_patch_received = clients.tell_desired
    if isinstance(client, IoTHubDeviceClient):
        client.on_message_received = clients.tell_message
    emit("ready")

    while line := await asyncio.to_thread(sys.stdin.readline):
        command = json.loads(line)
        if command["do"] == "report":
            await client.patch_twin_reported_properties(command["patch"])
            emit("reported")
        elif command["do"] == "send":
            await client.send_message(clients.message_of(command))
            emit("sent")
        elif command["do"] == "twin":
            clients.tell_twin(await client.get_twin())
    await client.shutdown()


asyncio.run(main())
