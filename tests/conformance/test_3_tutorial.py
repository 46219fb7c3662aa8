"""Azure's device-management tutorial, its device script against this hub and this command line."""

import datetime
import sys
import time

from peers import HERE, Peer, device_environment


def test_the_tutorial_device_reboots_when_twindeckctl_invokes_it(hub, services):
    created = services["python"].create()
    device_id = created["deviceId"]
    device = Peer(
        "tutorial device",
        [sys.executable, str(HERE / "tutorial" / "reboot_device.py")],
        device_environment(hub, created),
    )
    try:
        device.expect("line", where=lambda e: "waiting for commands" in e["text"])
        before = time.monotonic()
        answer = hub.control(
            "invoke", device_id, "rebootDevice",
            "--payload", '{"method_number":"42"}',
            "--response-timeout", "60",
            within=90,
        )  # fmt: skip
        took = time.monotonic() - before
        device.expect("line", text="Device twins updated with latest rebootTime")
    finally:
        device.close(grace=0)

    assert answer["status"] == 200
    assert answer["payload"] == {"Response": "This is the response from the device"}
    assert took >= 20, "the device sleeps 20 s before it answers"
    twin = services["python"].call("twin", deviceId=device_id)
    rebooted = datetime.datetime.fromisoformat(twin["reported"]["rebootTime"])
    assert abs(datetime.datetime.now() - rebooted) < datetime.timedelta(minutes=5)
