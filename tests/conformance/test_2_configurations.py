"""Automatic device management, through the published service clients."""

import uuid

import pytest

from peers import Refused


@pytest.fixture
def configuration(service):
    made = []

    def create(target, content, priority=10):
        made.append(f"cfg-{uuid.uuid4().hex[:8]}")
        return service.call(
            "createConfiguration",
            configurationId=made[-1],
            content=content,
            targetCondition=target,
            priority=priority,
            labels={"team": "x"},
        )

    yield create
    for each in made:
        if each in service.call("listConfigurations"):
            service.call("deleteConfiguration", configurationId=each)


def test_a_configuration_reaches_a_connected_device(service, configuration, connect):
    device = connect("node")
    mark = uuid.uuid4().hex
    service.call("updateTwin", deviceId=device.id, tags={"mark": mark})

    created = configuration(
        f"tags.mark = '{mark}'", {"deviceContent": {"properties.desired.limits": {"speed": 30}}}
    )

    device.expect("desired", where=lambda e: e["patch"].get("limits") == {"speed": 30})
    stored = service.call("getConfiguration", configurationId=created["id"])
    assert stored["content"] == {"deviceContent": {"properties.desired.limits": {"speed": 30}}}
    assert (stored["priority"], stored["labels"]) == (10, {"team": "x"})
    assert stored["systemMetrics"] == {"targetedCount": 1, "appliedCount": 1}
    assert created["id"] in service.call("listConfigurations")


def test_a_configuration_reaches_a_connected_module(service, configuration, connect):
    device_id = service.create()["deviceId"]
    module = connect("python-async", service.create(device_id, "mod1"))
    mark = uuid.uuid4().hex
    service.call("updateTwin", deviceId=device_id, moduleId="mod1", tags={"mark": mark})

    configuration(
        f"FROM devices.modules WHERE tags.mark = '{mark}'",
        {"moduleContent": {"properties.desired.speed": 7}},
    )

    module.expect("desired", where=lambda e: e["patch"].get("speed") == 7)


def test_a_configuration_with_a_new_target_reaches_other_devices(service, configuration, connect):
    device = connect("python")
    created = configuration("tags.mark = 'nobody'", {"deviceContent": {"properties.desired.mode": "eco"}})

    changed = service.call(
        "updateConfiguration", configurationId=created["id"], targetCondition=f"deviceId = '{device.id}'"
    )

    assert changed["etag"] != created["etag"]
    device.expect("desired", where=lambda e: e["patch"].get("mode") == "eco")


def test_a_deleted_configuration_is_gone(service, configuration):
    created = configuration("tags.mark = 'nobody'", {"deviceContent": {"properties.desired.a": 1}})

    service.call("deleteConfiguration", configurationId=created["id"])

    with pytest.raises(Refused) as refused:
        service.call("getConfiguration", configurationId=created["id"])
    assert (refused.value.status, refused.value.name) == (404, "ConfigurationNotFound")


def test_queries_of_a_configuration_are_tested_before_it_is_made(services):
    service = services["python"]  # the Node client has no such call
    good = "SELECT deviceId FROM devices WHERE tags.a = 1"

    fine = service.call("testQueries", targetCondition="tags.a = 1", metrics={"m": good})
    wrong = service.call("testQueries", targetCondition="tags.a LIKE", metrics={"m": good, "n": "SELECT"})

    assert fine == {"targetConditionError": None, "customMetricQueryErrors": {}}
    assert wrong["targetConditionError"]
    assert list(wrong["customMetricQueryErrors"]) == ["n"]
