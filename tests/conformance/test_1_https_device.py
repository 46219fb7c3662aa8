"""A device on the published HTTPS client, which sends telemetry and settles its messages one by one."""

import pytest

TELEMETRY = {"body": {"temperature": 20}, "properties": {"unit": "c"}}


@pytest.fixture(params=["key", "thumbprint"])
def device(request, services, connect, own_certificate):
    credential = own_certificate if request.param == "thumbprint" else None
    return connect("node-http", services["python"].create(credential=credential))


def test_telemetry_is_taken_over_https_alone_and_in_batches(device):
    device.tell("send", **TELEMETRY)
    device.expect("sent")

    device.tell("sendBatch", messages=[TELEMETRY] * 3)
    device.expect("sent")


def test_a_message_is_received_over_https_and_gone_once_it_is_completed(device, hub):
    hub.send(device.id, "hello", "m1", properties={"level": "high"})
    message = device.expect("message", id="m1")
    # This client calls a property as its header is called.
    assert (message["body"], message["properties"]) == ("hello", {"iothub-app-level": "high"})

    device.tell("settle", how="complete", id="m1")
    device.expect("settled", id="m1")

    hub.send(device.id, "next", "m2")
    device.expect("message", id="m2")
    assert not [m for m in device.take_all("message") if m["id"] == "m1"]


def test_an_abandoned_message_comes_again_and_a_rejected_one_does_not(device, hub):
    hub.send(device.id, "hello", "m1")
    device.expect("message", id="m1")

    device.tell("settle", how="abandon", id="m1")
    device.expect("settled", id="m1")
    device.expect("message", id="m1")

    device.tell("settle", how="reject", id="m1")
    device.expect("settled", id="m1")
    hub.send(device.id, "next", "m2")
    device.expect("message", id="m2")
    assert not [m for m in device.take_all("message") if m["id"] == "m1"]


def test_a_message_that_was_completed_cannot_be_completed_again(device, hub):
    hub.send(device.id, "hello", "m1")
    device.expect("message", id="m1")
    device.tell("settle", how="complete", id="m1")
    device.expect("settled", id="m1")

    device.tell("settle", how="complete", id="m1")

    assert device.expect("unsettled", id="m1")["status"] == 412
