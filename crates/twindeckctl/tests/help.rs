//! The binary as it is built. What it does with a hub is tested in the workspace's own tests,
//! which find this binary ready because it is built for this one.

use std::process::Command;

#[test]
fn help_names_every_command_and_the_exit_codes() {
    let output = Command::new(env!("CARGO_BIN_EXE_twindeckctl"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    for command in ["hub", "device", "simulate", "invoke", "twin", "firmware", "demo"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
    }
    assert!(help.contains("Exit codes: 0 done, 1 failed, 2 bad input"));
}
