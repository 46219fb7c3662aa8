-- What the module of b1 reported.
UPDATE identities SET reported = '{"ok":true}' WHERE device_id = 'b1' AND module_id = 'm1';

-- A gateway, and a device below it.
UPDATE identities SET device_scope = 'ms-azure-iot-edge://gw-1' WHERE device_id = 'a1' AND module_id = '';
UPDATE identities SET parent_scopes = '["ms-azure-iot-edge://gw-1"]' WHERE device_id = 'b1' AND module_id = '';

-- What a configuration did.
UPDATE identities SET configurations = '{"cfg-1":{"status":"Applied"}}' WHERE device_id = 'a1' AND module_id = '';
UPDATE identities SET configurations = '{"cfg-1":{"status":"Targeted"}}' WHERE device_id = 'b1' AND module_id = '';

-- A job that is over, and one that has not begun.
INSERT INTO jobs (job_id, type, query_condition, payload, created, start_time, max_execution_seconds, status) VALUES
    ('j1', 'scheduleDeviceMethod', '*', '{}', '2025-06-01T00:00:00Z', '2025-06-01T00:00:00Z', 3600, 'completed'),
    ('j2', 'scheduleUpdateTwin', '*', '{}', '2025-06-01T00:00:00Z', '2025-06-02T00:00:00Z', 3600, 'scheduled');
INSERT INTO device_jobs (job_id, device_id, job_type, status, created, started, ended, updated, outcome, error) VALUES
    ('j1', 'a1', 'scheduleDeviceMethod', 'completed', '2025-06-01T00:00:00Z', '2025-06-01T00:00:01Z', '2025-06-01T00:00:02Z',
        '2025-06-01T00:00:02Z', '{"deviceMethodResponse":{"status":200,"payload":{"ok":true}}}', NULL),
    ('j1', 'a2', 'scheduleDeviceMethod', 'failed', '2025-06-01T00:00:00Z', '2025-06-01T00:00:01Z', '2025-06-01T00:00:02Z',
        '2025-06-01T00:00:02Z', NULL, '{"code":"DeviceNotOnline","description":"The device is not connected."}'),
    ('j2', 'b1', 'scheduleUpdateTwin', 'pending', '2025-06-01T00:00:00Z', NULL, NULL, '2025-06-01T00:00:00Z', NULL, NULL);
