"""What each published device client and each published service client say to each other through the hub."""

import pytest


def test_a_device_answers_a_method_that_the_service_invokes(pair):
    device, service = pair
    payload = {"delay": 3, "text": "grüße", "list": [1, None, {"deep": True}]}

    answer = service.call("invoke", deviceId=device.id, method="echo", payload=payload)

    assert answer == {"status": 200, "payload": {"echo": payload, "by": device.language}}
    device.expect("method", name="echo", payload=payload)


def test_a_method_without_payload_reaches_the_device_as_null_or_empty(pair):
    device, service = pair

    answer = service.call("invoke", deviceId=device.id, method="echo", payload=None)

    # The Python service client turns "no payload" into an empty string on its own.
    sent = "" if service.language == "python" else None
    assert answer["payload"]["echo"] == sent


def test_the_status_a_device_chooses_reaches_the_service(pair):
    device, service = pair

    answer = service.call("invoke", deviceId=device.id, method="noSuchMethod", payload={})

    assert answer == {"status": 404, "payload": {"error": "noSuchMethod is unknown here"}}


def test_the_service_reads_what_the_device_reports(pair):
    device, service = pair

    device.tell("report", patch={"firmware": {"version": "1.2.0", "status": "standBy"}, "gone": 1})
    device.expect("reported")
    device.tell("report", patch={"gone": None, "firmware": {"status": "downloading"}})
    device.expect("reported")

    twin = service.call("twin", deviceId=device.id)
    assert twin["connectionState"] == "Connected"
    assert twin["reported"]["firmware"] == {"version": "1.2.0", "status": "downloading"}
    assert "gone" not in twin["reported"]


def test_the_device_receives_a_desired_change_that_the_service_makes(pair):
    device, service = pair

    changed = service.call("updateTwin", deviceId=device.id, desired={"interval": 60})

    told = device.expect("desired", where=lambda e: e["patch"].get("interval") == 60)
    assert told["patch"]["$version"] == changed["desiredVersion"]


def test_the_device_reads_its_whole_twin(pair):
    device, service = pair
    service.call("updateTwin", deviceId=device.id, desired={"mode": "eco"}, tags={"hall": "B"})
    device.tell("report", patch={"mode": "eco"})
    device.expect("reported")

    device.tell("twin")

    twin = device.expect("twin")
    assert twin["desired"]["mode"] == "eco"
    assert twin["reported"]["mode"] == "eco"


@pytest.mark.parametrize("language", ["python", "node"])
def test_telemetry_is_acknowledged_to_the_device(connect, language):
    device = connect(language)

    for number in range(5):
        device.tell("send", body={"temperature": 20 + number}, properties={"unit": "c & °/=+"})
    for _ in range(5):
        device.expect("sent")
