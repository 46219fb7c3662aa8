//! Templates: JSON whose texts may hold placeholders, as in `"{payload.fwVersion}"`.
//!
//! A text that is one placeholder becomes the value found there, of whatever type; inside a
//! longer text the value is put in as text. `{a | b}` takes the first that is there, `{a?}` may be
//! missing without a word, `{a[b]}` picks from `a` by the name, or the list of names, at `b`.
//! `{{` is a brace. Null counts as missing, but for `{null}` itself.

use std::{borrow::Cow, fmt};

use hub_protocol::merge::Object;
use serde_json::Value;

/// Paths in brackets inside paths in brackets.
const MAX_PICKS: u8 = 3;
/// How the TOML library hands on a date, which JSON does not have.
const TOML_DATE: &str = "$__toml_private_datetime";

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Template {
    /// Nothing to fill in.
    Plain(Value),
    Place(Place),
    Text(Vec<Piece>),
    Array(Vec<Template>),
    /// Names are templates too.
    Object(Vec<(Template, Template)>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece {
    Plain(String),
    Place(Place),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    /// The first that is there is taken.
    alternatives: Vec<Path>,
    /// It is no mistake when none is.
    optional: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Path {
    pub(crate) root: Root,
    pub(crate) segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Segment {
    Name(String),
    Picked(Path),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    Now,
    Payload,
    Desired,
    Reported,
    Memory,
    Package,
    Error,
    Device,
    Null,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoTemplate {
    #[error("{0:?} has a placeholder without its end; it ends with a brace, and a brace as such is written {{{{")]
    Open(String),
    #[error("{{{0}}} is no path; write names with dots between, as in {{payload.fwVersion}}, and {{{{ for a brace")]
    Path(String),
    #[error(
        "{{{path}}} begins with {root:?}, which is not known; a path begins with {}",
        names(Root::ALL)
    )]
    Root { path: String, root: String },
    #[error("{{{0}}} has more than {MAX_PICKS} brackets inside each other")]
    Deep(String),
    #[error("{0} is a date, and JSON has none; write it as a text in quotes")]
    Date(String),
}

/// `a, b or c`
pub(super) fn names<T: fmt::Display>(all: impl IntoIterator<Item = T>) -> String {
    let mut all: Vec<String> = all.into_iter().map(|name| name.to_string()).collect();
    let last = all.pop().unwrap_or_default();
    if all.is_empty() {
        last
    } else {
        format!("{} or {last}", all.join(", "))
    }
}

impl Root {
    pub(crate) const ALL: [Self; 9] = [
        Self::Now,
        Self::Payload,
        Self::Desired,
        Self::Reported,
        Self::Memory,
        Self::Package,
        Self::Error,
        Self::Device,
        Self::Null,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Payload => "payload",
            Self::Desired => "desired",
            Self::Reported => "reported",
            Self::Memory => "memory",
            Self::Package => "package",
            Self::Error => "error",
            Self::Device => "device",
            Self::Null => "null",
        }
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root)?;
        self.segments.iter().try_for_each(|segment| match segment {
            Segment::Name(name) => write!(f, ".{name}"),
            Segment::Picked(path) => write!(f, "[{path}]"),
        })
    }
}

/// What paths lead into.
pub(crate) trait Scope {
    /// `None` when there is no such thing here.
    fn root(&self, root: Root) -> Option<Cow<'_, Value>>;
}

impl Template {
    pub(crate) fn parse(value: &Value) -> Result<Self, NoTemplate> {
        let plain = |template: &Self| matches!(template, Self::Plain(_));
        match value {
            Value::String(text) => Self::text(text),
            Value::Array(items) => {
                let items = items.iter().map(Self::parse).collect::<Result<Vec<_>, _>>()?;
                Ok(if items.iter().all(plain) {
                    Self::Plain(value.clone())
                } else {
                    Self::Array(items)
                })
            }
            Value::Object(object) => {
                if let Some(date) = object.get(TOML_DATE) {
                    return Err(NoTemplate::Date(date.as_str().unwrap_or_default().to_owned()));
                }
                let member = |(name, value): (&String, &Value)| Ok((Self::text(name)?, Self::parse(value)?));
                let members = object.iter().map(member).collect::<Result<Vec<_>, _>>()?;
                Ok(Self::Object(members))
            }
            other => Ok(Self::Plain(other.clone())),
        }
    }

    fn text(text: &str) -> Result<Self, NoTemplate> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            plain.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('{') {
                plain.push('{');
                rest = after;
                continue;
            }
            let end = rest.find('}').ok_or_else(|| NoTemplate::Open(shortened(text)))?;
            if !plain.is_empty() {
                pieces.push(Piece::Plain(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Place(Place::parse(&rest[..end])?));
            rest = &rest[end + 1..];
        }
        plain.push_str(rest);
        if pieces.is_empty() {
            return Ok(Self::Plain(Value::String(plain)));
        }
        if !plain.is_empty() {
            pieces.push(Piece::Plain(plain));
        }
        match pieces.pop() {
            Some(Piece::Place(place)) if pieces.is_empty() => Ok(Self::Place(place)),
            last => {
                pieces.extend(last);
                Ok(Self::Text(pieces))
            }
        }
    }

    /// `None` when what it asks for is not there; members and items that are not there are left
    /// out. What should have been there is added to `missing`.
    pub(crate) fn render(&self, scope: &impl Scope, missing: &mut Vec<String>) -> Option<Value> {
        match self {
            Self::Plain(value) => Some(value.clone()),
            Self::Place(place) => place.find(scope, missing),
            Self::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Plain(plain) => text.push_str(plain),
                        Piece::Place(place) => text.push_str(&as_text(place.find(scope, missing)?)),
                    }
                }
                Some(Value::String(text))
            }
            Self::Array(items) => {
                let items = items.iter().filter_map(|item| item.render(scope, missing));
                Some(Value::Array(items.collect()))
            }
            Self::Object(members) => {
                let mut object = Object::new();
                for (name, value) in members {
                    let name = name.render(scope, missing).map(as_text);
                    if let (Some(name), Some(value)) = (name, value.render(scope, missing)) {
                        object.insert(name, value);
                    }
                }
                Some(Value::Object(object))
            }
        }
    }

    pub(crate) fn each_path(&self, visit: &mut impl FnMut(&Path)) {
        let place = |place: &Place, visit: &mut dyn FnMut(&Path)| {
            for path in &place.alternatives {
                path.each(visit);
            }
        };
        match self {
            Self::Plain(_) => {}
            Self::Place(one) => place(one, visit),
            Self::Text(pieces) => {
                for piece in pieces {
                    if let Piece::Place(one) = piece {
                        place(one, visit);
                    }
                }
            }
            Self::Array(items) => items.iter().for_each(|item| item.each_path(visit)),
            Self::Object(members) => {
                for (name, value) in members {
                    name.each_path(visit);
                    value.each_path(visit);
                }
            }
        }
    }
}

impl Place {
    fn parse(text: &str) -> Result<Self, NoTemplate> {
        let (paths, optional) = match text.trim_end().strip_suffix('?') {
            Some(paths) => (paths, true),
            None => (text, false),
        };
        let alternatives = paths.split('|').map(Path::parse).collect::<Result<_, _>>()?;
        Ok(Self { alternatives, optional })
    }

    fn find(&self, scope: &impl Scope, missing: &mut Vec<String>) -> Option<Value> {
        let found = self.alternatives.iter().find_map(|path| path.find(scope));
        if found.is_none() && !self.optional {
            missing.extend(self.alternatives.last().map(ToString::to_string));
        }
        found
    }
}

impl Path {
    pub(crate) fn parse(text: &str) -> Result<Self, NoTemplate> {
        let mut rest = text.trim();
        let path = Self::read(&mut rest, text, 0)?;
        if rest.is_empty() {
            Ok(path)
        } else {
            Err(NoTemplate::Path(shortened(text)))
        }
    }

    /// Takes one path from the beginning of `rest`; `whole` is for errors.
    fn read(rest: &mut &str, whole: &str, picks: u8) -> Result<Self, NoTemplate> {
        if picks > MAX_PICKS {
            return Err(NoTemplate::Deep(shortened(whole)));
        }
        let name = |rest: &mut &str| {
            let special = |c: char| c.is_whitespace() || ".[]{}|?".contains(c);
            let (name, after) = rest.split_at(rest.find(special).unwrap_or(rest.len()));
            *rest = after;
            if name.is_empty() {
                Err(NoTemplate::Path(shortened(whole)))
            } else {
                Ok(name.to_owned())
            }
        };
        let first = name(rest)?;
        let root = Root::ALL.into_iter().find(|root| root.name() == first);
        let root = root.ok_or_else(|| NoTemplate::Root {
            path: shortened(whole),
            root: first,
        })?;
        let mut segments = Vec::new();
        loop {
            if let Some(after) = rest.strip_prefix('.') {
                *rest = after;
                segments.push(Segment::Name(name(rest)?));
            } else if let Some(after) = rest.strip_prefix('[') {
                *rest = after;
                segments.push(Segment::Picked(Self::read(rest, whole, picks + 1)?));
                *rest = rest
                    .strip_prefix(']')
                    .ok_or_else(|| NoTemplate::Path(shortened(whole)))?;
            } else {
                return Ok(Self { root, segments });
            }
        }
    }

    pub(crate) fn find(&self, scope: &impl Scope) -> Option<Value> {
        if self.root == Root::Null {
            return Some(Value::Null);
        }
        let mut at = scope.root(self.root)?;
        for segment in &self.segments {
            at = match segment {
                Segment::Name(name) => member(at, name)?,
                Segment::Picked(path) => match path.find(scope)? {
                    Value::Array(names) => {
                        let pick = |name: &Value| {
                            let name = name.as_str()?;
                            Some((name.to_owned(), at.get(name)?.clone()))
                        };
                        Cow::Owned(Value::Object(names.iter().filter_map(pick).collect()))
                    }
                    name => member(at, &as_text(name))?,
                },
            };
        }
        (!at.is_null()).then(|| at.into_owned())
    }

    pub(super) fn each(&self, visit: &mut dyn FnMut(&Self)) {
        visit(self);
        for segment in &self.segments {
            if let Segment::Picked(path) = segment {
                path.each(visit);
            }
        }
    }
}

fn member<'v>(value: Cow<'v, Value>, name: &str) -> Option<Cow<'v, Value>> {
    match value {
        Cow::Borrowed(value) => value.get(name).map(Cow::Borrowed),
        Cow::Owned(mut value) => value.get_mut(name).map(|value| Cow::Owned(value.take())),
    }
}

fn as_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    struct Here(Value);

    impl Scope for Here {
        fn root(&self, root: Root) -> Option<Cow<'_, Value>> {
            self.0.get(root.name()).map(Cow::Borrowed)
        }
    }

    fn rendered(template: &Value) -> (Option<Value>, Vec<String>) {
        let here = Here(json!({
            "now": "2026-01-01T00:00:00Z",
            "payload": { "name": "pace", "names": ["pace", "mode", "none"], "count": 3, "nothing": null, "on": true },
            "memory": { "settings": { "pace": 7, "mode": "eco", "other": 1 } },
        }));
        let mut missing = Vec::new();
        let value = Template::parse(template).unwrap().render(&here, &mut missing);
        (value, missing)
    }

    #[test]
    fn placeholders_take_what_is_there() {
        let cases = [
            (json!("plain"), json!("plain")),
            (json!("{payload.count}"), json!(3)),
            (
                json!("{payload}"),
                json!({ "name": "pace", "names": ["pace", "mode", "none"], "count": 3, "nothing": null, "on": true }),
            ),
            (json!("n{payload.count}-{payload.on}{null}"), json!("n3-true")),
            (json!("{{now}"), json!("{now}")),
            (json!("}"), json!("}")),
            (json!("{null}"), json!(null)),
            (json!("{payload.gone | memory.settings.mode}"), json!("eco")),
            (json!("{payload.nothing | null}"), json!(null)),
            (json!("{memory.settings[payload.name]}"), json!(7)),
            (
                json!("{memory.settings[payload.names]}"),
                json!({ "pace": 7, "mode": "eco" }),
            ),
            (json!({ "{payload.name}": "{payload.count}" }), json!({ "pace": 3 })),
            (json!([1, "{now}", 2.5]), json!([1, "2026-01-01T00:00:00Z", 2.5])),
        ];
        for (template, expected) in cases {
            assert_eq!(rendered(&template), (Some(expected), vec![]), "{template}");
        }
    }

    #[test]
    fn what_is_missing_is_left_out_and_told_unless_it_may_be() {
        let (value, missing) = rendered(&json!({
            "a": "{payload.gone?}", "b": "{payload.nothing}", "c": "x{memory.gone.deeper}", "d": 1, "e": ["{device.id}"],
        }));
        assert_eq!(value, Some(json!({ "d": 1, "e": [] })));
        assert_eq!(missing, ["payload.nothing", "memory.gone.deeper", "device.id"]);
    }

    #[test]
    fn what_is_no_template_says_what_would_be() {
        for (text, part) in [
            ("{payload.x", "without its end"),
            ("{}", "no path"),
            ("{payload..x}", "no path"),
            ("{payload.x y}", "no path"),
            ("{memory[payload.x}", "no path"),
            ("{playload.x}", "begins with now, payload"),
            ("{memory[memory[memory[memory[memory.a]]]]}", "more than 3"),
        ] {
            let error = Template::parse(&json!(text)).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let date = json!({ TOML_DATE: "2026-01-01" });
        assert!(Template::parse(&date).unwrap_err().to_string().contains("in quotes"));
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange_to_be_parsed_or_refused(text in "[{}a-z.|?\\[\\] ]{0,40}") {
            match Template::parse(&json!(text)) {
                Ok(template) => {
                    template.render(&Here(json!({ "payload": { "a": 1 } })), &mut Vec::new());
                }
                Err(error) => prop_assert!(error.to_string().len() > 20),
            }
        }

        #[test]
        fn a_text_with_its_braces_doubled_is_itself(text in any::<String>()) {
            let template = Template::parse(&json!(text.replace('{', "{{"))).unwrap();
            prop_assert_eq!(template, Template::Plain(Value::String(text)));
        }
    }
}
