//! The `If-Match` header: under which condition a write may happen.

use http::HeaderValue;

use crate::ClientError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// No header: "create" for identities, unconditional for twins.
    None,
    /// Whatever is there, as long as something is.
    Any,
    /// Only if the target still has this etag, written without quotes.
    Etag(String),
}

impl IfMatch {
    /// Azure reads both forms; its SDKs send the quoted one, `"*"` included.
    pub(crate) fn header(&self) -> Result<Option<HeaderValue>, ClientError> {
        let tag = match self {
            Self::None => return Ok(None),
            Self::Any => "*",
            Self::Etag(tag) => tag.trim_matches('"'),
        };
        HeaderValue::from_str(&format!("\"{tag}\""))
            .map(Some)
            .map_err(|_| ClientError::invalid("the etag holds characters a header cannot carry"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(condition: &IfMatch) -> Option<String> {
        let header = condition.header().unwrap();
        header.map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn conditions_are_sent_in_quotes() {
        assert_eq!(text(&IfMatch::None), None);
        assert_eq!(text(&IfMatch::Any).unwrap(), "\"*\"");
        assert_eq!(text(&IfMatch::Etag("AAAAAAAAAAE=".into())).unwrap(), "\"AAAAAAAAAAE=\"");
    }

    #[test]
    fn an_etag_that_came_quoted_is_not_quoted_twice() {
        assert_eq!(text(&IfMatch::Etag("\"abc\"".into())).unwrap(), "\"abc\"");
    }

    #[test]
    fn an_etag_with_a_line_break_is_refused() {
        assert!(IfMatch::Etag("a\r\nb".into()).header().is_err());
    }
}
