//! Text to tokens.

use super::{
    MAX_LENGTH,
    parse::{Parsed, error},
};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(String),
    /// `[[name]]`: never a keyword.
    Quoted(String),
    String(String),
    Number(f64),
    Symbol(&'static str),
    End,
}

const SYMBOLS: [&str; 18] = [
    "!=", "<>", "<=", ">=", "(", ")", "[", "]", ",", ".", "=", "<", ">", "+", "-", "*", "/", "%",
];

/// Each with its byte offset; the last is [`Token::End`].
pub(super) fn tokens(text: &str) -> Parsed<Vec<(usize, Token)>> {
    if text.chars().count() > MAX_LENGTH {
        return error(0, format!("a query has at most {MAX_LENGTH} characters"));
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let start = at;
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (token, length) = if c == '\'' || c == '"' {
            string(text, at, c)?
        } else if let Some(rest) = text[at..].strip_prefix("[[") {
            match rest.find("]]") {
                Some(length) if length > 0 && !rest[..length].contains(['[', ']']) => {
                    (Token::Quoted(rest[..length].to_owned()), length + 4)
                }
                _ => return error(start, "[[ begins a name that ]] must close"),
            }
        } else if c.is_ascii_digit() {
            number(text, at)?
        } else if is_name_start(c) {
            let length = name_length(&text[at..]);
            (Token::Word(text[at..at + length].to_owned()), length)
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| text[at..].starts_with(**symbol)) {
            (Token::Symbol(symbol), symbol.len())
        } else {
            return error(start, format!("{c:?} is not understood"));
        };
        tokens.push((start, token));
        at += length;
    }
    tokens.push((text.len(), Token::End));
    Ok(tokens)
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '$'
}

/// A hyphen between two characters of a name belongs to it (`tags.my-key`), as lenient hubs
/// have it (service.md 5.2); a subtraction is written with blanks.
fn name_length(text: &str) -> usize {
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let hyphen = c == '-' && chars.peek().is_some_and(|(_, next)| is_name(*next));
        if !is_name(c) && !hyphen {
            return at;
        }
    }
    text.len()
}

fn number(text: &str, start: usize) -> Parsed<(Token, usize)> {
    let rest = &text[start..];
    let digits = |from: usize| rest[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut length = digits(0);
    let value = if let Some(hex) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        let count = hex.bytes().take_while(u8::is_ascii_hexdigit).count();
        length = 2 + count;
        u64::from_str_radix(&hex[..count], 16).ok().map(|value| value as f64)
    } else {
        if rest[length..].starts_with('.') && digits(length + 1) > 0 {
            length += 1 + digits(length + 1);
        }
        if rest[length..].starts_with(['e', 'E']) {
            let sign = usize::from(rest[length + 1..].starts_with(['+', '-']));
            let exponent = digits(length + 1 + sign);
            if exponent > 0 {
                length += 1 + sign + exponent;
            }
        }
        rest[..length].parse().ok()
    };
    let ends = !rest[length..].starts_with(is_name_start);
    match value.filter(|value: &f64| value.is_finite() && ends) {
        Some(value) => Ok((Token::Number(value), length)),
        None => error(start, "this number cannot be read"),
    }
}

/// Beside the documented escapes (`\'`, `\"`, `\\`, `\uXXXX`) those of JSON, and a doubled quote
/// for one (service.md 5.2).
fn string(text: &str, start: usize, quote: char) -> Parsed<(Token, usize)> {
    let mut value = String::new();
    let mut rest = text[start + 1..].chars();
    while let Some(c) = rest.next() {
        if c == quote {
            let mut after = rest.clone();
            if after.next() == Some(quote) {
                value.push(quote);
                rest = after;
                continue;
            }
            return Ok((Token::String(value), text.len() - start - rest.as_str().len()));
        }
        if c != '\\' {
            value.push(c);
            continue;
        }
        let at = text.len() - rest.as_str().len() - 1;
        let unescaped = match rest.next() {
            Some(c @ ('\'' | '"' | '\\' | '/')) => Some(c),
            Some('b') => Some('\u{8}'),
            Some('f') => Some('\u{c}'),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('u') => {
                let (c, length) = unicode(rest.as_str());
                rest = rest.as_str()[length..].chars();
                c
            }
            _ => return error(at, "this escape is not understood"),
        };
        match unescaped {
            Some(c) => value.push(c),
            None => {
                return error(
                    at,
                    "a \\u escape is four hexadecimal digits, or two such escapes that form a pair",
                );
            }
        }
    }
    error(start, "this text is not closed by its quote")
}

/// The character of the digits after `\u`, and how long they are; a surrogate needs its other half.
fn unicode(text: &str) -> (Option<char>, usize) {
    let unit = |from: usize| {
        let digits = text.get(from..from + 4)?;
        let all = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        u16::from_str_radix(digits, 16).ok().filter(|_| all)
    };
    let Some(first) = unit(0) else { return (None, 0) };
    if let Some(c) = char::from_u32(first.into()) {
        return (Some(c), 4);
    }
    let second = text[4..].strip_prefix("\\u").and_then(|_| unit(6));
    let pair = second.and_then(|second| char::decode_utf16([first, second]).next()?.ok());
    (pair, if pair.is_some() { 10 } else { 0 })
}
