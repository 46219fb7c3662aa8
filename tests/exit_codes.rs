//! The built command line when something is wrong: its exit code, its message, its silence about
//! keys.

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::{
    process::{command, error, finish, run, serve, text},
    soon,
};

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

#[tokio::test]
async fn bad_input_is_exit_code_two_and_names_what_is_wrong() {
    let good = format!("HostName=localhost:9;SharedAccessKeyName=p;SharedAccessKey={KEY}");
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.bin");
    std::fs::write(&empty, b"").unwrap();
    let empty = empty.to_str().unwrap();
    let no_key = "HostName=localhost;SharedAccessKeyName=p";
    let long_id = "x".repeat(129);
    let cases: &[(&str, &[&str], &str)] = &[
        ("", &["device", "list"], "empty"),
        ("SharedAccessKeyName=p", &["device", "list"], "HostName"),
        (no_key, &["device", "list"], "SharedAccessKey"),
        (&good, &["device", "create", "a+b"], "'+'"),
        (&good, &["device", "create", &long_id], "128"),
        (&good, &["invoke", "d", "m", "--payload", "{"], "not JSON"),
        (&good, &["invoke", "d", "a/b"], "method name"),
        (&good, &["invoke", "d", "m", "--response-timeout", "4"], "4"),
        (&good, &["twin", "update", "d", "[]"], "object"),
        (&good, &["twin", "update", "d", "{\"tags\":{\"a.b\":1}}"], "a.b"),
        (
            &good,
            &["firmware", "update", "--package", "/does/not/exist", "--device", "d"],
            "cannot be read",
        ),
        (
            &good,
            &["firmware", "update", "--package", empty, "--device", "d"],
            "empty",
        ),
        (
            &good,
            &["firmware", "update", "--uri", "ftp://h/f", "--device", "d"],
            "http",
        ),
        (&good, &["firmware", "update", "--package", empty], "--device"),
        (&good, &["--ca-file", "/does/not/exist", "device", "list"], "CA file"),
        (&good, &["fly"], "fly"),
    ];
    for (connection, arguments, named) in cases {
        let mut command = command(arguments);
        let output = finish(command.arg("--json").env("IOTHUB_CONNECTION_STRING", connection)).await;
        let told = error(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(
            told["message"].as_str().unwrap().contains(named),
            "{arguments:?}: {told}"
        );
        assert!(
            told["hint"].is_string() && told["code"].is_string(),
            "{arguments:?}: {told}"
        );
    }
    let none = run(&["--json", "device", "list"]).await;
    assert_eq!(none.status.code(), Some(2));
    assert!(
        error(&none)["hint"]
            .as_str()
            .unwrap()
            .contains("IOTHUB_CONNECTION_STRING")
    );
}

#[tokio::test]
async fn a_payload_over_128_kib_is_bad_input_also_from_standard_input() {
    let closed = format!("HostName=localhost:9;SharedAccessKeyName=p;SharedAccessKey={KEY}");
    let mut command = command(&["--json", "invoke", "d", "m", "--payload", "-"]);
    command
        .env("IOTHUB_CONNECTION_STRING", closed)
        .stdin(std::process::Stdio::piped());
    let mut invoke = command.spawn().unwrap();
    let mut input = invoke.stdin.take().unwrap();
    let payload = format!("\"{}\"", "x".repeat(128 * 1024));
    input.write_all(payload.as_bytes()).await.unwrap();
    drop(input);
    let output = soon("the command to end", invoke.wait_with_output()).await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error(&output)["message"].as_str().unwrap().contains("131072"));
}

#[tokio::test]
async fn people_get_the_message_and_then_the_hint() {
    let unreachable = format!("HostName=localhost:9;SharedAccessKeyName=p;SharedAccessKey={KEY}");
    let mut command = command(&["invoke", "d", "m", "--payload", "{"]);
    let output = finish(command.env("IOTHUB_CONNECTION_STRING", unreachable)).await;
    let told = text(&output.stderr);
    let lines: Vec<_> = told.lines().collect();
    assert!(lines[0].starts_with("error: The payload is not JSON"), "{told}");
    assert!(lines[1].starts_with("  hint: "), "{told}");
}

#[tokio::test]
async fn a_secret_is_never_printed_and_never_taken_as_an_argument() {
    let (_dir, hub) = serve().await;
    hub.json(&["device", "create", "d"]).await;
    let owner = hub.connection_string().to_owned();
    let key = owner.rsplit_once("SharedAccessKey=").unwrap().1.to_owned();
    let identity = finish(&mut hub.control(&["device", "connection-string", "d"])).await;
    let device_key = text(&identity.stdout)
        .rsplit_once("SharedAccessKey=")
        .unwrap()
        .1
        .trim()
        .to_owned();
    let wrong = owner.replace(&key, KEY);
    for (connection, arguments) in [
        (&owner, &["device", "list"][..]),
        (&owner, &["device", "create", "e"]),
        (&owner, &["twin", "show", "d"]),
        (&owner, &["invoke", "d", "m"]),
        (&owner, &["invoke", "nobody", "m"]),
        (&wrong, &["device", "list"]),
        (&owner, &["twin", "show", &owner]),
        (&owner, &["device", "list", &owner]),
        (
            &owner,
            &["--connection-string-file", "/does/not/exist", "device", "list"],
        ),
    ] {
        for json in [true, false] {
            let mut command = hub.control(arguments);
            command
                .env("IOTHUB_CONNECTION_STRING", connection)
                .env("RUST_LOG", "trace");
            if json {
                command.arg("--json");
            }
            let output = finish(&mut command).await;
            let told = text(&output.stdout) + &text(&output.stderr);
            for secret in [key.as_str(), device_key.as_str(), KEY, "SharedAccessSignature sr="] {
                assert!(!told.contains(secret), "{arguments:?} prints a secret");
            }
            if arguments.contains(&owner.as_str()) {
                assert_eq!(output.status.code(), Some(2));
                assert!(told.contains("may not be an argument"), "{told}");
            }
        }
    }
}

#[tokio::test]
async fn failures_of_the_hub_and_the_network_are_exit_code_one() {
    let (_dir, hub) = serve().await;
    hub.json(&["device", "create", "d"]).await;
    let owner = hub.connection_string().to_owned();
    let with = |from: &str, to: &str| owner.replace(from, to);
    let key = owner.rsplit_once("SharedAccessKey=").unwrap().1;
    let host = owner.split(';').next().unwrap();
    for (connection, arguments, code) in [
        (owner.clone(), ["twin", "show", "nobody"], "NotFound"),
        (owner.clone(), ["invoke", "d", "m"], "DeviceOffline"),
        (with(key, KEY), ["twin", "show", "d"], "Unauthorized"),
        (with(host, "HostName=hub.invalid"), ["invoke", "d", "m"], "UnknownHost"),
        (with(host, "HostName=localhost:9"), ["invoke", "d", "m"], "Unreachable"),
    ] {
        let mut command = hub.control(&["--json"]);
        let output = finish(command.args(arguments).env("IOTHUB_CONNECTION_STRING", connection)).await;
        let told = error(&output);
        assert_eq!(
            (output.status.code(), told["code"].as_str()),
            (Some(1), Some(code)),
            "{told}"
        );
        assert!(told["hint"].is_string(), "{told}");
    }
    let mut untrusted = command(&["--json", "device", "list"]);
    let output = finish(untrusted.env("IOTHUB_CONNECTION_STRING", &owner)).await;
    assert_eq!(
        (output.status.code(), &error(&output)["code"]),
        (Some(1), &json!("UntrustedTls"))
    );
}
