//! Text to tree: a hand-written recursive descent, because the grammar is small and its errors
//! must carry a position.

use super::{Comparison, Condition, Literal, MAX_LENGTH, Path, Query, Selection};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at character {}", position + 1)]
pub struct QueryError {
    /// Byte offset into the query text.
    pub position: usize,
    pub message: String,
}

/// Nested parentheses and NOTs a condition may have; bounds the recursion.
const MAX_NESTING: usize = 64;

/// Fields of a twin a query may name, in Azure's spelling; read in any case.
const ROOTS: [&str; 11] = [
    "deviceId",
    "version",
    "status",
    "statusReason",
    "connectionState",
    "lastActivityTime",
    "authenticationType",
    "modelId",
    "capabilities",
    "tags",
    "properties",
];

pub fn parse(text: &str) -> Result<Query, QueryError> {
    let mut parser = Parser::new(text)?;
    parser.expect_word("SELECT")?;
    let selection = parser.selection()?;
    parser.expect_word("FROM")?;
    parser.expect_word("devices")?;
    let condition = if parser.take_word("WHERE") {
        Some(parser.or(0)?)
    } else {
        None
    };
    parser.end()?;
    Ok(Query { selection, condition })
}

/// The text after WHERE alone; empty or `*` means every device.
pub fn parse_condition(text: &str) -> Result<Option<Condition>, QueryError> {
    if matches!(text.trim(), "" | "*") {
        return Ok(None);
    }
    let mut parser = Parser::new(text)?;
    let condition = parser.or(0)?;
    parser.end()?;
    Ok(Some(condition))
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    String(String),
    Number(f64),
    Symbol(&'static str),
    End,
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
}

type Parsed<T> = Result<T, QueryError>;

fn error<T>(position: usize, message: impl Into<String>) -> Parsed<T> {
    Err(QueryError {
        position,
        message: message.into(),
    })
}

const SYMBOLS: [&str; 14] = [
    "!=", "<>", "<=", ">=", "[[", "(", ")", "[", "]", ",", ".", "=", "<", ">",
];

fn tokens(text: &str) -> Parsed<Vec<(usize, Token)>> {
    if text.len() > MAX_LENGTH {
        return error(MAX_LENGTH, "a query has at most 8192 characters");
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let start = at;
        if c.is_whitespace() {
            at += c.len_utf8();
        } else if c == '\'' || c == '"' {
            let (string, end) = string_literal(text, at, c)?;
            tokens.push((start, Token::String(string)));
            at = end;
        } else if let Some(rest) = text[at..].strip_prefix("[[") {
            let Some(length) = rest.find("]]") else {
                return error(start, "[[ is not closed by ]]");
            };
            tokens.push((start, Token::Word(rest[..length].to_owned())));
            at += length + 4;
        } else if c.is_ascii_digit() || (c == '-' && text[at + 1..].starts_with(|c: char| c.is_ascii_digit())) {
            let number = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
            let mut length = text[at + 1..].find(|c| !number(c)).map_or(text.len() - at, |n| n + 1);
            while length > 1 && text[at..at + length].parse::<f64>().is_err() {
                length -= 1;
            }
            match text[at..at + length].parse() {
                Ok(value) => tokens.push((start, Token::Number(value))),
                Err(_) => return error(start, "a number cannot be read"),
            }
            at += length;
        } else if c.is_alphabetic() || c == '_' || c == '$' || c == '*' {
            let length = if c == '*' {
                1
            } else {
                text[at..]
                    .find(|c: char| !(c.is_alphanumeric() || "_$".contains(c)))
                    .unwrap_or(text.len() - at)
            };
            tokens.push((start, Token::Word(text[at..at + length].to_owned())));
            at += length;
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| text[at..].starts_with(**symbol)) {
            tokens.push((start, Token::Symbol(symbol)));
            at += symbol.len();
        } else {
            return error(start, format!("{c:?} is not understood"));
        }
    }
    tokens.push((text.len(), Token::End));
    Ok(tokens)
}

fn string_literal(text: &str, start: usize, quote: char) -> Parsed<(String, usize)> {
    let mut value = String::new();
    let mut chars = text[start + 1..].char_indices();
    while let Some((offset, c)) = chars.next() {
        match c {
            _ if c == quote => return Ok((value, start + 1 + offset + 1)),
            '\\' => match chars.next() {
                Some((_, escaped @ ('\'' | '"' | '\\' | '/'))) => value.push(escaped),
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, 'r')) => value.push('\r'),
                Some((at, 'u')) => {
                    let from = start + 1 + at + 1;
                    let digits = text
                        .get(from..from + 4)
                        .and_then(|hex| u32::from_str_radix(hex, 16).ok())
                        .and_then(char::from_u32);
                    let Some(c) = digits else {
                        return error(start, "a \\u escape needs four hexadecimal digits");
                    };
                    value.push(c);
                    chars.nth(3);
                }
                _ => return error(start, "an escape in this text is not understood"),
            },
            c => value.push(c),
        }
    }
    error(start, "this text is not closed by its quote")
}

impl Parser {
    fn new(text: &str) -> Parsed<Self> {
        Ok(Self {
            tokens: tokens(text)?,
            next: 0,
        })
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.next].1
    }

    fn position(&self) -> usize {
        self.tokens[self.next].0
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        if token != Token::End {
            self.next += 1;
        }
        token
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
            Ok(())
        } else {
            error(self.position(), format!("{word} is expected"))
        }
    }

    fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.take(symbol) {
            Ok(())
        } else {
            error(self.position(), format!("{symbol} is expected"))
        }
    }

    fn end(&self) -> Parsed<()> {
        if *self.peek() == Token::End {
            Ok(())
        } else {
            error(self.position(), "the query should end here")
        }
    }

    fn selection(&mut self) -> Parsed<Selection> {
        if self.take_word("*") {
            return Ok(Selection::Twins);
        }
        if !self.take_word("COUNT") {
            return error(
                self.position(),
                "only SELECT * and SELECT COUNT() AS name are understood",
            );
        }
        self.expect("(")?;
        self.take_word("*");
        self.expect(")")?;
        let mut name = "count".to_owned();
        if self.take_word("AS") {
            match self.advance() {
                Token::Word(word) => name = word,
                _ => return error(self.position(), "a name is expected after AS"),
            }
        }
        Ok(Selection::Count { name })
    }

    fn or(&mut self, depth: usize) -> Parsed<Condition> {
        let mut left = self.and(depth)?;
        while self.take_word("OR") {
            left = Condition::Or(Box::new(left), Box::new(self.and(depth)?));
        }
        Ok(left)
    }

    fn and(&mut self, depth: usize) -> Parsed<Condition> {
        let mut left = self.not(depth)?;
        while self.take_word("AND") {
            left = Condition::And(Box::new(left), Box::new(self.not(depth)?));
        }
        Ok(left)
    }

    fn not(&mut self, depth: usize) -> Parsed<Condition> {
        if depth > MAX_NESTING {
            return error(self.position(), "the condition is nested too deeply");
        }
        if self.take_word("NOT") {
            return Ok(Condition::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.take("(") {
            let inner = self.or(depth + 1)?;
            self.expect(")")?;
            return Ok(inner);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Parsed<Condition> {
        if let Some(condition) = self.function()? {
            return Ok(condition);
        }
        if let Some(literal) = self.literal() {
            let comparison = self.operator()?;
            return Ok(Condition::Compare {
                path: self.path()?,
                comparison: comparison.mirrored(),
                literal,
            });
        }
        let path = self.path()?;
        let negated = self.take_word("NOT");
        if negated || self.is_word("IN") || self.is_word("NIN") {
            let nin = self.take_word("NIN");
            if !nin {
                self.expect_word("IN")?;
            }
            return Ok(Condition::In {
                path,
                literals: self.list()?,
                negated: negated || nin,
            });
        }
        // A bare boolean field is a condition of its own.
        if !matches!(self.peek(), Token::Symbol("=" | "!=" | "<>" | "<" | "<=" | ">" | ">=")) {
            return Ok(Condition::Compare {
                path,
                comparison: Comparison::Equal,
                literal: Literal::Bool(true),
            });
        }
        let comparison = self.operator()?;
        match self.literal() {
            Some(literal) => Ok(Condition::Compare {
                path,
                comparison,
                literal,
            }),
            None => error(
                self.position(),
                "a text in quotes, a number, true, false or null is expected",
            ),
        }
    }

    fn function(&mut self) -> Parsed<Option<Condition>> {
        let Token::Word(name) = self.peek().clone() else {
            return Ok(None);
        };
        if self.tokens.get(self.next + 1).map(|(_, token)| token) != Some(&Token::Symbol("(")) {
            return Ok(None);
        }
        let position = self.position();
        self.next += 2;
        let path = self.path()?;
        let text = |parser: &mut Self| {
            parser.expect(",")?;
            match parser.literal() {
                Some(Literal::String(text)) => Ok(text),
                _ => error(parser.position(), "a text in quotes is expected"),
            }
        };
        let condition = match name.to_ascii_uppercase().as_str() {
            "IS_DEFINED" => Condition::IsDefined(path),
            "STARTSWITH" | "STARTS_WITH" => Condition::StartsWith {
                path,
                prefix: text(self)?,
            },
            "ENDSWITH" | "ENDS_WITH" => Condition::EndsWith {
                path,
                suffix: text(self)?,
            },
            "CONTAINS" => Condition::Contains {
                path,
                part: text(self)?,
            },
            _ => return error(position, format!("the function {name} is not known")),
        };
        self.expect(")")?;
        Ok(Some(condition))
    }

    fn operator(&mut self) -> Parsed<Comparison> {
        let position = self.position();
        match self.advance() {
            Token::Symbol("=") => Ok(Comparison::Equal),
            Token::Symbol("!=" | "<>") => Ok(Comparison::NotEqual),
            Token::Symbol("<") => Ok(Comparison::Less),
            Token::Symbol("<=") => Ok(Comparison::LessOrEqual),
            Token::Symbol(">") => Ok(Comparison::Greater),
            Token::Symbol(">=") => Ok(Comparison::GreaterOrEqual),
            _ => error(position, "a comparison is expected"),
        }
    }

    fn literal(&mut self) -> Option<Literal> {
        let literal = match self.peek() {
            Token::String(text) => Literal::String(text.clone()),
            Token::Number(number) => Literal::Number(*number),
            Token::Word(word) if word.eq_ignore_ascii_case("true") => Literal::Bool(true),
            Token::Word(word) if word.eq_ignore_ascii_case("false") => Literal::Bool(false),
            Token::Word(word) if word.eq_ignore_ascii_case("null") => Literal::Null,
            _ => return None,
        };
        self.next += 1;
        Some(literal)
    }

    fn list(&mut self) -> Parsed<Vec<Literal>> {
        self.expect("[")?;
        let mut literals = Vec::new();
        if self.take("]") {
            return Ok(literals);
        }
        loop {
            match self.literal() {
                Some(literal) => literals.push(literal),
                None => return error(self.position(), "a literal is expected in this list"),
            }
            if self.take("]") {
                return Ok(literals);
            }
            self.expect(",")?;
        }
    }

    fn path(&mut self) -> Parsed<Path> {
        let position = self.position();
        let mut segments = vec![self.segment()?];
        while self.take(".") {
            segments.push(self.segment()?);
        }
        if segments.len() > 1 && segments[0].eq_ignore_ascii_case("devices") {
            segments.remove(0);
        }
        let Some(root) = ROOTS.iter().find(|root| root.eq_ignore_ascii_case(&segments[0])) else {
            return error(position, format!("{} is not a field of a twin", segments[0]));
        };
        segments[0] = (*root).to_owned();
        if *root == "properties" {
            let section = ["desired", "reported"]
                .into_iter()
                .find(|name| segments.get(1).is_some_and(|s| s.eq_ignore_ascii_case(name)));
            let Some(section) = section else {
                return error(position, "properties must be followed by desired or reported");
            };
            segments[1] = section.to_owned();
        }
        Ok(Path(segments))
    }

    fn segment(&mut self) -> Parsed<String> {
        match self.peek().clone() {
            Token::Word(word) if word != "*" => {
                self.next += 1;
                Ok(word)
            }
            _ => error(self.position(), "a field name is expected"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn condition(text: &str) -> Condition {
        parse(&format!("SELECT * FROM devices WHERE {text}"))
            .unwrap()
            .condition
            .unwrap()
    }

    fn path(text: &str) -> Path {
        Path(text.split('.').map(str::to_owned).collect())
    }

    #[test]
    fn keywords_and_roots_ignore_case_and_keys_do_not() {
        let query = parse("select *\n from Devices where TAGS.Site = \"s1\"").unwrap();
        assert_eq!(
            query.condition,
            Some(Condition::Compare {
                path: path("tags.Site"),
                comparison: Comparison::Equal,
                literal: Literal::String("s1".into())
            })
        );
    }

    #[test]
    fn and_binds_tighter_than_or_and_not_tightest() {
        let Condition::Or(_, right) = condition("status = 'a' OR NOT status = 'b' AND version > 3") else {
            panic!("or")
        };
        let Condition::And(left, _) = *right else { panic!("and") };
        assert!(matches!(*left, Condition::Not(_)));
    }

    #[test]
    fn literals_lists_functions_and_brackets_are_read() {
        assert!(
            matches!(condition("deviceId IN ['a', 'b\\'c']"), Condition::In { literals, negated: false, .. } if literals[1] == Literal::String("b'c".into()))
        );
        assert!(matches!(
            condition("deviceId NOT IN []"),
            Condition::In { negated: true, .. }
        ));
        assert!(matches!(
            condition("5 < tags.n"),
            Condition::Compare {
                comparison: Comparison::Greater,
                literal: Literal::Number(5.0),
                ..
            }
        ));
        assert!(matches!(
            condition("tags.n = -1.5e3"),
            Condition::Compare {
                literal: Literal::Number(-1500.0),
                ..
            }
        ));
        assert!(matches!(
            condition("is_defined(properties.reported.firmwareStatus)"),
            Condition::IsDefined(_)
        ));
        assert!(matches!(
            condition("startswith(devices.deviceId, 'sim-')"),
            Condition::StartsWith { .. }
        ));
        assert!(
            matches!(condition("tags.[[a-b]].c = null"), Condition::Compare { path: Path(p), .. } if p[1] == "a-b")
        );
        assert!(matches!(
            condition("capabilities.iotEdge"),
            Condition::Compare {
                literal: Literal::Bool(true),
                ..
            }
        ));
        assert_eq!(
            parse("SELECT COUNT() AS n FROM devices").unwrap().selection,
            Selection::Count { name: "n".into() }
        );
    }

    #[test]
    fn what_is_not_understood_is_refused_where_it_stands() {
        for (text, position) in [
            ("SELEC *", 0),
            ("SELECT * FROM devices ORDER BY deviceId", 22),
            ("SELECT * FROM devices WHERE nonsense = 1", 28),
            ("SELECT * FROM devices WHERE tags.a = 'open", 37),
            ("SELECT * FROM devices WHERE tags.a == 1", 36),
            ("SELECT * FROM devices WHERE frobnicate(tags.a)", 28),
            ("SELECT * FROM devices WHERE", 27),
        ] {
            assert_eq!(parse(text).unwrap_err().position, position, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,80}", nested in "[(\\[NOT '\"\\\\u.a=]{0,80}") {
            let _ = parse(&text);
            let _ = parse(&format!("SELECT * FROM devices WHERE {nested}"));
            let _ = parse_condition(&text);
        }
    }
}
