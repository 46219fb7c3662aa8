-- Modules, as the registry keeps them.
INSERT INTO identities (device_id, module_id, generation_id, etag, status_updated, authentication, connection_updated,
        last_activity, tags, reported, desired_metadata, reported_metadata)
    SELECT column1, column2, 'g', 1, '0001-01-01T00:00:00Z', authentication, '0001-01-01T00:00:00Z',
        '0001-01-01T00:00:00Z', column3, column4, '{"$lastUpdated":"2026-01-01T00:00:00Z"}', '{"$lastUpdated":"2026-01-01T00:00:00Z"}'
    FROM (VALUES ('a1', '$edgeAgent', '{}', '{}'), ('a1', 'm1', '{"role":"x"}', '{}'), ('b1', 'm1', '{}', '{"ok":true}'))
    JOIN identities AS device ON device.device_id = column1 AND device.module_id = ''
    WHERE true
    ON CONFLICT (device_id, module_id) DO NOTHING;

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
