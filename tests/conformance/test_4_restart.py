"""Last, because every open connection ends here."""


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
