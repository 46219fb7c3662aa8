-- Simulated devices belong to fleets, and models are texts.
CREATE TABLE model_files (name TEXT NOT NULL PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE fleets (
    id INTEGER PRIMARY KEY,
    hub_id TEXT NOT NULL,
    name TEXT NOT NULL,
    source TEXT NOT NULL,
    created_at TEXT NOT NULL,
    starts_with_hub INTEGER NOT NULL
) STRICT;
ALTER TABLE simulated RENAME TO simulated_before;
CREATE TABLE simulated (
    hub_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    fleet_id INTEGER NOT NULL REFERENCES fleets ON DELETE CASCADE,
    model TEXT NOT NULL,
    faults TEXT,
    memory TEXT NOT NULL,
    running INTEGER NOT NULL,
    PRIMARY KEY (hub_id, device_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX simulated_of_fleet ON simulated (fleet_id);

-- One fleet a hub. Ids were a prefix and a number: runs of numbers with one model and one speed
-- are one group of its file.
CREATE TEMP VIEW numbered AS
SELECT hub_id, device_id, rtrim(device_id, '0123456789') AS prefix,
    length(device_id) - length(rtrim(device_id, '0123456789')) AS width,
    CAST(substr(device_id, 1 + length(rtrim(device_id, '0123456789'))) AS INTEGER) AS number,
    CASE model WHEN 'firmware' THEN 'firmware-a' WHEN 'lockDoor' THEN 'lock-door'
        WHEN 'factoryReset' THEN 'factory-reset' ELSE 'reboot' END AS model,
    CASE speed WHEN 'fast' THEN '0.01' ELSE '1.0' END AS time_scale
FROM simulated_before;
CREATE TEMP VIEW runs AS
SELECT hub_id, prefix, width, model, time_scale, min(number) AS first, count(*) AS count
FROM (
    SELECT *, number - row_number() OVER (
        PARTITION BY hub_id, prefix, width, model, time_scale ORDER BY number
    ) AS run FROM numbered
)
GROUP BY hub_id, prefix, width, model, time_scale, run;

INSERT INTO fleets (hub_id, name, source, created_at, starts_with_hub)
SELECT hub_id, 'Simulated devices',
    'name = "Simulated devices"' || char(10) || char(10) || '[connect]' || char(10) || 'perSecond = 200' || char(10)
    || group_concat(
        char(10) || '[[devices]]' || char(10) || 'count = ' || count || char(10) || 'first = ' || max(first, 1) || char(10)
        || 'id = "' || prefix || CASE width WHEN 0 THEN '' ELSE '{number:' || min(width, 9) || '}' END || '"' || char(10)
        || 'model = "' || model || '"' || char(10) || 'timeScale = ' || time_scale || char(10),
        ''),
    strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), hub_id = 'local'
FROM runs GROUP BY hub_id;

INSERT INTO simulated (hub_id, device_id, fleet_id, model, memory, running)
SELECT hub_id, device_id, (SELECT id FROM fleets WHERE fleets.hub_id = numbered.hub_id), model, '{}', 0 FROM numbered;

DROP VIEW runs;
DROP VIEW numbered;
DROP TABLE simulated_before;
