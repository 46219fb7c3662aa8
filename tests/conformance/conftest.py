import pytest

from certificates import Authority, self_signed
from peers import Hub, Service, start_device

LANGUAGES = ["python", "node"]


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="session")
def authority(tmp_path_factory, data_dir):
    """The hub reads whom it trusts when it starts, so this comes first."""
    return Authority(tmp_path_factory.mktemp("authority"), data_dir / "device-ca")


@pytest.fixture(scope="session")
def own_certificate(tmp_path_factory):
    return self_signed(tmp_path_factory.mktemp("self-signed"))


@pytest.fixture(scope="session")
def hub(data_dir, authority):
    hub = Hub(data_dir)
    try:
        hub.start()
    except (RuntimeError, FileNotFoundError) as why:
        # Every test would fail for this one reason; say it once.
        pytest.exit(f"no hub to test against: {why}", returncode=1)
    yield hub
    code, _ = hub.stop()
    assert code == 0, f"the hub ended with {code} on SIGTERM"


@pytest.fixture(scope="session")
def services(hub):
    """The service clients hold no connection, so one program each serves all tests."""
    running = {language: Service(language, hub) for language in LANGUAGES}
    yield running
    for service in running.values():
        service.close()


@pytest.fixture(params=LANGUAGES, ids=lambda language: f"{language}-service")
def service(request, services):
    return services[request.param]


@pytest.fixture(
    scope="module",
    params=[(d, s) for d in LANGUAGES for s in LANGUAGES],
    ids=lambda pair: f"{pair[0]}-device-{pair[1]}-service",
)
def pair(request, hub, services):
    """A connected device and a service client, each of either language."""
    device_language, service_language = request.param
    service = services[service_language]
    device = start_device(device_language, hub, service.create())
    yield device, service
    device.close()


@pytest.fixture
def connect(hub, services):
    """Registers and connects devices, and ends them with the test."""
    running = []

    def connect(language, created=None, **settings):
        created = created or services["python"].create()
        running.append(start_device(language, hub, created, **settings))
        return running[-1]

    yield connect
    for device in running:
        device.close()
