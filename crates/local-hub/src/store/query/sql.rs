//! The typed tree to SQL.
//!
//! SQL's NULL stands for "undefined": every operand is made NULL unless it has the type that is
//! asked for, comparisons with NULL are NULL, and WHERE keeps only true. That is the language's
//! own three-valued logic. No operand but a field is ever written twice, so the SQL is not much
//! longer than the query.

use hub_protocol::query::{Comparison, Expression, Function, Kind, Literal, Operator, Path, Source};
use rusqlite::types::Value;

use super::fields::field;

/// What an expression became.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    Undefined,
    Null,
    /// SQL of one kind; NULL where it is undefined. Truth is 0 and 1.
    Known(Kind, String),
    /// A place in a JSON document; what is there is known only row by row.
    Json(Json),
    List(Vec<Operand>),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Json {
    /// SQL; often a column.
    pub document: String,
    /// An SQL literal, because an expression index knows constants only.
    pub path: String,
}

impl Json {
    pub(super) fn kind(&self) -> String {
        format!("json_type({}, {})", self.document, self.path)
    }

    pub(super) fn value(&self) -> String {
        format!("json_extract({}, {})", self.document, self.path)
    }
}

/// How a column of a result, or an argument of one of our SQL functions, is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Undefined,
    Null,
    Bool,
    Number,
    String,
    /// JSON text.
    Json,
    /// A number or a text, as SQLite has it.
    Any,
}

impl Form {
    /// By number, as an argument.
    pub(super) const ALL: [Self; 7] = [
        Self::Undefined,
        Self::Null,
        Self::Bool,
        Self::Number,
        Self::String,
        Self::Json,
        Self::Any,
    ];
}

impl Operand {
    /// SQL that is NULL unless this is of `kind`.
    fn typed(&self, kind: Kind) -> String {
        match self {
            Self::Known(known, sql) if *known == kind => sql.clone(),
            Self::Json(json) => {
                let (of, value) = (json.kind(), json.value());
                match kind {
                    Kind::String => format!("CASE {of} WHEN 'text' THEN {value} END"),
                    Kind::Number => format!("CASE WHEN {of} IN ('integer', 'real') THEN {value} END"),
                    Kind::Bool => format!("CASE {of} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"),
                }
            }
            _ => "NULL".into(),
        }
    }

    /// SQL that is 1 for null, and SQL's NULL otherwise.
    fn null(&self) -> String {
        match self {
            Self::Null => "1".into(),
            Self::Json(json) => format!("CASE {} WHEN 'null' THEN 1 END", json.kind()),
            _ => "NULL".into(),
        }
    }

    /// Truth as SQL: 1, 0, or NULL for everything else.
    pub(super) fn truth(&self) -> String {
        self.typed(Kind::Bool)
    }

    /// One column, and how to read it.
    pub(super) fn column(&self) -> (Form, String) {
        match self {
            Self::Undefined => (Form::Undefined, "NULL".into()),
            Self::Null => (Form::Null, "NULL".into()),
            Self::Known(Kind::Bool, sql) => (Form::Bool, sql.clone()),
            Self::Known(Kind::Number, sql) => (Form::Number, sql.clone()),
            Self::Known(Kind::String, sql) => (Form::String, sql.clone()),
            Self::Json(json) => (Form::Json, format!("({} -> {})", json.document, json.path)),
            Self::List(items) => (Form::Json, format!("hub_list({})", arguments(items))),
        }
    }

    /// What rows are grouped by, the kind and the value: alike for equal values, and never for
    /// others.
    pub(super) fn group(&self) -> [String; 2] {
        let kind = match self {
            Self::Json(json) => {
                let kind = json.kind();
                // 1 and 1.0 are one value.
                return [format!("iif({kind} = 'real', 'integer', {kind})"), json.value()];
            }
            Self::Known(Kind::Bool, _) => "'bool'",
            Self::Known(Kind::Number, _) => "'integer'",
            Self::Known(Kind::String, _) => "'text'",
            Self::Null => "'null'",
            Self::Undefined | Self::List(_) => "NULL",
        };
        [kind.into(), self.column().1]
    }

    pub(super) fn number(&self) -> String {
        self.typed(Kind::Number)
    }

    pub(super) fn string(&self) -> String {
        self.typed(Kind::String)
    }

    pub(super) fn is_defined(&self) -> String {
        match self {
            Self::Undefined => "0".into(),
            Self::Null | Self::List(_) => "1".into(),
            Self::Known(_, sql) => format!("({sql} IS NOT NULL)"),
            Self::Json(json) => format!("({} IS NOT NULL)", json.kind()),
        }
    }
}

/// Each operand as its form's number and its column.
fn arguments(operands: &[Operand]) -> String {
    let argument = |operand: &Operand| {
        let (form, sql) = operand.column();
        let number = Form::ALL.iter().position(|known| *known == form).unwrap_or_default();
        format!("{number}, {sql}")
    };
    operands.iter().map(argument).collect::<Vec<_>>().join(", ")
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::NotEqual => "<>",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

/// SQL in the making: the values of its parameters.
pub(super) struct Translation {
    pub(super) source: Source,
    pub(super) values: Vec<Value>,
}

impl Translation {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            values: Vec::new(),
        }
    }

    pub(super) fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("?{}", self.values.len())
    }

    pub(super) fn text(&mut self, text: &str) -> String {
        self.bind(Value::Text(text.to_owned()))
    }

    pub(super) fn operand(&mut self, expression: &Expression) -> Operand {
        match expression {
            Expression::Literal(literal) => self.literal(literal),
            Expression::Path(path) => self.path(path),
            Expression::List(items) => Operand::List(self.operands(items)),
            Expression::And(parts) => self.joined(parts, "AND"),
            Expression::Or(parts) => self.joined(parts, "OR"),
            Expression::Not(part) => {
                let truth = self.operand(part).truth();
                Operand::Known(Kind::Bool, format!("(NOT {truth})"))
            }
            Expression::Compare(left, comparison, right) => {
                let (left, right) = (self.operand(left), self.operand(right));
                Operand::Known(Kind::Bool, compare(&left, *comparison, &right))
            }
            Expression::In { value, list, negated } => {
                let (value, list) = (self.operand(value), self.operands(list));
                let not = if *negated { "NOT " } else { "" };
                Operand::Known(Kind::Bool, format!("({not}{})", is_in(&value, &list)))
            }
            Expression::Arithmetic(first, rest) => {
                let mut sql = format!("hub_arithmetic({}", self.operand(first).number());
                for (operator, part) in rest {
                    let number = Operator::ALL.iter().position(|known| known == operator);
                    let part = self.operand(part).number();
                    sql.push_str(&format!(", {}, {part}", number.unwrap_or_default()));
                }
                Operand::Known(Kind::Number, sql + ")")
            }
            Expression::Call(Function::IsDefined, parts) => {
                let operands = self.operands(parts);
                let defined = operands.first().map_or("0".into(), Operand::is_defined);
                Operand::Known(Kind::Bool, defined)
            }
            Expression::Call(function, parts) => {
                let number = Function::ALL.iter().position(|known| known == function);
                let arguments = arguments(&self.operands(parts));
                let sql = format!("hub_function({}, {arguments})", number.unwrap_or_default());
                Operand::Known(function.kind(), sql)
            }
        }
    }

    pub(super) fn path(&self, path: &Path) -> Operand {
        field(path, self.source)
    }

    fn operands(&mut self, expressions: &[Expression]) -> Vec<Operand> {
        expressions.iter().map(|expression| self.operand(expression)).collect()
    }

    fn literal(&mut self, literal: &Literal) -> Operand {
        match literal {
            Literal::Undefined => Operand::Undefined,
            Literal::Null => Operand::Null,
            Literal::Bool(value) => Operand::Known(Kind::Bool, i32::from(*value).to_string()),
            Literal::Number(value) => Operand::Known(Kind::Number, self.bind(Value::Real(*value))),
            Literal::String(text) => Operand::Known(Kind::String, self.text(text)),
        }
    }

    fn joined(&mut self, parts: &[Expression], word: &str) -> Operand {
        let parts: Vec<String> = parts.iter().map(|part| self.operand(part).truth()).collect();
        Operand::Known(Kind::Bool, balanced(&parts, word))
    }
}

/// A chain as a tree of little depth: SQLite takes no deep ones.
fn balanced(parts: &[String], word: &str) -> String {
    match parts {
        [] => "NULL".into(),
        [part] => part.clone(),
        _ => {
            let (left, right) = parts.split_at(parts.len() / 2);
            format!("({} {word} {})", balanced(left, word), balanced(right, word))
        }
    }
}

fn compare(left: &Operand, comparison: Comparison, right: &Operand) -> String {
    let sign = sign(comparison);
    let typed = |kind| format!("({} {sign} {})", left.typed(kind), right.typed(kind));
    match (left, right) {
        (Operand::Known(kind, _), _) | (_, Operand::Known(kind, _)) => typed(*kind),
        (Operand::Json(_), Operand::Json(_)) => format!(
            "coalesce({}, {}, {}, ({} {sign} {}))",
            typed(Kind::String),
            typed(Kind::Number),
            typed(Kind::Bool),
            left.null(),
            right.null()
        ),
        _ => format!("({} {sign} {})", left.null(), right.null()),
    }
}

/// Undefined only if `value` is; an item of another type is another value.
fn is_in(value: &Operand, list: &[Operand]) -> String {
    // Nothing of ours is a blob.
    let items = |kind: Kind| {
        let of_kind = list.iter().filter(|item| match item {
            Operand::Known(known, _) => *known == kind,
            Operand::Json(_) => true,
            _ => false,
        });
        let items = of_kind.map(|item| format!("coalesce({}, x'')", item.typed(kind)));
        items.collect::<Vec<_>>().join(", ")
    };
    let null = || {
        let nulls: Vec<String> = list
            .iter()
            .map(|item| format!("coalesce({}, 0)", item.null()))
            .collect();
        if nulls.is_empty() {
            "0".to_owned()
        } else {
            balanced(&nulls, "OR")
        }
    };
    match value {
        Operand::Undefined => "NULL".into(),
        Operand::Null => null(),
        Operand::List(_) => "0".into(),
        Operand::Known(kind, sql) => match items(*kind) {
            none if none.is_empty() => format!("({sql} IS NULL AND NULL)"),
            items => format!("{sql} IN ({items})"),
        },
        Operand::Json(json) => {
            let (kind, value) = (json.kind(), json.value());
            let (texts, numbers, bools) = (items(Kind::String), items(Kind::Number), items(Kind::Bool));
            format!(
                "CASE {kind} WHEN 'text' THEN {value} IN ({texts}) WHEN 'integer' THEN {value} IN ({numbers})
                 WHEN 'real' THEN {value} IN ({numbers}) WHEN 'true' THEN 1 IN ({bools}) WHEN 'false' THEN 0 IN ({bools})
                 WHEN 'null' THEN {} WHEN 'array' THEN 0 WHEN 'object' THEN 0 END",
                null()
            )
        }
    }
}
