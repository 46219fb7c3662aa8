"""As many devices on Microsoft's Python device SDK as there are connection strings on stdin. They behave as model.toml
says. The asynchronous client, as the synchronous one starts more threads for each device."""

import asyncio
import hashlib
import json
import sys
from datetime import datetime, timezone
from urllib.request import urlopen

from azure.iot.device import MethodResponse
from azure.iot.device.aio import IoTHubDeviceClient

CONNECTING = 64


def now():
    return datetime.now(timezone.utc).isoformat()


def downloaded(uri):
    with urlopen(uri) as answer:
        body = answer.read()
    return {"uri": uri, "size": len(body), "sha256": hashlib.sha256(body).hexdigest()}


async def device(connection_string):
    client = IoTHubDeviceClient.create_from_connection_string(connection_string)
    report = client.patch_twin_reported_properties

    async def install(uri):
        await report({"firmwareStatus": "standBy", "logTime": now()})
        await asyncio.sleep(0.02)
        await report({"firmwareStatus": "downloading"})
        package = await asyncio.to_thread(downloaded, uri)
        await asyncio.sleep(0.04)
        await report({"downloadComplete": now(), "firmwarePackage": package})
        await report({"firmwareStatus": "applying", "startedApplyingImage": now()})
        await asyncio.sleep(0.04)
        await report({"firmwareStatus": "completed", "lastFirmwareUpdate": now()})

    async def answer(request):
        update = request.name == "firmwareUpdate"
        payload = {"Response": "Firmware update started"} if update else {"pong": True}
        await client.send_method_response(MethodResponse.create_from_method_request(request, 200, payload))
        if update:
            await install(request.payload["fwPackageUri"])

    async def changed(desired):
        if "level" in desired:
            await report({"level": {"value": desired["level"], "ac": 200, "av": desired["$version"], "ad": "done"}})

    await client.connect()
    # Setting a handler subscribes and blocks until the hub has answered, so threads do it.
    await asyncio.to_thread(setattr, client, "on_method_request_received", answer)
    await asyncio.to_thread(setattr, client, "on_twin_desired_properties_patch_received", changed)
    await client.get_twin()
    await report({"ready": True})
    return client


async def main():
    waiting = sys.stdin.read().split()
    total = len(waiting)
    clients = []

    async def worker():
        while waiting:
            clients.append(await device(waiting.pop()))

    await asyncio.gather(*(worker() for _ in range(CONNECTING)))
    print(json.dumps({"ready": True, "connected": total}), flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
