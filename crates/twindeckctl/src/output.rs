//! The only place that prints: results on stdout, everything else on stderr.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::{ffi::OsString, io::Write, process::ExitCode};

use serde::Serialize;
use serde_json::json;

use crate::failure::{Failure, Result};

/// How results are printed: for people, or as JSON for machines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// A result: `text` for people, `value` as one line for machines.
    pub(crate) fn result(self, text: impl FnOnce() -> String, value: &impl Serialize) -> Result<()> {
        if self.json {
            self.json_line(value)
        } else {
            line(&text())
        }
    }

    /// One JSON line on stdout, whatever the format.
    pub(crate) fn json_line(self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::internal(format!("The result cannot be written: {error}.")))?;
        line(&text)
    }

    /// What a person should know on the way; machines are spared it.
    pub(crate) fn progress(self, text: &str) {
        if !self.json {
            note(text);
        }
    }

    pub(crate) fn failure(self, failure: &Failure) {
        let error = failure.error();
        if self.json {
            let error = json!({ "code": error.code, "message": error.message, "hint": error.hint });
            note(&json!({ "error": error }).to_string());
        } else {
            note(&format!("error: {}", error.message));
            if let Some(hint) = &error.hint {
                note(&format!("  hint: {hint}"));
            }
        }
    }
}

/// A line on stderr, in either format.
pub(crate) fn note(text: &str) {
    // Nobody left to read it is no reason to stop.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn line(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::internal(format!("The result cannot be printed: {error}.")))
}

/// Help and version go to stdout with success; a mistake goes to stderr with 2.
pub(crate) fn usage(error: &clap::Error, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    if !error.use_stderr() {
        print!("{}", error.render());
        return ExitCode::SUCCESS;
    }
    let is_json = arguments.into_iter().any(|argument| argument == "--json");
    let failure = usage_failure(&error.render().to_string());
    if is_json || failure.is_about_a_secret {
        Output::new(is_json).failure(&failure.failure);
    } else {
        eprint!("{}", error.render().ansi());
    }
    ExitCode::from(2)
}

struct UsageFailure {
    failure: Failure,
    is_about_a_secret: bool,
}

/// clap quotes what it did not understand, which may be a key that is not to be shown.
fn usage_failure(rendered: &str) -> UsageFailure {
    let is_about_a_secret = rendered.to_ascii_lowercase().contains("sharedaccess");
    let failure = if is_about_a_secret {
        Failure::usage(
            "A connection string may not be an argument: other programs on this machine could read it there.",
            "Set IOTHUB_CONNECTION_STRING, or name a file with --connection-string-file.",
        )
    } else {
        let mut paragraphs = rendered.trim().split("\n\n");
        let message = paragraphs
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .trim();
        Failure::usage(
            message.split_whitespace().collect::<Vec<_>>().join(" "),
            "Run twindeckctl --help.",
        )
    };
    UsageFailure {
        failure,
        is_about_a_secret,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::Arguments;

    fn mistake(arguments: &[&str]) -> UsageFailure {
        let all = std::iter::once("twindeckctl").chain(arguments.iter().copied());
        usage_failure(&Arguments::try_parse_from(all).unwrap_err().render().to_string())
    }

    #[test]
    fn a_mistake_is_told_in_one_line() {
        let failure = mistake(&["invoke", "bad id", "m"]).failure;
        assert!(failure.error().message.contains("may not contain ' '"), "{failure:?}");
        assert!(!failure.error().message.contains('\n'));
    }

    #[test]
    fn a_key_given_as_an_argument_is_not_repeated() {
        let text = "HostName=h;SharedAccessKeyName=p;SharedAccessKey=c2VjcmV0c2VjcmV0c2VjcmV0";
        for arguments in [["device", "list", text], ["twin", "show", text]] {
            let told = mistake(&arguments);
            assert!(told.is_about_a_secret);
            assert!(!format!("{:?}", told.failure).contains("c2VjcmV0"));
        }
    }
}
