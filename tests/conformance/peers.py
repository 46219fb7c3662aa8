"""Starts the hub and the client programs, and talks to them in lines of JSON."""

import base64
import errno
import hashlib
import hmac
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from pathlib import Path
from urllib.parse import quote

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
MQTT_PORT = 8883
HTTPS_PORT = 443


class Secret:
    """Keeps a key out of pytest's tracebacks, which print every argument."""

    def __init__(self, value):
        self._value = value

    def reveal(self):
        return self._value

    def __eq__(self, other):
        return isinstance(other, Secret) and other._value == self._value

    def __repr__(self):
        return "<redacted>"


class Refused(Exception):
    """The hub answered a service client with an error."""

    def __init__(self, status, name, number, body):
        super().__init__(f"HTTP {status} {name} {number}: {body[:400]}")
        self.status = status
        self.name = name
        self.number = number

    @classmethod
    def from_answer(cls, error):
        body = error.get("body") or error.get("message") or ""
        name = error.get("header")
        if not name:
            found = re.search(r'ErrorCode:(\w+)|"errorCode"\s*:\s*"(\w+)"', body)
            name = found and (found.group(1) or found.group(2))
        # The number may sit in JSON within JSON, so its quote may be escaped.
        number = re.search(r'errorCode\\*"\s*:\s*(\d+)', body)
        return cls(error.get("status"), name, number and int(number.group(1)), body)


def twindeckctl():
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    binary = Path(os.environ.get("TWINDECKCTL", target / "debug" / "twindeckctl"))
    if not binary.is_file():
        raise FileNotFoundError(
            f"{binary} does not exist: run `cargo build -p twindeckctl`, or set TWINDECKCTL"
        )
    return str(binary.resolve())


def child_environment(extra):
    """The caller's environment, without keys it may hold and without a proxy in front of localhost."""
    inherited = {k: v for k, v in os.environ.items() if not k.endswith("CONNECTION_STRING")}
    revealed = {k: v.reveal() if isinstance(v, Secret) else v for k, v in extra.items()}
    return {**inherited, "NO_PROXY": "localhost,127.0.0.1", "PYTHONUNBUFFERED": "1", **revealed}


def stop_process(process, grace):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


class Peer:
    """A child program: its stdout is a stream of events, its stdin takes commands."""

    def __init__(self, name, argv, environment):
        self.name = name
        self._events = []
        self._ended = False
        self._changed = threading.Condition()
        self._stderr = deque(maxlen=40)
        try:
            self._process = subprocess.Popen(
                argv,
                env=child_environment(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                bufsize=1,
            )
        except OSError as why:
            # Cut off where it came from: those frames hold the environment.
            raise RuntimeError(f"{name} could not start: {why}") from None
        threading.Thread(target=self._read_stdout, daemon=True).start()
        threading.Thread(target=self._read_stderr, daemon=True).start()

    def _read_stdout(self):
        for line in self._process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                event = {"event": "line", "text": line.rstrip("\n")}
            with self._changed:
                self._events.append(event)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _read_stderr(self):
        for line in self._process.stderr:
            self._stderr.append(line)

    def tell(self, do, **arguments):
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise AssertionError(
                f"{self.name} has ended; its stderr:\n{''.join(self._stderr)}"
            ) from None

    def expect(self, event, within=30, where=lambda event: True, **fields):
        """Waits for an event, and takes it out of the stream."""
        deadline = time.monotonic() + within
        with self._changed:
            while True:
                for at, seen in enumerate(self._events):
                    if (
                        seen.get("event") == event
                        and all(seen.get(k) == v for k, v in fields.items())
                        and where(seen)
                    ):
                        return self._events.pop(at)
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    raise AssertionError(self._explain(event, fields, within))
                self._changed.wait(left)

    def take_all(self, event):
        """Everything of one kind that was told so far."""
        with self._changed:
            taken = [e for e in self._events if e.get("event") == event]
            self._events = [e for e in self._events if e.get("event") != event]
            return taken

    def _explain(self, event, fields, within):
        wanted = json.dumps({"event": event, **fields})
        why = "it ended" if self._ended else f"{within} s went by"
        told = [{k: v for k, v in e.items() if k != "result"} for e in self._events[-10:]]
        return (
            f"{self.name}: {why} before {wanted}\n"
            f"untaken events: {json.dumps(told)}\nstderr:\n{''.join(self._stderr)}"
        )

    def close(self, grace=5):
        """Ends the program: by the end of its input, and if it does not heed that, by a signal."""
        try:
            self._process.stdin.close()
            self._process.wait(grace)
        except (OSError, subprocess.TimeoutExpired):
            pass
        stop_process(self._process, 2)


class Service(Peer):
    """A program around one of the published service clients; each call gets one answer."""

    def __init__(self, language, hub):
        self.language = language
        self._calls = 0
        super().__init__(
            f"{language} service",
            run_program({"python": "python/service.py", "node": "node/service.js"}[language]),
            {
                "IOTHUB_CONNECTION_STRING": hub.service_connection_string,
                "REQUESTS_CA_BUNDLE": hub.ca_file,
                "SSL_CERT_FILE": hub.ca_file,
                "NODE_EXTRA_CA_CERTS": hub.ca_file,
            },
        )

    def call(self, do, within=40, **arguments):
        self._calls += 1
        self.tell(do, id=self._calls, **arguments)
        answer = self.expect("answer", within, id=self._calls)
        if "error" in answer:
            raise Refused.from_answer(answer["error"])
        return answer["result"]

    def create(self, device_id=None, module_id=None, credential=None):
        """Registers a device, or a module on one; without a credential the hub makes its keys."""
        device_id = device_id or f"conf-{uuid.uuid4().hex[:10]}"
        if credential is None:
            created = self.call("create", deviceId=device_id, moduleId=module_id)
        else:
            created = self.call(
                "create",
                deviceId=device_id,
                moduleId=module_id,
                credential=credential.registered_as,
                thumbprint=credential.thumbprint,
            )
        key = created.pop("primaryKey", None)
        module = f";ModuleId={module_id}" if module_id else ""
        secret = "x509=true" if credential else f"SharedAccessKey={key}"
        created["connectionString"] = Secret(
            f"HostName=localhost;DeviceId={device_id}{module};{secret}"
        )
        created["credential"] = credential
        return created


PROGRAMS = {
    "python": "python/device.py",
    "python-async": "python/async_device.py",
    "node": "node/device.js",
    "node-http": "node/http_device.js",
}


def run_program(path):
    return [sys.executable if path.endswith(".py") else "node", str(HERE / path)]


def device_environment(hub, created, **settings):
    """`settings` become DEVICE_TRANSPORT and so on; the programs read them."""
    credential = created.get("credential")
    certificate = credential and {
        "DEVICE_CERTIFICATE_FILE": str(credential.certificate_file),
        "DEVICE_CERTIFICATE_KEY_FILE": str(credential.key_file),
    }
    return {
        "DEVICE_CONNECTION_STRING": created["connectionString"],
        "SSL_CERT_FILE": hub.ca_file,
        "NODE_EXTRA_CA_CERTS": hub.ca_file,
        **(certificate or {}),
        **{f"DEVICE_{name.upper()}": str(value) for name, value in settings.items()},
    }


def launch_device(language, hub, created, **settings):
    """Starts a device without waiting for it, so that several can start together."""
    device = Peer(
        f"{language} device",
        run_program(PROGRAMS[language]),
        device_environment(hub, created, **settings),
    )
    device.id = created["deviceId"]
    device.language = language
    return device


def start_device(language, hub, created, **settings):
    device = launch_device(language, hub, created, **settings)
    try:
        device.expect("ready", within=60)
    except AssertionError:
        device.close()
        raise
    return device


class Hub:
    """One `twindeckctl hub serve` on the ports that the published clients insist on."""

    def __init__(self, data_dir):
        self._data_dir = data_dir
        self._process = None
        self._lines = []
        self._log = deque(maxlen=60)
        self.ca_file = None
        self.service_connection_string = None

    def start(self):
        for port in (MQTT_PORT, HTTPS_PORT):
            require_free(port)
        self._lines = []
        ready = threading.Event()
        self._process = subprocess.Popen(
            [
                twindeckctl(), "hub", "serve",
                "--data-dir", str(self._data_dir),
                "--bind", "127.0.0.1",
                "--mqtt-port", str(MQTT_PORT),
                "--https-port", str(HTTPS_PORT),
                "--hostname", "localhost",
            ],
            env=child_environment({}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        process = self._process

        def read_stdout():
            for line in process.stdout:
                self._lines.append(line)
                ready.set()
            ready.set()

        self._readers = [
            threading.Thread(target=read_stdout, daemon=True),
            threading.Thread(target=lambda: self._log.extend(process.stderr), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        ready.wait(30)
        if not self._lines:
            self.stop()
            raise RuntimeError(f"the hub was not ready in 30 s; its log:\n{''.join(self._log)}")
        told = json.loads(self._lines[0])
        assert told["ready"] is True
        if (told["mqttPort"], told["httpsPort"]) != (MQTT_PORT, HTTPS_PORT):
            self.stop()
            raise RuntimeError(
                f"the hub listens on {told['mqttPort']} and {told['httpsPort']}, "
                f"but the published clients dial {MQTT_PORT} and {HTTPS_PORT}"
            )
        self.ca_file = told["caFile"]
        self.service_connection_string = Secret(told["serviceConnectionString"])

    def send(self, device_id, body, message_id, ack="none", properties=None):
        """Sends a message to a device by REST: the clients that send do so over AMQP only."""
        service = dict(
            part.split("=", 1) for part in self.service_connection_string.reveal().split(";")
        )
        resource, expiry = quote(service["HostName"], safe=""), int(time.time()) + 300
        signature = hmac.digest(
            base64.b64decode(service["SharedAccessKey"]),
            f"{resource}\n{expiry}".encode(),
            hashlib.sha256,
        )
        token = (
            f"SharedAccessSignature sr={resource}"
            f"&sig={quote(base64.b64encode(signature).decode(), safe='')}"
            f"&se={expiry}&skn={service['SharedAccessKeyName']}"
        )
        application = {f"iothub-app-{k}": v for k, v in (properties or {}).items()}
        connection = http.client.HTTPSConnection(
            "localhost", HTTPS_PORT, timeout=20, context=ssl.create_default_context(cafile=self.ca_file)
        )
        try:
            connection.request(
                "POST",
                f"/devices/{quote(device_id, safe='')}/messages/deviceBound?api-version=2021-04-12",
                body,
                {
                    "Authorization": token,
                    "IoTHub-MessageId": message_id,
                    "IoTHub-Ack": ack,
                    **application,
                },
            )
            answer = connection.getresponse()
            assert answer.status == 204, f"HTTP {answer.status}: {answer.read(400)}"
        finally:
            connection.close()

    def kill(self):
        """Ends the hub without a word to anyone, as a power cut would."""
        self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join(5)

    def stop(self):
        """Ends the hub as an operator would; returns its exit code and how many lines it printed."""
        code = stop_process(self._process, 20)
        for reader in self._readers:
            reader.join(5)
        return code, len(self._lines)

    def control(self, *arguments, within=60):
        """Runs `twindeckctl` against this hub and returns what it printed as JSON."""
        done = subprocess.run(
            [twindeckctl(), "--ca-file", self.ca_file, *arguments, "--json"],
            env=child_environment({"IOTHUB_CONNECTION_STRING": self.service_connection_string}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
        )
        assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr[-2000:]}"
        return json.loads(done.stdout)


def require_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise RuntimeError(
                    f"this user may not listen on port {port}, which the published clients dial: "
                    f"run as root, or `sysctl net.ipv4.ip_unprivileged_port_start={port}`"
                ) from None
            raise RuntimeError(
                f"port {port} is taken, and the published clients dial no other: "
                "stop the program that listens there (a hub of your own, perhaps) and run again"
            ) from None
