//! The query language of `POST /devices/query`, so far as it is understood: whole twins or their
//! count, from `devices`, with conditions. Everything else is refused with its position.

mod ast;
mod parse;

pub use ast::{Comparison, Condition, Literal, Path, Query, Selection};
pub use parse::{QueryError, parse, parse_condition};

/// Characters a query may have.
pub const MAX_LENGTH: usize = 8192;
/// Rows a page may have.
pub const MAX_PAGE: usize = 100;
