/** Methods that the sample devices know, with a payload that works. */
export const knownMethods: Record<string, { payload: string; response: string }> = {
  rebootDevice: { payload: '{"method_number":"42"}', response: "60" },
  firmwareUpdate: { payload: '{"fwPackageUri":"https://example.com/firmware.bin"}', response: "30" },
  lockDoor: { payload: '{"lockTime":"10m"}', response: "30" },
  factoryReset: { payload: "null", response: "30" },
};
