"""The simulated device of Azure's tutorial "Get started with device management (Python)".

It is built the way the tutorial builds it, so that it stands for scripts people already run. Only the
connection string comes from the environment, and SSL_CERT_FILE names the hub's CA.
"""

import datetime
import os
import time

from azure.iot.device import IoTHubDeviceClient, MethodResponse

CONNECTION_STRING = os.environ["DEVICE_CONNECTION_STRING"]


def create_client():
    client = IoTHubDeviceClient.create_from_connection_string(CONNECTION_STRING)

    def method_request_handler(method_request):
        if method_request.name == "rebootDevice":
            print("Rebooting device")
            time.sleep(20)
            print("Device rebooted")

            client.patch_twin_reported_properties({"rebootTime": str(datetime.datetime.now())})
            print("Device twins updated with latest rebootTime")

            status = 200
            payload = {"Response": "This is the response from the device"}
        else:
            status = 404
            payload = {"Response": "Unknown method"}

        client.send_method_response(
            MethodResponse.create_from_method_request(method_request, status, payload)
        )

    try:
        client.on_method_request_received = method_request_handler
    except Exception:
        client.shutdown()
        raise
    return client


def main():
    print("Starting the IoT Hub Python sample...")
    client = create_client()
    print("IoTHubDeviceClient waiting for commands, press Ctrl-C to exit")
    try:
        while True:
            time.sleep(1000)
    except KeyboardInterrupt:
        print("IoTHubDeviceClient sample stopped!")
    finally:
        client.shutdown()


if __name__ == "__main__":
    main()
