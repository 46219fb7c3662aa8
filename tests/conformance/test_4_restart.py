"""Last, because every open connection ends here."""

import itertools

from peers import launch_device


def test_a_device_survives_a_restart_of_the_hub_without_subscribing_again(hub, services, connect):
    device = connect("python")
    service = services["python"]
    device.tell("report", patch={"kept": "yes"})
    device.expect("reported")
    assert device.take_all("subscribe"), "the device must have subscribed once for this test to mean anything"
    trusted_before = (hub.service_connection_string, open(hub.ca_file, "rb").read())

    code, lines = hub.stop()
    assert code == 0, "SIGTERM ends the hub cleanly"
    assert lines == 1, "the hub prints one line and no more"
    device.expect("disconnected")
    hub.start()
    device.expect("connected", within=60)

    answer = service.call(
        "invoke", deviceId=device.id, method="echo", payload={"after": "restart"}, connectTimeout=20
    )
    assert answer["payload"]["echo"] == {"after": "restart"}
    assert not device.take_all("subscribe")
    assert service.call("twin", deviceId=device.id)["reported"]["kept"] == "yes"
    assert (hub.service_connection_string, open(hub.ca_file, "rb").read()) == trusted_before


def test_every_client_comes_back_after_its_socket_was_cut(hub, services):
    service = services["python"]
    devices = [
        launch_device(client, hub, service.create(), transport=transport)
        for client, transport in itertools.product(["python", "python-async", "node"], ["mqtt", "websocket"])
    ]
    try:
        for device in devices:
            device.expect("ready", within=60)
            service.call("updateTwin", deviceId=device.id, desired={"after": "start"})
            device.expect("desired", where=lambda e: e["patch"].get("after") == "start")
            device.take_all("subscribe")

        hub.kill()
        hub.start()

        for device in devices:
            answer = service.call(
                "invoke", deviceId=device.id, method="echo", payload={"n": 1}, connectTimeout=30, within=70
            )
            assert answer["payload"]["echo"] == {"n": 1}
            hub.send(device.id, "hello", "m1")
            device.expect("message", id="m1")
            service.call("updateTwin", deviceId=device.id, desired={"after": "cut"})
            device.expect("desired", where=lambda e: e["patch"].get("after") == "cut")
            # The Python programs tell of every subscription, Node cannot.
            assert not device.take_all("subscribe")
    finally:
        for device in devices:
            device.close()
