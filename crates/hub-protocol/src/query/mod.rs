//! The query language of `POST /devices/query`, of jobs and of configurations (service.md 5).
//!
//! Text becomes a [`Query`] whose names are resolved and whose rules are kept; what the cloud
//! refuses is refused with its position. [`Query::select`] and [`Expression::evaluate`] say what
//! a query means; a store may find the same rows faster.

mod ast;
mod evaluate;
mod function;
mod names;
mod parse;
mod select;
mod token;

pub use ast::{
    Aggregate, Comparison, Expression, Item, ItemValue, Literal, Operator, Path, Query, Segment, Selection, Source,
    Target,
};
pub use function::{Function, Kind, arithmetic, number};
pub use parse::{QueryError, parse, parse_condition, parse_target};

/// Characters a query may have.
pub const MAX_LENGTH: usize = 8192;
/// Rows a page may have.
pub const MAX_PAGE: usize = 100;
