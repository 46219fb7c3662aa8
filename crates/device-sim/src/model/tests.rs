//! What the reader of model files says of mistakes, and its bounds.

use proptest::prelude::*;

use super::{read::MAX_FILE, *};
use crate::FileError;

const HEAD: &str = "name = \"m\"\ntitle = \"M\"\n";

fn refused(text: &str) -> FileError {
    Model::parse(&format!("{HEAD}{text}"), &|_| None)
        .map(|model| model.name)
        .unwrap_err()
}

#[test]
fn a_mistake_is_told_with_its_place_and_what_would_be_right() {
    // The text after the head's two lines, the place, and a part of what is said.
    let cases = [
        ("[methods.m]\nstep = []", "4:1", "unknown field `step`, expected one of"),
        (
            "[methods.m]\nsteps = [\n  { wat = '5s' },\n]",
            "5:5",
            "unknown field `wat`, expected one of `wait`, `report`",
        ),
        (
            "[methods.m]\nsteps = [{ wait = '5 s' }]",
            "4:19",
            "250ms, 20s, 5m or 2h",
        ),
        ("[methods.m]\nsteps = [{ wait = 5 }]", "4:19", "expected a string"),
        ("[methods.m\n", "3:11", "`]`"),
        ("modelId = 'thermostat'", "3:11", "dtmi:com:example:Thermostat;1"),
        ("firmware = 'D'", "3:12", "expected one of `A`, `B`, `C`, `L`"),
        ("[methods.m]\nsteps = []", "3:1", "at least one step"),
        (
            "[methods.'m m']\nsteps = [{ wait = '1s' }]",
            "3:1",
            "no name for a method",
        ),
        ("[methods.m]\nsteps = [{}]", "4:10", "write one of wait, report"),
        (
            "[methods.m]\nsteps = [{ vary = 0.5 }]",
            "4:10",
            "this step does nothing",
        ),
        (
            "[methods.m]\nsteps = [{ wait = '1s', apply = '2s' }]",
            "4:10",
            "would wait and apply",
        ),
        (
            "[methods.m]\nsteps = [{ wait = '1s', vary = 2 }]",
            "4:10",
            "between 0 and 1",
        ),
        (
            "[methods.m]\nsteps = [{ answer = {}, vary = 0.1 }]",
            "4:10",
            "vary belongs to",
        ),
        (
            "[methods.m]\nsteps = [{ report = { a = '{playload.x}' } }]",
            "4:10",
            "a path begins with now, payload",
        ),
        (
            "[methods.m]\nsteps = [{ report = { a = '{payload.x}' } }]",
            "4:10",
            "add payload.x =",
        ),
        (
            "[methods.m]\nsteps = [{ report = { 'a.b' = 1 } }]",
            "4:10",
            "no name for a property",
        ),
        (
            "[methods.m]\nsteps = [{ report = { a = 2026-01-01 } }]",
            "4:10",
            "in quotes",
        ),
        (
            "[methods.m]\nsteps = [{ report = { a = '{memory.x}' } }]",
            "4:10",
            "add x to [memory]",
        ),
        (
            "[methods.m]\nsteps = [{ report = { a = '{package.uri}' } }]",
            "4:10",
            "a download must come before",
        ),
        (
            "[methods.m]\nsteps = [{ report = { a = '{error.code}' } }]",
            "4:10",
            "only failed, applyFailed and rolledBack",
        ),
        (
            "[methods.m]\nsteps = [{ report = { a = '{device.name}' } }]",
            "4:10",
            "there is {device.id}",
        ),
        (
            "[methods.m]\nsteps = [{ report = { a = '{now.x}' } }]",
            "4:10",
            "now has no members",
        ),
        (
            "[methods.m]\nsteps = [{ remember = { '$x' = 1 } }]",
            "4:10",
            "names that begin with $",
        ),
        (
            "[methods.m]\nsteps = [{ verify = { sha256 = 'x' } }]",
            "4:10",
            "nothing to verify",
        ),
        (
            "[methods.m]\nsteps = [{ answer = {} }, { answer = {} }]",
            "4:27",
            "can never be given",
        ),
        ("[methods.m]\nsteps = [{ answer = { status = -1 } }]", "4:10", "below 0"),
        (
            "[methods.m]\nsteps = [{ wait = '1s' }]\nfailed = [{ wait = '1s' }]",
            "5:11",
            "can never be reached: no step before can fail",
        ),
        (
            "[methods.m]\nsteps = [{ require = { path = 'now', error = 'x' } }]\napplyFailed = [{ wait = '1s' }]",
            "5:16",
            "can never be reached: there is no step apply",
        ),
        (
            "[methods.m]\nsteps = [{ apply = '1s' }]\nrolledBack = [{ wait = '1s' }]",
            "5:15",
            "no restart after apply",
        ),
        (
            "[methods.m]\nsteps = [{ apply = '1s' }]\nfailed = [{ apply = '1s' }]",
            "5:11",
            "run after a failure",
        ),
        (
            "[methods.m]\nsteps = [{ require = { path = '{now}', error = 'x' } }]",
            "4:10",
            "written without braces",
        ),
        (
            "[desired.a]\nsteps = [{ answer = {} }]",
            "4:10",
            "only methods are answered",
        ),
        (
            "[desired.a]\npayload.x = { type = 'any' }\nsteps = [{ wait = '1s' }]",
            "3:1",
            "step require",
        ),
        (
            "[desired.a]\nsteps = [{ report = { a = '{payload.x}' } }]",
            "4:10",
            "only methods have a payload",
        ),
        (
            "[desired.'a..b']\nsteps = [{ wait = '1s' }]",
            "3:1",
            "no path of a desired property",
        ),
        ("[boot]\nsteps = [{ restart = '1s' }]", "4:10", "would never end"),
        ("[boot]\nsteps = [{ apply = '1s' }]", "4:10", "no place in a boot"),
        ("[reported]\na = '{payload.x}'", "3:1", "only methods have a payload"),
        ("[memory]\n'$handled' = 1", "3:1", "names that begin with $"),
        (
            "[telemetry.t]\nevery = '10ms'\nvalues.a = { constant = 1 }",
            "3:1",
            "100ms or more",
        ),
        ("[telemetry.t]\nevery = '1s'\nvalues = {}", "3:1", "1 to 64 values"),
        (
            "[telemetry.t]\nevery = '1s'\nvalues.a = { walk = { start = 1, step = 1, min = 2, max = 3 } }",
            "3:1",
            "a: a walk needs",
        ),
        (
            "[telemetry.t]\nevery = '1s'\nvalues.a = { csv = { file = 'a.csv', column = 'x' } }",
            "3:1",
            "beside the model",
        ),
    ];
    for (text, place, part) in cases {
        let error = refused(text);
        let at = format!("{}:{}", error.line.unwrap_or(0), error.column.unwrap_or(0));
        assert!(error.message.contains(part), "{text}\n{error}");
        assert_eq!(at, place, "{text}\n{error}");
    }
    let name = Model::parse("name = 'a b'\ntitle = 'x'", &|_| None).unwrap_err();
    assert!(
        name.to_string().starts_with("line 1, column 8: \"a b\" is no name"),
        "{name}"
    );
}

#[test]
fn models_are_bounded() {
    let methods = |count: usize| -> String {
        let method = |number| format!("[methods.m{number}]\nsteps = [{{ wait = '1s' }}]\n");
        (0..count).map(method).collect()
    };
    assert!(Model::parse(&format!("{HEAD}{}", methods(64)), &|_| None).is_ok());
    assert!(refused(&methods(65)).message.contains("at most 64 methods"));
    let steps = |count: usize| format!("[methods.m]\nsteps = [{}]", "{ wait = '1s' },".repeat(count));
    assert!(Model::parse(&format!("{HEAD}{}", steps(256)), &|_| None).is_ok());
    assert!(refused(&steps(257)).message.contains("at most 256"));
    assert!(
        refused(&steps(257).replace("[methods.m]", "[boot]"))
            .message
            .contains("at most 256")
    );
    assert!(refused(&"#".repeat(MAX_FILE)).message.contains("at most 65536"));
}

#[test]
fn a_model_tells_what_its_devices_must_keep() {
    let keeps = |text: &str| Model::parse(&format!("{HEAD}{text}"), &|_| None).unwrap().keeps();
    let nothing = Keeps::default();
    assert_eq!(keeps("[methods.m]\nsteps = [{ report = { a = '{now}' } }]"), nothing);
    assert_eq!(
        keeps("[methods.m]\nsteps = [{ forgetReported = {} }]"),
        Keeps { names: true, ..nothing }
    );
    assert_eq!(
        keeps("[reported]\na = '{reported.b?}'"),
        Keeps {
            reported: true,
            ..nothing
        }
    );
    assert_eq!(
        keeps("[desired.a]\nsteps = [{ wait = '1s' }]"),
        Keeps {
            desired: true,
            ..nothing
        }
    );
}

#[test]
fn the_committed_schema_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/model.schema.json");
    let current = format!("{:#}\n", Model::json_schema());
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    if committed != current {
        std::fs::write(path, &current).unwrap();
    }
    assert!(
        committed == current,
        "the schema was out of date and is written anew; commit model.schema.json"
    );
}

proptest! {
    #[test]
    fn no_text_is_too_strange_to_be_read_or_refused(text in any::<String>()) {
        if let Err(error) = Model::parse(&text, &|_| None) {
            prop_assert!(!error.message.is_empty());
        }
    }

    /// A good model with a part of it put elsewhere is read, or refused with a place in it.
    #[test]
    fn a_garbled_model_is_read_or_refused(
        model in 0..BUILT_IN.len(), from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), length in 0..40_usize,
    ) {
        let text: Vec<char> = BUILT_IN[model].chars().collect();
        let (from, to) = (from.index(text.len()), to.index(text.len()));
        let part = &text[from..(from + length).min(text.len())];
        let garbled: String = text[..to].iter().chain(part).chain(&text[to..]).collect();
        if let Err(error) = Model::parse(&garbled, &|_| None) {
            prop_assert!(error.message.len() > 5, "{}", error);
            if let Some(line) = error.line {
                prop_assert!(line <= garbled.lines().count() + 1);
            }
        }
    }
}

#[test]
fn the_example_of_the_documentation_is_a_model() {
    let page = include_str!("../../../../docs/models.md");
    let blocks = page
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    let files = |name: &str| (name == "load.csv").then(|| "kw\n1\n".to_owned());
    let blocks: Vec<&str> = blocks.filter(|block| block.contains("[telemetry")).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let head = if block.starts_with("name") { "" } else { HEAD };
        Model::parse(&format!("{head}{block}"), &files).unwrap();
    }
}
