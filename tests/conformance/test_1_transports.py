"""Every published MQTT client, over each transport, with each credential, as a device and as a module."""

import itertools
import uuid

import pytest

from certificates import self_signed
from peers import start_device

CLIENTS = ["python", "python-async", "node"]
TRANSPORTS = ["mqtt", "websocket"]
CREDENTIALS = ["key", "thumbprint", "authority"]
KINDS = ["device", "module"]


def worth_trying(client, transport, credential, kind):
    if credential == "authority" and transport == "websocket":
        return False  # a thumbprint shows already that the certificate comes through
    return not (client == "node" and kind == "module" and credential != "key")  # it refuses on its own


IDENTITIES = [
    "-".join(words)
    for words in itertools.product(CLIENTS, TRANSPORTS, CREDENTIALS, KINDS)
    if worth_trying(*words)
]


def register(service, kind, credential, authority, own_certificate):
    device_id = f"conf-{uuid.uuid4().hex[:10]}"
    module_id = "mod1" if kind == "module" else None
    if module_id:
        service.create(device_id)
    shown = {
        "key": lambda: None,
        "thumbprint": lambda: own_certificate,
        "authority": lambda: authority.sign("/".join(filter(None, [device_id, module_id]))),
    }[credential]()
    return service.create(device_id, module_id, shown)


@pytest.fixture(scope="module", params=IDENTITIES)
def identity(request, hub, services, authority, own_certificate):
    """A connected client, and the words that name its twin and methods to the service."""
    client, transport, credential, kind = request.param.rsplit("-", 3)
    service = services["python"]
    created = register(service, kind, credential, authority, own_certificate)
    device = start_device(client, hub, created, transport=transport)
    words = {"deviceId": device.id, "moduleId": "mod1" if kind == "module" else None}
    yield device, service, words
    device.close()


def test_telemetry_is_acknowledged_over_every_transport(identity):
    device, _, _ = identity

    device.tell("send", body={"temperature": 20}, properties={"unit": "c & °/=+"})

    device.expect("sent")


def test_a_method_is_answered_over_every_transport(identity):
    device, service, words = identity

    answer = service.call("invoke", **words, method="echo", payload={"n": 1})

    assert answer == {"status": 200, "payload": {"echo": {"n": 1}, "by": device.language}}


def test_a_twin_goes_both_ways_over_every_transport(identity):
    device, service, words = identity

    changed = service.call("updateTwin", **words, desired={"interval": 60})
    told = device.expect("desired", where=lambda e: e["patch"].get("interval") == 60)
    assert told["patch"]["$version"] == changed["desiredVersion"]

    device.tell("report", patch={"interval": 60})
    device.expect("reported")
    assert service.call("twin", **words)["reported"]["interval"] == 60

    device.tell("twin")
    twin = device.expect("twin")
    assert (twin["desired"]["interval"], twin["reported"]["interval"]) == (60, 60)


# Messages go to devices alone.
@pytest.mark.parametrize(
    "identity", [i for i in IDENTITIES if i.endswith("-device")], indirect=True, scope="module"
)
def test_a_message_reaches_the_device_over_every_transport(identity, hub):
    device, _, _ = identity

    hub.send(device.id, "grüße".encode(), "m 1", properties={"level": "high"})

    message = device.expect("message", id="m 1")
    assert message["body"] == "grüße"
    assert message["properties"]["level"] == "high"


@pytest.mark.parametrize("client", CLIENTS)
def test_an_unregistered_certificate_is_refused(client, connect, services, own_certificate, tmp_path):
    created = services["python"].create(credential=own_certificate)
    created["credential"] = self_signed(tmp_path, "stranger")

    with pytest.raises(AssertionError, match="CredentialError|UnauthorizedError"):
        connect(client, created)
