"""Jobs, through the published service clients."""

import datetime
import time
import uuid

import pytest

from peers import Refused


@pytest.fixture
def job_id():
    return f"job-{uuid.uuid4().hex[:8]}"


def finished(service, job_id):
    """The clients offer nothing to wait on, so a job is asked for until it has ended."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        job = service.call("job", jobId=job_id)
        if job["status"] not in ("enqueued", "queued", "scheduled", "running"):
            return job
    raise AssertionError(f"the job has not ended: {job}")


def test_a_job_changes_the_twin_of_a_connected_device(service, connect, job_id):
    device = connect("node")

    scheduled = service.call(
        "schedule", jobId=job_id, condition=f"deviceId = '{device.id}'", desired={"interval": 60}
    )

    assert (scheduled["jobId"], scheduled["type"]) == (job_id, "scheduleUpdateTwin")
    device.expect("desired", where=lambda e: e["patch"].get("interval") == 60)
    job = finished(service, job_id)
    assert (job["status"], job["succeeded"], job["failed"]) == ("completed", 1, 0)


def test_a_job_invokes_a_method_and_keeps_what_each_device_answered(service, connect, job_id):
    device = connect("python")
    offline = service.create()["deviceId"]

    service.call(
        "schedule",
        jobId=job_id,
        condition=f"deviceId IN ['{device.id}', '{offline}']",
        method="echo",
        payload={"n": 1},
    )

    device.expect("method", name="echo", payload={"n": 1})
    job = finished(service, job_id)
    assert (job["status"], job["succeeded"], job["failed"]) == ("completed", 1, 1)
    rows = service.call("rows", sql=f"SELECT * FROM devices.jobs WHERE jobId = '{job_id}'")
    rows = {row["deviceId"]: row for row in rows}
    answer = rows[device.id]["outcome"]["deviceMethodResponse"]
    assert answer == {"status": 200, "payload": {"echo": {"n": 1}, "by": "python"}}
    assert rows[offline]["error"]["code"] == "DeviceNotOnline"


def test_a_job_that_waits_for_its_time_is_listed_and_can_be_cancelled(service, job_id):
    tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    service.call(
        "schedule",
        jobId=job_id,
        condition="deviceId = 'nobody'",
        desired={"a": 1},
        startTime=tomorrow.isoformat(),
    )
    assert service.call("job", jobId=job_id)["status"] in ("queued", "scheduled")

    service.call("cancelJob", jobId=job_id)

    assert service.call("job", jobId=job_id)["status"] == "cancelled"


def test_the_jobs_of_a_type_are_listed_page_by_page(services):
    service = services["node"]  # the Python client expects an object where IoT Hub sends an array
    job_ids = {f"job-{uuid.uuid4().hex[:8]}" for _ in range(3)}
    for each in job_ids:
        service.call("schedule", jobId=each, condition="deviceId = 'nobody'", desired={"a": 1})
        finished(service, each)

    listed = service.call("listJobs", type="scheduleUpdateTwin", status="completed")

    assert job_ids <= {job["jobId"] for job in listed}
    assert {job["type"] for job in listed} == {"scheduleUpdateTwin"}


def test_a_job_id_is_taken_once(service, job_id):
    work = {"jobId": job_id, "condition": "deviceId = 'nobody'", "desired": {"a": 1}}
    service.call("schedule", **work)

    with pytest.raises(Refused) as refused:
        service.call("schedule", **work)

    assert (refused.value.status, refused.value.name) == (409, "JobAlreadyExists")


def test_a_job_made_with_twindeckctl_is_known_to_the_clients(hub, service, services, connect, tmp_path):
    device = connect("node")
    patch = '{"properties": {"desired": {"building": 43, "floor": 3}}}'

    made = hub.control(
        "job", "run", "twin", patch, "--device", device.id, "--on-hub", "--data-dir", str(tmp_path)
    )

    job = service.call("job", jobId=made["id"])
    assert (job["status"], job["succeeded"], job["failed"]) == ("completed", 1, 0)
    # The Python client expects an object where IoT Hub sends an array.
    listed = services["node"].call("listJobs", type="scheduleUpdateTwin", status="completed")
    assert made["id"] in [job["jobId"] for job in listed]


def test_a_job_made_with_a_client_is_known_to_twindeckctl(hub, service, connect, job_id, tmp_path):
    device = connect("node")
    service.call("schedule", jobId=job_id, condition=f"deviceId = '{device.id}'", desired={"interval": 60})
    finished(service, job_id)

    listed = hub.control("job", "list", "--device", device.id, "--data-dir", str(tmp_path))
    told = hub.control("job", "show", job_id, "--data-dir", str(tmp_path))

    assert [(job["id"], job["ours"], job["state"]) for job in listed] == [(job_id, False, "completed")]
    assert [child["deviceId"] for child in told["devices"]] == [device.id]
