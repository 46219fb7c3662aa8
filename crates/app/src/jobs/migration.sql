-- One thing done to many devices, by the hub or by this application.
CREATE TABLE jobs (
    hub_id TEXT NOT NULL,
    id TEXT NOT NULL,
    runner TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    -- Times are texts of one length, and compare as times do.
    created_at TEXT NOT NULL,
    -- What was asked for; absent for a job made elsewhere whose work the hub does not tell whole.
    request TEXT,
    -- What a search looks at.
    words TEXT NOT NULL,
    document TEXT NOT NULL,
    -- Of a job of the hub: what became of each device is in job_devices, whole.
    rows_kept INTEGER NOT NULL DEFAULT 0,
    -- Whoever runs it sees this within a second, in whatever process.
    cancel_asked INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (hub_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_by_time ON jobs (hub_id, created_at);

-- The devices of jobs that run here; the hub keeps those of its own.
CREATE TABLE job_devices (
    hub_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    state TEXT NOT NULL,
    cause TEXT,
    document TEXT NOT NULL,
    PRIMARY KEY (hub_id, job_id, device_id),
    FOREIGN KEY (hub_id, job_id) REFERENCES jobs ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX job_devices_of_device ON job_devices (hub_id, device_id);
