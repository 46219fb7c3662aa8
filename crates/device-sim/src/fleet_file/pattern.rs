//! Names that differ by a number: `pump-{number:4}`, `s{number % 50}`.

use std::{fmt, num::NonZeroU32, str::FromStr};

use serde::{Deserialize, Serialize};

/// Digits a number may be filled up to.
const MAX_WIDTH: usize = 9;
const MAX_LENGTH: usize = 128;

/// A text with places for a device's number: `{number}`, with leading zeros `{number:4}`, what is
/// left over when it is divided `{number % 50}`, or both `{number % 50:2}`. `{{` is a brace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Number { modulo: Option<NonZeroU32>, width: usize },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    #[error("{0:?} is no place for a number; write {{number}}, {{number:4}}, {{number % 50}} or {{number % 50:2}}")]
    Place(String),
    #[error("a brace is left open or closed twice; write {{{{ or }}}} for a brace itself")]
    Brace,
    #[error("a pattern has at most {MAX_LENGTH} characters, this one {0}")]
    TooLong(usize),
}

impl Pattern {
    pub fn fill(&self, number: u32) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Number { modulo, width } => {
                    let number = modulo.map_or(number, |modulo| number % modulo);
                    text.push_str(&format!("{number:0width$}"));
                }
            }
        }
        text
    }

    /// Whether no two numbers give the same text.
    pub(super) fn tells_apart(&self) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, Part::Number { modulo: None, .. }))
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        if text.len() > MAX_LENGTH {
            return Err(InvalidPattern::TooLong(text.len()));
        }
        let (mut parts, mut literal) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some(place) = rest.find(['{', '}']) {
            literal.push_str(&rest[..place]);
            let brace = &rest[place..=place];
            rest = &rest[place + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let end = rest.find('}').filter(|_| brace == "{").ok_or(InvalidPattern::Brace)?;
            let number = number(&rest[..end]).ok_or_else(|| InvalidPattern::Place(format!("{{{}}}", &rest[..end])))?;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(number);
            rest = &rest[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }
}

fn number(text: &str) -> Option<Part> {
    let (text, width) = match text.split_once(':') {
        Some((text, width)) => (text, width.trim().parse().ok().filter(|width| *width <= MAX_WIDTH)?),
        None => (text, 0),
    };
    let (name, modulo) = match text.split_once('%') {
        Some((name, modulo)) => (name, Some(modulo.trim().parse().ok()?)),
        None => (text, None),
    };
    (name.trim() == "number").then_some(Part::Number { modulo, width })
}

impl TryFrom<String> for Pattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.text
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fill(pattern: &str, number: u32) -> String {
        pattern.parse::<Pattern>().unwrap().fill(number)
    }

    #[test]
    fn numbers_are_put_in_with_zeros_and_remainders() {
        assert_eq!(fill("pump-{number:4}", 7), "pump-0007");
        assert_eq!(fill("{number}-{number}", 12), "12-12");
        assert_eq!(fill("s{number % 50}", 123), "s23");
        assert_eq!(fill("s{ number%50 : 3 }x", 123), "s023x");
        assert_eq!(fill("{{{number}}}", 1), "{1}");
        assert_eq!(fill("plain", 1), "plain");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, told) in [
            ("{nummer}", "\"{nummer}\" is no place for a number"),
            ("{number % 0}", "no place for a number"),
            ("{number:10}", "no place for a number"),
            ("{}", "no place for a number"),
            ("{number", "a brace is left open"),
            ("number}", "a brace is left open"),
        ] {
            let error = text.parse::<Pattern>().unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
        assert!("x".repeat(129).parse::<Pattern>().is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic_and_a_pattern_is_written_as_it_was_read(text in "[a-z{}%: 0-9numberé]{0,40}") {
            if let Ok(pattern) = text.parse::<Pattern>() {
                prop_assert_eq!(pattern.to_string(), text);
                let _ = pattern.fill(7);
            }
        }

        #[test]
        fn a_pattern_with_the_whole_number_tells_devices_apart(width in 0..9_usize, a in 1..1_000_000_u32, b in 1..1_000_000_u32) {
            let pattern: Pattern = format!("d{{number % 3}}-{{number:{width}}}").parse().unwrap();
            prop_assert!(pattern.tells_apart());
            prop_assert_eq!(pattern.fill(a) == pattern.fill(b), a == b);
        }
    }
}
