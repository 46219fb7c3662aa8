-- What was seen of twins while they were watched, and what was written to them from here.
CREATE TABLE twin_changes (
    id INTEGER PRIMARY KEY,
    hub_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    at TEXT NOT NULL,
    document TEXT NOT NULL
) STRICT;
CREATE INDEX twin_changes_of_device ON twin_changes (hub_id, device_id, id);
