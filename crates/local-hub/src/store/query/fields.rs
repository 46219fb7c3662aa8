//! Where the fields of rows are kept.

use hub_protocol::query::{Kind, Path, Segment, Source};

use super::sql::{Json, Operand};

/// What stands at `path` of a row of `source`.
pub(super) fn field(path: &Path, source: Source) -> Operand {
    let (Some(Segment::Key(root)), rest) = (path.0.first(), path.0.get(1..).unwrap_or_default()) else {
        return Operand::Undefined;
    };
    match source {
        Source::Jobs => of_job(root, rest),
        Source::Devices | Source::Modules => of_twin(root, rest, source),
    }
}

fn of_twin(root: &str, rest: &[Segment], source: Source) -> Operand {
    let text = |sql| scalar(Kind::String, sql, rest);
    match root {
        "deviceId" => text("device_id"),
        "moduleId" if source == Source::Modules => text("module_id"),
        "modelId" => text("model_id"),
        "etag" => text("hub_twin_etag(twin_etag)"),
        "deviceEtag" => text("hub_identity_etag(etag)"),
        "version" => scalar(Kind::Number, "version", rest),
        "status" => text("status"),
        "statusReason" => document("json_quote(status_reason)", rest),
        "statusUpdateTime" => text("status_updated"),
        "connectionState" => text("connection_state"),
        "lastActivityTime" => text("last_activity"),
        "cloudToDeviceMessageCount" => scalar(
            Kind::Number,
            "(SELECT count(*) FROM messages WHERE identity = identities.id)",
            rest,
        ),
        "authenticationType" => text("json_extract(authentication, '$.type')"),
        "x509Thumbprint" => document("json_extract(authentication, '$.x509Thumbprint')", rest),
        "capabilities" => document("capabilities", rest),
        // A scope that is not set, no parents and no configurations are left out of twins.
        "deviceScope" => text("device_scope"),
        "parentScopes" => document("nullif(parent_scopes, '[]')", rest),
        "configurations" => document("nullif(configurations, '{}')", rest),
        "tags" => document("tags", rest),
        "properties" => properties(rest),
        _ => Operand::Undefined,
    }
}

fn properties(rest: &[Segment]) -> Operand {
    let (section, below) = match rest {
        [] => {
            let whole = format!(
                "json_object('desired', json({}), 'reported', json({}))",
                whole("desired"),
                whole("reported")
            );
            return document(&whole, &[]);
        }
        [Segment::Key(section), below @ ..] if section == "desired" => ("desired", below),
        [Segment::Key(section), below @ ..] if section == "reported" => ("reported", below),
        _ => return Operand::Undefined,
    };
    match below {
        [] => document(&whole(section), &[]),
        [Segment::Key(key), deeper @ ..] if key == "$version" => {
            scalar(Kind::Number, &format!("{section}_version"), deeper)
        }
        [Segment::Key(key), deeper @ ..] if key == "$metadata" => document(&metadata(section), deeper),
        _ => document(section, below),
    }
}

/// As twins show it: the values, then `$metadata`, then `$version`.
fn whole(section: &str) -> String {
    let version = format!("json_set({section}, '$.\"$version\"', {section}_version)");
    let both = format!(
        "json_set({section}, '$.\"$metadata\"', json({section}_metadata), '$.\"$version\"', {section}_version)"
    );
    format!("iif({section}_metadata = '{{}}', {version}, {both})")
}

/// Empty metadata is left out of twins.
fn metadata(section: &str) -> String {
    format!("nullif({section}_metadata, '{{}}')")
}

fn of_job(root: &str, rest: &[Segment]) -> Operand {
    let text = |sql| scalar(Kind::String, sql, rest);
    match root {
        "deviceId" => text("device_id"),
        "moduleId" => text("nullif(module_id, '')"),
        "jobId" => text("job_id"),
        "jobType" => text("job_type"),
        "status" => text("status"),
        "startTimeUtc" => text("started"),
        "endTimeUtc" => text("ended"),
        "createdDateTimeUtc" => text("created"),
        "lastUpdatedDateTimeUtc" => text("updated"),
        "outcome" => document("coalesce(outcome, 'null')", rest),
        "error" => document("error", rest),
        _ => Operand::Undefined,
    }
}

/// Nothing lies below a scalar.
fn scalar(kind: Kind, sql: &str, rest: &[Segment]) -> Operand {
    if rest.is_empty() {
        Operand::Known(kind, sql.to_owned())
    } else {
        Operand::Undefined
    }
}

fn document(sql: &str, rest: &[Segment]) -> Operand {
    Operand::Json(Json {
        document: sql.to_owned(),
        path: json_path(rest),
    })
}

/// As an SQL literal. SQLite reads a key in double quotes with JSON's own escapes.
pub(super) fn json_path(segments: &[Segment]) -> String {
    let mut path = "$".to_owned();
    for segment in segments {
        match segment {
            Segment::Key(key) => {
                path.push('.');
                path.push_str(&serde_json::Value::from(key.as_str()).to_string());
            }
            Segment::Index(index) => path.push_str(&format!("[{index}]")),
        }
    }
    format!("'{}'", path.replace('\'', "''"))
}
