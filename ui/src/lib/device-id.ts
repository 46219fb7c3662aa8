
/** IoT Hub's own rule for device ids. */
export const isDeviceId = (id: string): boolean => /^[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}$/.test(id);
