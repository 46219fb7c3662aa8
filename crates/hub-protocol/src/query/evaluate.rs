//! Expressions over a row as a client sees it, without a database.

use std::{borrow::Cow, cmp::Ordering};

use serde_json::Value;

use super::{Comparison, Expression, Literal, Path, Segment, function};

impl Expression {
    /// The expression's value for `row`; `None` stands for undefined.
    pub fn evaluate<'a>(&'a self, row: &'a Value) -> Option<Cow<'a, Value>> {
        let own = |value: Option<Value>| value.map(Cow::Owned);
        match self {
            Self::Literal(literal) => own(literal.value()),
            Self::Path(path) => path.value(row).map(Cow::Borrowed),
            // JSON has no undefined; in a list it becomes null, as JavaScript has it.
            Self::List(items) => {
                let items = items.iter().map(|item| item.evaluate(row));
                own(Some(
                    items.map(|item| item.map_or(Value::Null, Cow::into_owned)).collect(),
                ))
            }
            Self::And(parts) => own(all(parts.iter().map(|part| part.truth(row))).map(Value::Bool)),
            Self::Or(parts) => {
                let none = all(parts.iter().map(|part| part.truth(row).map(|truth| !truth)));
                own(none.map(|none| Value::Bool(!none)))
            }
            Self::Not(part) => own(part.truth(row).map(|truth| Value::Bool(!truth))),
            Self::Compare(left, comparison, right) => {
                let ordering = order(&*left.evaluate(row)?, &*right.evaluate(row)?)?;
                own(Some(Value::Bool(comparison.holds(ordering))))
            }
            // An item of another type is another value here, not undefined.
            Self::In { value, list, negated } => {
                let value = value.evaluate(row)?;
                let mut items = list.iter().filter_map(|item| item.evaluate(row));
                let found = items.any(|item| function::equal(&value, &item));
                own(Some(Value::Bool(found != *negated)))
            }
            Self::Arithmetic(first, rest) => {
                let first = first.evaluate(row);
                let rest: Vec<_> = rest
                    .iter()
                    .map(|(operator, part)| (*operator, part.evaluate(row)))
                    .collect();
                let rest = rest.iter().map(|(operator, value)| (*operator, value.as_deref()));
                own(function::arithmetic(first.as_deref(), rest))
            }
            Self::Call(function, arguments) => {
                let arguments: Vec<_> = arguments.iter().map(|argument| argument.evaluate(row)).collect();
                let arguments: Vec<_> = arguments.iter().map(Option::as_deref).collect();
                own(function.call(&arguments))
            }
        }
    }

    /// Whether `row` is kept: only by `true`, not by undefined and not by anything else.
    pub fn matches(&self, row: &Value) -> bool {
        self.truth(row) == Some(true)
    }

    fn truth(&self, row: &Value) -> Option<bool> {
        self.evaluate(row)?.as_bool()
    }
}

/// Three-valued: one false decides, otherwise one undefined does.
fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(true);
    for part in parts {
        match part {
            Some(false) => return Some(false),
            None => result = None,
            Some(true) => {}
        }
    }
    result
}

/// Between primitives of one type; texts compare by their characters' code points.
pub(super) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

impl Comparison {
    pub fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Literal {
    /// `None` for undefined.
    pub fn value(&self) -> Option<Value> {
        match self {
            Self::Undefined => None,
            Self::Null => Some(Value::Null),
            Self::Bool(value) => Some(Value::Bool(*value)),
            Self::Number(value) => function::number(*value),
            Self::String(text) => Some(Value::String(text.clone())),
        }
    }
}

impl Path {
    /// What stands there in `row`, if anything.
    pub fn value<'a>(&self, row: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(row, |value, segment| match segment {
            Segment::Key(key) => value.as_object()?.get(key),
            Segment::Index(index) => value.as_array()?.get(*index as usize),
        })
    }
}
