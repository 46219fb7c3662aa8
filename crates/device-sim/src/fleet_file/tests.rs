use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::FaultKind;

const PLANT: &str = r#"
name = "plant"
seed = 7

[connect]
perSecond = 200
tokenLifetime = "2h"

[[devices]]
count = 100
id = "pump-{number:4}"
model = "firmware-a"
timeScale = 0.01

[devices.tags]
site = { cycle = ["north", "south"] }
ring = { weighted = { canary = 1, early = 9, broad = 90 } }

[[devices.faults]]
kind = "cutDownload"
afterBytes = 1000
devices = 0.2

[[devices]]
count = 2
first = 8
id = "door-{number}"
model = "lock-door"

[[faults]]
kind = "offline"
after = "30s"
lasts = "10s"
devices = 0.5
"#;

fn read(text: &str) -> Result<FleetFile, FileError> {
    FleetFile::parse(text, &|_| None)
}

/// What of a member can be compared.
fn facts(member: &Member) -> (String, usize, String, Value, Vec<Fault>) {
    let tags = Value::from(member.tags.clone());
    let model = member.model.name().to_owned();
    (member.id.to_string(), member.group, model, tags, member.faults.clone())
}

fn all(fleet: &FleetFile) -> Vec<(String, usize, String, Value, Vec<Fault>)> {
    fleet.members().map(|member| facts(&member)).collect()
}

#[test]
fn a_fleet_has_the_devices_of_its_groups() {
    let fleet = read(PLANT).unwrap();
    let members: Vec<Member> = fleet.members().collect();
    assert_eq!(members.len(), 102);
    assert_eq!(members[0].id.as_str(), "pump-0001");
    assert_eq!((members[1].tags["site"].as_str(), members[1].group), (Some("south"), 0));
    assert_eq!((members[101].id.as_str(), members[101].group), ("door-9", 1));
    assert!((members[0].time_scale - 0.01).abs() < 1e-9 && is_normal(&members[101].time_scale));
    assert!(Arc::ptr_eq(&members[0].model, &members[99].model));
    assert_eq!(members[101].model.name(), "lock-door");
    assert_eq!(fleet.connect.per_second, 200);
}

#[test]
fn faults_strike_their_share_of_devices_and_those_of_the_group_come_first() {
    let fleet = read(PLANT).unwrap();
    let members: Vec<Member> = fleet.members().collect();
    let has = |member: &&Member, name: &str| member.faults.iter().any(|fault| fault.kind.name() == name);
    let cut = members.iter().filter(|member| has(member, "cutDownload")).count();
    let offline = members.iter().filter(|member| has(member, "offline")).count();
    assert!(
        (10..32).contains(&cut) && (35..67).contains(&offline),
        "{cut} {offline}"
    );
    assert!(
        members
            .iter()
            .flat_map(|member| &member.faults)
            .all(|fault| fault.devices >= 1.0)
    );
    let both = members.iter().find(|member| member.faults.len() == 2).unwrap();
    assert_eq!(both.faults[0].kind, FaultKind::CutDownload { after_bytes: 1000 });
}

#[test]
fn the_same_seed_gives_the_same_members_and_another_one_others() {
    let fleet = read(PLANT).unwrap();
    assert_eq!(all(&fleet), all(&read(PLANT).unwrap()));
    assert_ne!(all(&fleet), all(&read(&PLANT.replace("seed = 7", "seed = 8")).unwrap()));
}

#[test]
fn a_fleet_is_read_as_it_is_written() {
    let fleet = read(PLANT).unwrap();
    let again = read(&fleet.to_toml()).unwrap();
    assert_eq!(all(&fleet), all(&again));
    assert_eq!(
        (&fleet.connect, &fleet.devices, &fleet.faults),
        (&again.connect, &again.devices, &again.faults)
    );
}

#[test]
fn a_model_may_be_a_file_beside_the_fleet_file() {
    let text = PLANT.replace("\"lock-door\"", "\"gate.toml\"");
    let gate = "name = \"gate\"\ntitle = \"Gate\"\nabout = \"Opens\"\n[methods.open]\nsteps = [{ answer = {} }]\n";
    let files = |name: &str| (name == "gate.toml").then(|| gate.to_owned());
    let fleet = FleetFile::parse(&text, &files).unwrap();
    assert_eq!(fleet.members().last().unwrap().model.name(), "gate");
    let broken = |name: &str| (name == "gate.toml").then(|| "name = 7".to_owned());
    let error = FleetFile::parse(&text, &broken).unwrap_err();
    assert!(error.message.starts_with("the model gate.toml: line 1"), "{error}");
}

#[test]
fn a_mistake_is_told_with_its_line() {
    let minimal = "name = \"p\"\n[[devices]]\ncount = 1\nid = \"a\"\nmodel = \"reboot\"\n";
    read(minimal).unwrap();
    let more = |text: &str| format!("{minimal}{text}");
    for (text, line, told) in [
        (minimal.replace("name = \"p\"", "name = "), 1, "string"),
        (minimal.replace("count = 1", "count = -1"), 3, "-1"),
        (minimal.replace("count = 1", "cuont = 1"), 3, "unknown field `cuont`"),
        (minimal.replace("\"a\"", "\"a{nummer}\""), 4, "is no place for a number"),
        (
            minimal.replace("\"a\"", "\"a b\""),
            2,
            "a device id may not contain ' '",
        ),
        (minimal.replace("reboot", "toaster"), 2, "there is no model \"toaster\""),
        (
            minimal.replace("count = 1", "count = 2"),
            2,
            "a gives several devices the same id",
        ),
        (
            minimal.replace("count = 1", "count = 0"),
            2,
            "count and first are whole numbers from 1",
        ),
        (more("timeScale = -1\n"), 2, "timeScale is 0 to 1000, not -1"),
        (more("tags = { a = { cycle = [] } }\n"), 2, "tags, a: cycle is a list"),
        (
            more("[[devices.faults]]\nkind = \"sulking\"\n"),
            6,
            "unknown variant `sulking`",
        ),
        (
            more("[[faults]]\nkind = \"silent\"\ndevices = 2\n"),
            6,
            "devices is a share from 0 to 1",
        ),
        (
            more("[[devices]]\ncount = 1\nid = \"a\"\nmodel = \"reboot\"\n"),
            6,
            "a is the id of two devices",
        ),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.message.contains(told), "{error}");
        assert_eq!(error.line, Some(line), "{error}");
    }
    for (text, told) in [
        ("name = \"\"\ndevices = []".to_owned(), "1 to 128 characters"),
        ("name = \"p\"\ndevices = []".to_owned(), "1 to 1000 groups"),
        (
            format!("connect = {{ perSecond = 0 }}\n{minimal}"),
            "connect.perSecond is 1 to 10000",
        ),
        (
            minimal.replace("count = 1", "count = 1000001"),
            "at most 1000000 devices",
        ),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.message.contains(told), "{error}");
    }
}

#[test]
fn the_load_counts_telemetry_renewals_and_flapping() {
    let text = "name = \"p\"\n[[devices]]\ncount = 10\nid = \"a{number}\"\nmodel = \"reboot\"\n";
    let quiet = read(text).unwrap().load();
    assert_eq!((quiet.devices, quiet.tier), (10, Tier::F1));
    // One connect, and a renewal each 51 minutes.
    assert_eq!(quiet.messages_per_day, 293);
    let flapping = read(&format!(
        "{text}[[faults]]\nkind = \"flapping\"\nevery = \"1m\"\nlasts = \"1s\"\ndevices = 0.5\n"
    ));
    assert_eq!(flapping.unwrap().load().messages_per_day, 293 + 10 * 720);
    let thermostats = read(&text.replace("reboot", "thermostat")).unwrap().load();
    assert!(thermostats.messages_per_day > quiet.messages_per_day);
}

#[test]
fn the_committed_schema_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fleet.schema.json");
    let current = format!("{:#}\n", FleetFile::json_schema());
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    if committed != current {
        std::fs::write(path, &current).unwrap();
    }
    assert!(
        committed == current,
        "the schema was out of date and is written anew; commit fleet.schema.json"
    );
}

#[test]
fn the_schema_names_what_a_file_may_hold() {
    let schema = FleetFile::json_schema();
    for name in ["name", "seed", "connect", "devices", "faults"] {
        assert!(schema["properties"][name].is_object(), "{name}");
    }
    assert!(schema["properties"].get("models").is_none());
    assert!(schema.to_string().contains("cutDownload"));
    assert_eq!(schema["required"], json!(["name", "devices"]));
}

proptest! {
    #[test]
    fn shards_partition_the_members(count in 1..300_u32, shards in 1..9_u32, seed in any::<u32>()) {
        let text = format!(
            "name = \"p\"\nseed = {seed}\n[[devices]]\ncount = {count}\nid = \"d-{{number}}\"\nmodel = \"reboot\"\n"
        );
        let fleet = read(&text).unwrap();
        let mut together: Vec<String> = (1..=shards)
            .flat_map(|index| {
                let shard: Shard = format!("{index}/{shards}").parse().unwrap();
                fleet.shard(shard).map(|member| member.id.to_string()).collect::<Vec<_>>()
            })
            .collect();
        let mut members: Vec<String> = fleet.members().map(|member| member.id.to_string()).collect();
        together.sort();
        members.sort();
        prop_assert_eq!(together, members);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-z\\[\\]={}\" \n0-9.]{0,80}") {
        let _ = read(&text);
    }
}
