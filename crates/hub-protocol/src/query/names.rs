//! The names a query may use, in any letter case, and their spelling in rows (service.md 5.3).

use super::{Path, Segment, Source};

const TWIN: [&str; 19] = [
    "deviceId",
    "moduleId",
    "modelId",
    "etag",
    "deviceEtag",
    "version",
    "status",
    "statusReason",
    "statusUpdateTime",
    "connectionState",
    "lastActivityTime",
    "cloudToDeviceMessageCount",
    "authenticationType",
    "x509Thumbprint",
    "capabilities",
    "deviceScope",
    "parentScopes",
    "configurations",
    "tags",
];

const JOB: [&str; 11] = [
    "deviceId",
    "moduleId",
    "jobId",
    "jobType",
    "status",
    "startTimeUtc",
    "endTimeUtc",
    "createdDateTimeUtc",
    "lastUpdatedDateTimeUtc",
    "outcome",
    "error",
];

/// Names of the hub's own below a root. User keys can never begin with a dollar sign.
const METADATA: [&str; 4] = ["$metadata", "$version", "$lastUpdated", "$lastUpdatedVersion"];

fn known<const N: usize>(names: [&'static str; N], name: &str) -> Option<&'static str> {
    names.into_iter().find(|known| known.eq_ignore_ascii_case(name))
}

/// `segments` begin with a key. Strips the source's name or alias and spells what the hub names.
pub(super) fn resolve(mut segments: Vec<Segment>, source: Source, alias: Option<&str>) -> Result<Path, String> {
    let is_key = |segment: Option<&Segment>, names: &[&str]| matches!(segment, Some(Segment::Key(key)) if names.iter().any(|name| name.eq_ignore_ascii_case(key)));
    if alias.is_some_and(|alias| is_key(segments.first(), &[alias])) && segments.len() > 1 {
        segments.remove(0);
    } else if is_key(segments.first(), &["devices"]) && segments.len() > 1 {
        let prefix = if is_key(segments.get(1), &["modules", "jobs"]) && segments.len() > 2 {
            2
        } else {
            1
        };
        segments.drain(..prefix);
    }
    let Some(Segment::Key(root)) = segments.first() else {
        return Err("a field name is expected".into());
    };
    if source == Source::Jobs {
        let Some(known) = known(JOB, root) else {
            return Err(format!("{root} is not a field of devices.jobs"));
        };
        segments[0] = Segment::Key(known.into());
        return Ok(Path(segments));
    }
    let canonical = match root.to_ascii_lowercase().as_str() {
        "properties" => Some("properties"),
        // As Azure IoT Explorer and a C# sample have it.
        "statusupdatedtime" => Some("statusUpdateTime"),
        "id" => Some("deviceId"),
        _ => known(TWIN, root),
    };
    let Some(canonical) = canonical else {
        return Err(format!("{root} is not a field of a twin; tags are tags.{root}"));
    };
    segments[0] = Segment::Key(canonical.into());
    for (index, segment) in segments.iter_mut().enumerate().skip(1) {
        let Segment::Key(key) = segment else { continue };
        let spelled = match (canonical, index) {
            ("properties", 1) => Some(
                known(["desired", "reported"], key)
                    .ok_or_else(|| format!("properties has desired and reported, not {key}"))?,
            ),
            ("properties", _) => known(METADATA, key),
            ("capabilities", 1) => known(["iotEdge"], key),
            ("x509Thumbprint", 1) => known(["primaryThumbprint", "secondaryThumbprint"], key),
            ("configurations", 2) => known(["status"], key),
            _ => None,
        };
        if let Some(spelled) = spelled {
            *segment = Segment::Key(spelled.into());
        }
    }
    Ok(Path(segments))
}

/// Where a projection without an alias stands in its row: the whole of desired or reported
/// properties keeps its nested form, everything else is named by its last key.
pub(super) fn column(path: &Path) -> Vec<String> {
    let keys = path.0.iter().filter_map(|segment| match segment {
        Segment::Key(key) => Some(key.clone()),
        Segment::Index(_) => None,
    });
    let keys: Vec<String> = keys.collect();
    if keys.len() == 2 && keys[0] == "properties" {
        return keys;
    }
    keys.into_iter().last().into_iter().collect()
}
