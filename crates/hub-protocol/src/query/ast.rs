//! The typed tree of a query (service.md 5.2).

use super::Function;

/// `SELECT … FROM … [WHERE …] [GROUP BY …]`, with every name resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Rows of the whole answer at most, over all its pages.
    pub top: Option<u64>,
    pub selection: Selection,
    pub source: Source,
    pub condition: Option<Expression>,
    /// Empty without GROUP BY.
    pub group_by: Vec<Path>,
}

impl Query {
    /// Whether rows are made of many twins.
    pub fn is_aggregate(&self) -> bool {
        let aggregates = |item: &Item| matches!(item.value, ItemValue::Aggregate(..));
        match &self.selection {
            Selection::All => false,
            Selection::Items(items) => !self.group_by.is_empty() || items.iter().any(aggregates),
        }
    }
}

/// Which of a job's or a configuration's targets are meant: a condition over devices or modules.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Never [`Source::Jobs`].
    pub source: Source,
    /// `None` means all.
    pub condition: Option<Expression>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Devices,
    Modules,
    Jobs,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Selection {
    /// `*`: rows are whole twins or device jobs.
    All,
    Items(Vec<Item>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub value: ItemValue,
    /// Where the value stands in the row: one key, or `["properties", "desired"]`, which keeps
    /// its nested form when it has no alias (service.md 5.3).
    pub name: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ItemValue {
    Expression(Expression),
    /// Only [`Aggregate::Count`] may be without a path: it counts rows then.
    Aggregate(Aggregate, Option<Path>),
}

/// Counts see what is defined, sums and averages numbers; the least and greatest is that of the
/// numbers, or of the texts where there are no numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    Count,
    Sum,
    Average,
    Least,
    Greatest,
}

/// Three-valued: what is of the wrong type is undefined, and only `true` keeps a row
/// (service.md 5.4).
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    Literal(Literal),
    Path(Path),
    List(Vec<Expression>),
    /// At least two.
    And(Vec<Expression>),
    /// At least two.
    Or(Vec<Expression>),
    Not(Box<Expression>),
    Compare(Box<Expression>, Comparison, Box<Expression>),
    In {
        value: Box<Expression>,
        list: Vec<Expression>,
        negated: bool,
    },
    /// From left to right; the parser has given `*`, `/` and `%` chains of their own.
    Arithmetic(Box<Expression>, Vec<(Operator, Expression)>),
    Call(Function, Vec<Expression>),
}

impl Expression {
    /// Adds every path that is looked at.
    pub fn paths<'a>(&'a self, found: &mut Vec<&'a Path>) {
        match self {
            Self::Literal(_) => {}
            Self::Path(path) => found.push(path),
            Self::List(parts) | Self::And(parts) | Self::Or(parts) | Self::Call(_, parts) => {
                parts.iter().for_each(|part| part.paths(found));
            }
            Self::Not(part) => part.paths(found),
            Self::Compare(left, _, right) => [left, right].into_iter().for_each(|part| part.paths(found)),
            Self::In { value, list, .. } => {
                value.paths(found);
                list.iter().for_each(|part| part.paths(found));
            }
            Self::Arithmetic(first, rest) => {
                first.paths(found);
                rest.iter().for_each(|(_, part)| part.paths(found));
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    pub const ALL: [Self; 5] = [Self::Add, Self::Subtract, Self::Multiply, Self::Divide, Self::Remainder];

    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }

    /// What is not finite is undefined.
    pub fn apply(self, left: f64, right: f64) -> Option<f64> {
        let result = match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Remainder => left % right,
        };
        result.is_finite().then_some(result)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    Undefined,
    Null,
    Bool(bool),
    /// Always finite.
    Number(f64),
    String(String),
}

/// A path into a row, e.g. `properties`, `reported`, `firmwareStatus`. It begins with a key:
/// a known root in Azure's spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path(pub Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    Key(String),
    Index(u32),
}

impl Path {
    /// The leading keys, up to the first index.
    pub fn keys(&self) -> Vec<&str> {
        let keys = self.0.iter().map_while(|segment| match segment {
            Segment::Key(key) => Some(key.as_str()),
            Segment::Index(_) => None,
        });
        keys.collect()
    }

    /// Whether this is `other` or lies below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}
