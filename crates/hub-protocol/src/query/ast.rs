//! The typed tree of a query.

/// `SELECT … FROM devices [WHERE …]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub selection: Selection,
    pub condition: Option<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// `*`: rows are whole twins.
    Twins,
    /// `COUNT() AS name`: one row.
    Count { name: String },
}

/// Three-valued: a comparison with something undefined, or of another type, is undefined, and
/// only `true` keeps a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
    Compare {
        path: Path,
        comparison: Comparison,
        literal: Literal,
    },
    In {
        path: Path,
        literals: Vec<Literal>,
        negated: bool,
    },
    IsDefined(Path),
    StartsWith {
        path: Path,
        prefix: String,
    },
    EndsWith {
        path: Path,
        suffix: String,
    },
    Contains {
        path: Path,
        part: String,
    },
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

impl Comparison {
    /// The comparison with its sides exchanged.
    pub fn mirrored(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    String(String),
    Number(f64),
    Bool(bool),
    Null,
}

/// A path into the twin, e.g. `["properties", "reported", "firmwareStatus"]`. The first
/// segment is a known root in Azure's spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(pub Vec<String>);
