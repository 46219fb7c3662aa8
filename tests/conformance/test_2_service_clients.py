"""The service clients on their own: registry, twins, queries, errors."""

import uuid

import pytest

from peers import Refused


def test_a_created_device_is_listed_until_it_is_deleted(service):
    created = service.create()
    device_id = created["deviceId"]

    assert created["status"] == "enabled"
    assert created["etag"]
    assert device_id in [device["deviceId"] for device in service.call("list")]
    assert service.call("get", deviceId=device_id)["etag"] == created["etag"]

    service.call("delete", deviceId=device_id)

    assert device_id not in [device["deviceId"] for device in service.call("list")]
    with pytest.raises(Refused) as refused:
        service.call("get", deviceId=device_id)
    assert (refused.value.status, refused.value.name) == (404, "DeviceNotFound")


def test_creating_a_device_twice_is_refused(service):
    created = service.create()

    with pytest.raises(Refused) as refused:
        service.create(created["deviceId"])

    assert (refused.value.status, refused.value.name) == (409, "DeviceAlreadyExists")


def test_an_update_moves_the_etag_and_keeps_the_keys(service):
    created = service.create()
    device_id = created["deviceId"]

    service.call("update", deviceId=device_id, status="disabled", etag=created["etag"])

    after = service.call("get", deviceId=device_id)
    assert after["status"] == "disabled"
    assert after["etag"] != created["etag"]
    same_key = after.pop("primaryKey") in created["connectionString"].reveal()
    assert same_key, "an update that sends the keys back must not make new ones"


def test_an_update_with_a_stale_etag_changes_nothing(service):
    created = service.create()
    device_id = created["deviceId"]
    service.call("update", deviceId=device_id, status="disabled", etag=created["etag"])

    with pytest.raises(Refused) as refused:
        service.call("update", deviceId=device_id, status="enabled", etag=created["etag"])

    # The Node client sends an etag only in bulk requests, and those fail as 400 with a list of errors.
    assert refused.value.status == (412 if service.language == "python" else 400)
    assert service.call("get", deviceId=device_id)["status"] == "disabled"


def test_a_twin_update_with_a_stale_etag_changes_nothing(service):
    device_id = service.create()["deviceId"]
    first = service.call("twin", deviceId=device_id)
    second = service.call("updateTwin", deviceId=device_id, tags={"hall": "A"}, etag=first["etag"])
    assert second["etag"] != first["etag"]

    with pytest.raises(Refused) as refused:
        service.call("updateTwin", deviceId=device_id, tags={"hall": "B"}, etag=first["etag"])

    assert (refused.value.status, refused.value.name) == (412, "PreconditionFailed")
    assert service.call("twin", deviceId=device_id)["tags"] == {"hall": "A"}


def test_a_query_on_a_tag_is_answered_page_by_page(service):
    mark = uuid.uuid4().hex
    wanted = set()
    for _ in range(5):
        device_id = service.create()["deviceId"]
        service.call("updateTwin", deviceId=device_id, tags={"site": {"x": mark}})
        wanted.add(device_id)
    service.create()

    pages = service.call(
        "query", sql=f"SELECT * FROM devices WHERE tags.site.x = '{mark}'", pageSize=2
    )

    found = [device_id for page in pages for device_id in page]
    assert len(found) == len(set(found)), "no device may stand on two pages"
    assert set(found) == wanted
    assert len(pages) >= 3
    assert max(len(page) for page in pages) <= 2


def test_a_query_the_hub_cannot_read_is_a_bad_request(service):
    with pytest.raises(Refused) as refused:
        service.call("query", sql="SELECT * FROM devices WHERE tags.x LIKE 'a%'", pageSize=10)

    assert refused.value.status == 400


def test_a_method_on_an_offline_device_is_refused_as_not_online(service):
    device_id = service.create()["deviceId"]

    with pytest.raises(Refused) as refused:
        service.call("invoke", deviceId=device_id, method="echo", payload={})

    assert refused.value.status == 404
    assert refused.value.number == 404103
    assert refused.value.name == "DeviceNotOnline"
