"""A client that renews its token connects anew; what it had subscribed to still stands."""

import pytest

from peers import launch_device

# Python renews 120 s before the end; the Node program asks for a renewal after 5 s.
LIFETIMES = {"python": 125, "python-async": 125, "node": 10}


@pytest.fixture(scope="module")
def renewing(hub, services):
    """All start together, so that the seconds until they renew pass once."""
    running = {
        (client, transport): launch_device(
            client, hub, services["python"].create(), transport=transport, token_seconds=seconds
        )
        for client, seconds in LIFETIMES.items()
        for transport in ["mqtt", "websocket"]
    }
    yield running
    for device in running.values():
        device.close()


@pytest.mark.parametrize("transport", ["mqtt", "websocket"])
@pytest.mark.parametrize("client", LIFETIMES)
def test_recon_01_after_a_renewal_everything_arrives_without_a_new_subscription(
    renewing, services, hub, client, transport
):
    device, service = renewing[client, transport], services["python"]
    device.expect("ready", within=60)
    # A Python client that has seen one change asks for what it missed when it connects again.
    service.call("updateTwin", deviceId=device.id, desired={"after": "start"})
    device.expect("desired", where=lambda e: e["patch"].get("after") == "start")

    await_renewal(device)

    device.take_all("subscribe")
    service.call("updateTwin", deviceId=device.id, desired={"after": "renewal"})
    device.expect("desired", where=lambda e: e["patch"].get("after") == "renewal")
    answer = service.call(
        "invoke", deviceId=device.id, method="echo", payload={"n": 1}, connectTimeout=20
    )
    assert answer["payload"]["echo"] == {"n": 1}
    hub.send(device.id, "hello", "m1")
    device.expect("message", id="m1")
    # The Python programs tell of every subscription, Node cannot.
    assert not device.take_all("subscribe")


def await_renewal(device):
    """A fresh one: they come every five seconds."""
    signs = ["renewed"] if device.language == "node" else ["disconnected", "connected"]
    for sign in signs:
        device.take_all(sign)
    for sign in signs:
        device.expect(sign)
