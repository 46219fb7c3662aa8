"""IoT Plug and Play: a device that names its model, and the digital twin that services see."""

import pytest

MODEL = "dtmi:com:example:Thermostat;1"
CLIENTS = ["python", "python-async", "node"]


@pytest.fixture(params=CLIENTS)
def device(request, connect):
    return connect(request.param, model_id=MODEL)


def test_a_digital_twin_shows_the_model_and_what_the_device_reports(device, service):
    device.tell("report", patch={"serial": "X1", "probe": {"__t": "c", "max": 40}})
    device.expect("reported")

    twin = service.call("digitalTwin", deviceId=device.id)

    assert (twin["$dtId"], twin["$metadata"]["$model"]) == (device.id, MODEL)
    assert (twin["serial"], twin["probe"]["max"]) == ("X1", 40)


def test_a_change_of_a_digital_twin_reaches_the_device(device, service):
    device.tell("report", patch={"probe": {"__t": "c", "max": 40}})
    device.expect("reported")

    service.call(
        "updateDigitalTwin",
        deviceId=device.id,
        patch=[
            {"op": "add", "path": "/target", "value": 21},
            {"op": "add", "path": "/probe/limit", "value": 50},
        ],
    )

    told = device.expect("desired", where=lambda e: "target" in e["patch"])["patch"]
    assert (told["target"], told["probe"]) == (21, {"__t": "c", "limit": 50})


def test_a_command_reaches_the_device_and_its_components(device, service):
    answer = service.call("command", deviceId=device.id, name="reboot", payload={"delay": 1})
    device.expect("method", name="reboot", payload={"delay": 1})
    assert answer["echo"] == {"delay": 1}

    answer = service.call("command", deviceId=device.id, component="probe", name="reset", payload={"to": 0})
    device.expect("method", name="probe*reset", payload={"to": 0})
    assert answer["echo"] == {"to": 0}
