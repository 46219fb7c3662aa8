"""The service clients: modules and their twins, many devices at once, statistics, and queries that count."""

import uuid

import pytest

from peers import Refused


def test_a_module_is_listed_on_its_device_until_it_is_deleted(service):
    device_id = service.create()["deviceId"]
    created = service.create(device_id, "mod1")
    assert created["etag"]
    service.create(device_id, "mod2")
    assert sorted(service.call("listModules", deviceId=device_id)) == ["mod1", "mod2"]

    changed = service.call("updateModule", deviceId=device_id, moduleId="mod1", managedBy="someone")

    assert changed["managedBy"] == "someone"
    assert changed["etag"] != created["etag"]
    assert service.call("get", deviceId=device_id, moduleId="mod1")["managedBy"] == "someone"
    service.call("delete", deviceId=device_id, moduleId="mod1")
    assert service.call("listModules", deviceId=device_id) == ["mod2"]
    with pytest.raises(Refused) as refused:
        service.call("get", deviceId=device_id, moduleId="mod1")
    assert (refused.value.status, refused.value.name) == (404, "ModuleNotFound")


def test_a_module_has_a_twin_and_methods_of_its_own(service, connect):
    device_id = service.create()["deviceId"]
    module = connect("python", service.create(device_id, "mod1"))
    words = {"deviceId": device_id, "moduleId": "mod1"}

    changed = service.call("updateTwin", **words, tags={"hall": "A"}, desired={"speed": 3})

    told = module.expect("desired", where=lambda e: e["patch"].get("speed") == 3)
    assert told["patch"]["$version"] == changed["desiredVersion"]
    assert service.call("twin", **words)["tags"] == {"hall": "A"}
    assert service.call("twin", deviceId=device_id)["desired"] == {}
    answer = service.call("invoke", **words, method="echo", payload={"n": 1})
    assert answer == {"status": 200, "payload": {"echo": {"n": 1}, "by": "python"}}


@pytest.mark.parametrize("module_id", [None, "mod1"], ids=["device", "module"])
def test_a_replaced_twin_keeps_nothing_of_the_old_one(services, module_id):
    service = services["python"]  # the Node client has no such call
    words = {"deviceId": service.create()["deviceId"], "moduleId": module_id}
    if module_id:
        service.create(words["deviceId"], module_id)
    service.call("updateTwin", **words, tags={"hall": "A"}, desired={"a": 1, "b": 2})

    service.call("replaceTwin", **words, tags={"site": "x"}, desired={"b": 3})

    twin = service.call("twin", **words)
    assert (twin["tags"], twin["desired"]) == ({"site": "x"}, {"b": 3})


def test_many_devices_are_created_changed_and_deleted_in_one_call_each(service):
    mark = f"bulk-{uuid.uuid4().hex[:8]}"
    device_ids = [f"{mark}-{n}" for n in range(20)]

    def statuses():
        listed = service.call("list")
        return {d["deviceId"]: d["status"] for d in listed if d["deviceId"].startswith(mark)}

    assert service.call("bulk", mode="create", deviceIds=device_ids, status="enabled")
    assert statuses() == dict.fromkeys(device_ids, "enabled")
    assert service.call("bulk", mode="update", deviceIds=device_ids[:5], status="disabled")
    assert statuses() == dict.fromkeys(device_ids, "enabled") | dict.fromkeys(device_ids[:5], "disabled")
    assert service.call("bulk", mode="delete", deviceIds=device_ids)
    assert statuses() == {}


def test_statistics_count_the_devices(service):
    before = service.call("statistics")
    created = service.create()
    service.call("update", deviceId=created["deviceId"], status="disabled", etag=created["etag"])

    after = service.call("statistics")

    moved = {name: after[name] - before[name] for name in after}
    assert moved == {"totalDeviceCount": 1, "enabledDeviceCount": 0, "disabledDeviceCount": 1}


def test_service_statistics_count_the_connected_devices(services, connect):
    service = services["python"]  # the Node client has no such call
    before = service.call("connectedDevices")

    connect("node")

    assert service.call("connectedDevices") == before + 1


def test_a_projection_answers_with_the_fields_it_names(service):
    mark = uuid.uuid4().hex
    device_id = service.create()["deviceId"]
    service.call("updateTwin", deviceId=device_id, tags={"mark": mark, "floor": 2})

    found = service.call(
        "rows", sql=f"SELECT deviceId, tags.floor AS floor FROM devices WHERE tags.mark = '{mark}'"
    )

    assert found == [{"deviceId": device_id, "floor": 2}]


def test_a_query_groups_and_counts(service):
    mark = uuid.uuid4().hex
    for floor in [1, 1, 2]:
        device_id = service.create()["deviceId"]
        service.call("updateTwin", deviceId=device_id, tags={"mark": mark, "floor": floor})

    found = service.call(
        "rows",
        sql="SELECT tags.floor AS floor, COUNT() AS number FROM devices "
        f"WHERE tags.mark = '{mark}' GROUP BY tags.floor",
    )

    assert sorted((row["floor"], row["number"]) for row in found) == [(1, 2), (2, 1)]


def test_a_query_finds_modules(service):
    device_id = service.create()["deviceId"]
    service.create(device_id, "mod1")

    found = service.call(
        "rows", sql=f"SELECT deviceId, moduleId FROM devices.modules WHERE deviceId = '{device_id}'"
    )

    assert found == [{"deviceId": device_id, "moduleId": "mod1"}]
