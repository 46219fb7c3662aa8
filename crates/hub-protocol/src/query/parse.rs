//! Tokens to tree: a hand-written recursive descent, because the grammar is small and its errors
//! must carry a position.

use super::{
    Aggregate, Comparison, Expression, Function, Item, ItemValue, Literal, Operator, Path, Query, Segment, Selection,
    Source, Target, names,
    token::{Token, tokens},
};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at character {}", position + 1)]
pub struct QueryError {
    /// Characters of the text before the fault.
    pub position: usize,
    pub message: String,
}

pub(super) type Parsed<T> = Result<T, QueryError>;

/// Parentheses, NOTs, signs, calls and lists inside one another; bounds every recursion over a
/// tree, SQLite's own included.
const MAX_NESTING: usize = 32;
/// Terms of one sum or product.
const MAX_TERMS: usize = 64;
/// Items of a list but that of IN, whose items are compared one by one: SQLite's functions take
/// no more than some hundreds of arguments.
const MAX_LIST: usize = 256;
/// Fields of a row.
const MAX_ITEMS: usize = 100;
/// Keys and indexes of a path; a twin is far from that deep.
const MAX_SEGMENTS: usize = 32;

pub fn parse(text: &str) -> Result<Query, QueryError> {
    parse_with(text, Parser::query)
}

/// A condition over devices, the text after WHERE; empty or `*` means every device.
pub fn parse_condition(text: &str) -> Result<Option<Expression>, QueryError> {
    if matches!(text.trim(), "" | "*") {
        return Ok(None);
    }
    parse_with(text, Parser::condition).map(Some)
}

/// The target of a job or a configuration: a condition over devices, or `FROM devices[.modules]
/// [WHERE …]`. What `*` and an empty text mean is the caller's to say.
pub fn parse_target(text: &str) -> Result<Target, QueryError> {
    parse_with(text, Parser::target)
}

fn parse_with<T>(text: &str, what: impl FnOnce(&mut Parser) -> Parsed<T>) -> Parsed<T> {
    let parse = || {
        let mut parser = Parser::new(text)?;
        let parsed = what(&mut parser)?;
        parser.end()?;
        Ok(parsed)
    };
    // Inside, positions count bytes.
    parse().map_err(|error: QueryError| QueryError {
        position: text.get(..error.position).map_or(0, |before| before.chars().count()),
        ..error
    })
}

pub(super) fn error<T>(position: usize, message: impl Into<String>) -> Parsed<T> {
    Err(QueryError {
        position,
        message: message.into(),
    })
}

/// Never a field, a function or an alias, unless written `[[so]]` or after a dot.
const RESERVED: [&str; 12] = [
    "SELECT", "FROM", "WHERE", "GROUP", "BY", "AS", "AND", "OR", "NOT", "IN", "NIN", "TOP",
];
/// Other languages have these.
const UNKNOWN: [&str; 15] = [
    "ORDER", "DISTINCT", "JOIN", "LIKE", "BETWEEN", "HAVING", "LIMIT", "OFFSET", "UNION", "EXISTS", "IS", "CASE",
    "VALUE", "ESCAPE", "INNER",
];

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: usize,
    source: Source,
    alias: Option<String>,
}

impl Parser {
    fn new(text: &str) -> Parsed<Self> {
        Ok(Self {
            tokens: tokens(text)?,
            next: 0,
            depth: 0,
            source: Source::Devices,
            alias: None,
        })
    }

    // ---- tokens --------------------------------------------------------------------------

    fn peek(&self) -> &Token {
        &self.tokens[self.next].1
    }

    fn second(&self) -> &Token {
        self.tokens.get(self.next + 1).map_or(&Token::End, |(_, token)| token)
    }

    fn position(&self) -> usize {
        self.tokens[self.next].0
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.next += usize::from(found);
        found
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(found) if *found == symbol);
        self.next += usize::from(found);
        found
    }

    fn expect_word(&mut self, word: &str) -> Parsed<()> {
        if self.take_word(word) {
            return Ok(());
        }
        self.unexpected(&format!("{word} is expected"))
    }

    fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.take(symbol) {
            return Ok(());
        }
        self.unexpected(&format!("{symbol} is expected"))
    }

    fn end(&self) -> Parsed<()> {
        if *self.peek() == Token::End {
            return Ok(());
        }
        self.unexpected("the query should end here")
    }

    fn unexpected<T>(&self, expected: &str) -> Parsed<T> {
        match self.peek() {
            Token::Word(word) if is_one_of(word, &UNKNOWN) => {
                let word = word.to_ascii_uppercase();
                error(self.position(), format!("IoT Hub's query language has no {word}"))
            }
            _ => error(self.position(), expected),
        }
    }

    /// A word that is no keyword, or a name in double brackets.
    fn name(&mut self) -> Option<String> {
        let name = match self.peek() {
            Token::Word(word) if !is_one_of(word, &RESERVED) && !is_one_of(word, &UNKNOWN) => word.clone(),
            Token::Quoted(name) => name.clone(),
            _ => return None,
        };
        self.next += 1;
        Some(name)
    }

    /// `[AS] name`; after AS any word will do, `value` too.
    fn alias(&mut self) -> Parsed<Option<String>> {
        if !self.take_word("AS") {
            return Ok(self.name());
        }
        match self.peek().clone() {
            Token::Word(name) | Token::Quoted(name) => {
                self.next += 1;
                Ok(Some(name))
            }
            _ => self.unexpected("a name is expected after AS"),
        }
    }

    // ---- statements ----------------------------------------------------------------------

    fn query(&mut self) -> Parsed<Query> {
        self.expect_word("SELECT")?;
        // Names of the list mean something only once the source is known.
        let list = self.next;
        let Some(from) = self.from() else {
            self.selection()?;
            return self.unexpected("FROM is expected");
        };
        self.next = from + 1;
        self.source()?;
        let rest = self.next;
        self.next = list;
        let (top, selection, positions) = self.selection()?;
        if self.next != from {
            return self.unexpected("FROM is expected");
        }
        self.next = rest;
        let condition = if self.take_word("WHERE") {
            Some(self.condition()?)
        } else {
            None
        };
        let group = self.position();
        let mut group_by = Vec::new();
        if self.take_word("GROUP") {
            self.expect_word("BY")?;
            group_by.push(self.path()?);
            while self.take(",") {
                group_by.push(self.path()?);
            }
            if self.source != Source::Devices {
                return error(group, "GROUP BY is for devices only");
            }
            if group_by.len() > MAX_TERMS {
                return error(group, format!("GROUP BY has at most {MAX_TERMS} fields"));
            }
        }
        let query = Query {
            top,
            selection,
            source: self.source,
            condition,
            group_by,
        };
        self.check(&query, self.tokens[list].0, &positions)?;
        Ok(query)
    }

    fn target(&mut self) -> Parsed<Target> {
        let from = self.take_word("FROM");
        if from {
            let position = self.position();
            self.source()?;
            if self.source == Source::Jobs {
                return error(position, "devices or devices.modules is expected");
            }
        }
        let condition = if !from || self.take_word("WHERE") {
            Some(self.condition()?)
        } else {
            None
        };
        Ok(Target {
            source: self.source,
            condition,
        })
    }

    /// The first FROM that is no part of a path.
    fn from(&self) -> Option<usize> {
        let is_from = |index: &usize| {
            let word = matches!(&self.tokens[*index].1, Token::Word(word) if word.eq_ignore_ascii_case("FROM"));
            word && self.tokens[index - 1].1 != Token::Symbol(".")
        };
        (self.next..self.tokens.len()).find(is_from)
    }

    /// `devices`, `devices.modules` or `devices.jobs`, with an alias or none. Old texts call
    /// the devices `c`, without more.
    fn source(&mut self) -> Parsed<()> {
        let position = self.position();
        if self.take_word("c") {
            self.alias = Some("c".into());
        } else if !self.take_word("devices") {
            return error(position, "devices, devices.modules or devices.jobs is expected");
        }
        if self.take(".") {
            self.source = match (self.take_word("modules"), self.take_word("jobs")) {
                (true, _) => Source::Modules,
                (_, true) => Source::Jobs,
                _ => return error(position, "devices, devices.modules or devices.jobs is expected"),
            };
        }
        if let Some(alias) = self.alias()? {
            self.alias = Some(alias);
        }
        Ok(())
    }

    /// The rules that need the whole query: `positions` are where its items stand.
    fn check(&self, query: &Query, list: usize, positions: &[usize]) -> Parsed<()> {
        let items = match &query.selection {
            Selection::All if query.group_by.is_empty() => return Ok(()),
            Selection::All => return error(list, "GROUP BY needs a list of fields instead of *"),
            Selection::Items(_) if query.source == Source::Jobs => {
                return error(list, "devices.jobs knows only SELECT *");
            }
            Selection::Items(items) => items,
        };
        for (index, (item, position)) in items.iter().zip(positions).enumerate() {
            let clashes = |other: &Item| other.name.starts_with(&item.name) || item.name.starts_with(&other.name);
            if items[..index].iter().any(clashes) {
                let name = item.name.join(".");
                return error(
                    *position,
                    format!("two fields are called {name}; give one a name with AS"),
                );
            }
            if let ItemValue::Expression(expression) = &item.value
                && query.is_aggregate()
            {
                let mut paths = Vec::new();
                expression.paths(&mut paths);
                let grouped = |path: &&Path| query.group_by.iter().any(|group| path.is_within(group));
                if !paths.iter().all(grouped) {
                    return error(*position, "beside an aggregate stand only fields of GROUP BY");
                }
            }
        }
        Ok(())
    }

    // ---- the select list -----------------------------------------------------------------

    fn selection(&mut self) -> Parsed<(Option<u64>, Selection, Vec<usize>)> {
        let mut top = None;
        if self.take_word("TOP") {
            match *self.peek() {
                Token::Number(count) if count.fract() == 0.0 => top = Some(count as u64),
                _ => return self.unexpected("a whole number is expected after TOP"),
            }
            self.next += 1;
        }
        if self.take("*") {
            return Ok((top, Selection::All, Vec::new()));
        }
        let (mut items, mut positions, mut unnamed) = (Vec::new(), Vec::new(), 0);
        loop {
            positions.push(self.position());
            items.push(self.item(&mut unnamed)?);
            if items.len() > MAX_ITEMS {
                return error(self.position(), format!("a query selects at most {MAX_ITEMS} fields"));
            }
            if !self.take(",") {
                return Ok((top, Selection::Items(items), positions));
            }
        }
    }

    /// What has neither a name nor an alias is called `$1`, `$2` and so on.
    fn item(&mut self, unnamed: &mut usize) -> Parsed<Item> {
        let value = match self.aggregate()? {
            Some(aggregate) => aggregate,
            None => ItemValue::Expression(self.condition()?),
        };
        let alias = self.alias()?;
        let name = match (alias, &value) {
            (Some(alias), _) => vec![alias],
            (None, ItemValue::Expression(Expression::Path(path))) => names::column(path),
            (None, _) => {
                *unnamed += 1;
                vec![format!("${unnamed}")]
            }
        };
        Ok(Item { value, name })
    }

    fn aggregate(&mut self) -> Parsed<Option<ItemValue>> {
        let Token::Word(word) = self.peek() else {
            return Ok(None);
        };
        let Some(aggregate) = aggregate(word).filter(|_| *self.second() == Token::Symbol("(")) else {
            return Ok(None);
        };
        self.next += 2;
        let counts_rows = aggregate == Aggregate::Count && (self.take("*") || *self.peek() == Token::Symbol(")"));
        let path = if counts_rows { None } else { Some(self.path()?) };
        self.expect(")")?;
        Ok(Some(ItemValue::Aggregate(aggregate, path)))
    }

    // ---- expressions ---------------------------------------------------------------------

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == MAX_NESTING {
            return error(self.position(), "the query is nested too deeply");
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn condition(&mut self) -> Parsed<Expression> {
        self.deeper(|parser| {
            let parts = parser.chain("OR", |parser| {
                let parts = parser.chain("AND", Self::not)?;
                Ok(one_or(parts, Expression::And))
            })?;
            Ok(one_or(parts, Expression::Or))
        })
    }

    fn chain(&mut self, word: &str, part: impl Fn(&mut Self) -> Parsed<Expression>) -> Parsed<Vec<Expression>> {
        let mut parts = vec![part(self)?];
        while self.take_word(word) {
            parts.push(part(self)?);
        }
        Ok(parts)
    }

    fn not(&mut self) -> Parsed<Expression> {
        if self.take_word("NOT") {
            return self.deeper(|parser| Ok(Expression::Not(Box::new(parser.not()?))));
        }
        let left = self.sum()?;
        let comparison = match self.peek() {
            Token::Symbol("=") => Comparison::Equal,
            Token::Symbol("!=" | "<>") => Comparison::NotEqual,
            Token::Symbol("<") => Comparison::Less,
            Token::Symbol("<=") => Comparison::LessOrEqual,
            Token::Symbol(">") => Comparison::Greater,
            Token::Symbol(">=") => Comparison::GreaterOrEqual,
            _ => return self.membership(left),
        };
        self.next += 1;
        let right = self.sum()?;
        Ok(Expression::Compare(Box::new(left), comparison, Box::new(right)))
    }

    /// `value [NOT] IN […]`, `value NIN […]`, or the value alone.
    fn membership(&mut self, value: Expression) -> Parsed<Expression> {
        let not = self.take_word("NOT");
        let nin = !not && self.take_word("NIN");
        if !nin && !self.take_word("IN") {
            return if not {
                self.unexpected("IN is expected")
            } else {
                Ok(value)
            };
        }
        self.expect("[")?;
        Ok(Expression::In {
            value: Box::new(value),
            list: self.arguments("]")?,
            negated: not || nin,
        })
    }

    fn sum(&mut self) -> Parsed<Expression> {
        self.terms(&[Operator::Add, Operator::Subtract], |parser| {
            parser.terms(
                &[Operator::Multiply, Operator::Divide, Operator::Remainder],
                Self::unary,
            )
        })
    }

    fn terms(&mut self, operators: &[Operator], term: impl Fn(&mut Self) -> Parsed<Expression>) -> Parsed<Expression> {
        let first = term(self)?;
        let mut rest = Vec::new();
        while let Some(operator) = operators.iter().copied().find(|operator| self.take(operator.symbol())) {
            if rest.len() == MAX_TERMS {
                return error(
                    self.position(),
                    format!("at most {MAX_TERMS} terms may follow one another"),
                );
            }
            rest.push((operator, term(self)?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(Expression::Arithmetic(Box::new(first), rest))
    }

    fn unary(&mut self) -> Parsed<Expression> {
        // A sign makes a number of its operand, or undefined: 0 ± operand.
        let operator = match self.peek() {
            Token::Symbol("-") => Operator::Subtract,
            Token::Symbol("+") => Operator::Add,
            _ => return self.primary(),
        };
        self.next += 1;
        self.deeper(|parser| {
            Ok(match (operator, parser.unary()?) {
                (Operator::Subtract, Expression::Literal(Literal::Number(value))) => {
                    Expression::Literal(Literal::Number(-value))
                }
                (operator, operand) => Expression::Arithmetic(
                    Box::new(Expression::Literal(Literal::Number(0.0))),
                    vec![(operator, operand)],
                ),
            })
        })
    }

    fn primary(&mut self) -> Parsed<Expression> {
        if self.take("(") {
            let inner = self.condition()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let position = self.position();
        if self.take("[") {
            let items = self.arguments("]")?;
            if items.len() > MAX_LIST {
                return error(position, format!("a list has at most {MAX_LIST} items, but after IN"));
            }
            return Ok(Expression::List(items));
        }
        let literal = match self.peek() {
            Token::String(text) => Literal::String(text.clone()),
            Token::Number(number) => Literal::Number(*number),
            Token::Word(word) => match (word.to_ascii_uppercase().as_str(), self.second()) {
                (_, Token::Symbol("(")) => return self.call(),
                (_, Token::Symbol(".")) => return Ok(Expression::Path(self.path()?)),
                ("TRUE", _) => Literal::Bool(true),
                ("FALSE", _) => Literal::Bool(false),
                ("NULL", _) => Literal::Null,
                ("UNDEFINED", _) => Literal::Undefined,
                _ => return Ok(Expression::Path(self.path()?)),
            },
            Token::Quoted(_) => return Ok(Expression::Path(self.path()?)),
            _ => return self.unexpected("a field, a function or a literal is expected"),
        };
        self.next += 1;
        Ok(Expression::Literal(literal))
    }

    fn call(&mut self) -> Parsed<Expression> {
        let position = self.position();
        let Some(name) = self.name() else {
            return self.unexpected("a field, a function or a literal is expected");
        };
        let Some(function) = Function::from_name(&name) else {
            return error(
                position,
                match aggregate(&name) {
                    Some(_) => format!("{name} stands only in the list after SELECT"),
                    None => format!("the function {name} is not known"),
                },
            );
        };
        self.expect("(")?;
        let arguments = self.arguments(")")?;
        if !function.takes(arguments.len()) {
            let text = format!("{} does not take {} arguments", function.name(), arguments.len());
            return error(position, text);
        }
        Ok(Expression::Call(function, arguments))
    }

    /// Expressions with commas between, up to and with `close`.
    fn arguments(&mut self, close: &str) -> Parsed<Vec<Expression>> {
        let mut arguments = Vec::new();
        if self.take(close) {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.condition()?);
            if self.take(close) {
                return Ok(arguments);
            }
            self.expect(",")?;
        }
    }

    fn path(&mut self) -> Parsed<Path> {
        let position = self.position();
        let Some(root) = self.name() else {
            return self.unexpected("a field name is expected");
        };
        let mut segments = vec![Segment::Key(root)];
        loop {
            if self.take(".") {
                match self.peek() {
                    Token::Word(key) | Token::Quoted(key) => segments.push(Segment::Key(key.clone())),
                    _ => return self.unexpected("a field name is expected after the dot"),
                }
                self.next += 1;
            } else if self.take("[") {
                match *self.peek() {
                    Token::Number(index) if index.fract() == 0.0 && index <= f64::from(u32::MAX) => {
                        segments.push(Segment::Index(index as u32));
                    }
                    _ => return self.unexpected("a whole number is expected"),
                }
                self.next += 1;
                self.expect("]")?;
            } else {
                break;
            }
        }
        if segments.len() > MAX_SEGMENTS {
            return error(position, format!("a path has at most {MAX_SEGMENTS} parts"));
        }
        let resolved = names::resolve(segments, self.source, self.alias.as_deref());
        resolved.or_else(|message| error(position, message))
    }
}

fn one_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    if parts.len() > 1 {
        return many(parts);
    }
    parts.pop().unwrap_or(Expression::Literal(Literal::Undefined))
}

fn aggregate(name: &str) -> Option<Aggregate> {
    match name.to_ascii_uppercase().as_str() {
        "COUNT" => Some(Aggregate::Count),
        "SUM" => Some(Aggregate::Sum),
        "AVG" => Some(Aggregate::Average),
        "MIN" => Some(Aggregate::Least),
        "MAX" => Some(Aggregate::Greatest),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
