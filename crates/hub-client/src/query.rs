//! Queries over twins, page by page.

use http::{HeaderName, HeaderValue, Method};
use hub_protocol::twin::Twin;
use serde::{Deserialize, Serialize};

use crate::{
    ClientError, HubClient,
    client::{Answer, Call},
};

pub(crate) const CONTINUATION: &str = "x-ms-continuation";
pub(crate) const MAX_ITEM_COUNT: HeaderName = HeaderName::from_static("x-ms-max-item-count");
pub(crate) const ITEM_TYPE: &str = "x-ms-item-type";
/// The documented ceiling of one page.
pub(crate) const PAGE: u16 = 100;
const MAX_TEXT: usize = 8192;

#[derive(Serialize)]
struct QueryBody<'a> {
    query: &'a str,
}

#[derive(Deserialize)]
struct Counted {
    n: u64,
}

/// Where a reader of pages stands.
pub(crate) enum Position {
    Start,
    After(HeaderValue),
    End,
}

impl Position {
    /// The token for the next page, none for the first; `None` after the last.
    pub(crate) fn next(&self) -> Option<Option<HeaderValue>> {
        match self {
            Self::Start => Some(None),
            Self::After(token) => Some(Some(token.clone())),
            Self::End => None,
        }
    }
}

/// A query whose rows are whole twins (`SELECT * FROM devices …`).
pub struct TwinQuery {
    client: HubClient,
    text: String,
    position: Position,
}

impl TwinQuery {
    /// The next page, which may be empty, or `None` after the last. After an error the same page
    /// may be asked for again.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Twin>>, ClientError> {
        let Some(continuation) = self.position.next() else {
            return Ok(None);
        };
        let answer = self.client.succeed(&call(&self.text, continuation)?).await?;
        if answer.header(ITEM_TYPE).is_some_and(|kind| kind != "Twin") {
            return Err(ClientError::invalid(
                "the query does not select whole twins; begin it with SELECT * FROM devices",
            ));
        }
        let twins = self.client.parse(&answer)?;
        self.position = after(&answer);
        Ok(Some(twins))
    }
}

/// An empty token is no token: asking again with it would begin anew, without end.
pub(crate) fn after(answer: &Answer) -> Position {
    match answer.headers.get(CONTINUATION) {
        Some(token) if !token.is_empty() => Position::After(token.clone()),
        _ => Position::End,
    }
}

pub(crate) fn call(text: &str, continuation: Option<HeaderValue>) -> Result<Call, ClientError> {
    if text.trim().is_empty() {
        return Err(ClientError::invalid("the query is empty"));
    }
    if text.chars().count() > MAX_TEXT {
        return Err(ClientError::invalid(format!(
            "a query has at most {MAX_TEXT} characters"
        )));
    }
    let mut call = Call::new(Method::POST, "/devices/query")
        .json(&QueryBody { query: text })?
        .header(MAX_ITEM_COUNT, HeaderValue::from(PAGE));
    if let Some(token) = continuation {
        call = call.header(HeaderName::from_static(CONTINUATION), token);
    }
    Ok(call)
}

fn count_text(condition: &str) -> String {
    match condition.trim() {
        "" => "SELECT COUNT() AS n FROM devices".to_owned(),
        condition => format!("SELECT COUNT() AS n FROM devices WHERE {condition}"),
    }
}

impl HubClient {
    pub fn query(&self, text: impl Into<String>) -> TwinQuery {
        TwinQuery {
            client: self.clone(),
            text: text.into(),
            position: Position::Start,
        }
    }

    /// How many devices meet `condition`, the part after `WHERE`; all of them when it is empty.
    pub async fn count(&self, condition: &str) -> Result<u64, ClientError> {
        let rows: Vec<Counted> = self.read(&call(&count_text(condition), None)?).await?;
        Ok(rows.first().map_or(0, |row| row.n))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn answer(continuation: Option<&'static str>) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(token) = continuation {
            headers.insert(CONTINUATION, HeaderValue::from_static(token));
        }
        Answer {
            status: 200,
            headers,
            body: Vec::new(),
        }
    }

    #[test]
    fn the_last_page_has_no_continuation_or_an_empty_one() {
        assert!(matches!(after(&answer(None)), Position::End));
        assert!(matches!(after(&answer(Some(""))), Position::End));
        assert!(matches!(after(&answer(Some("abc"))), Position::After(token) if token == "abc"));
    }

    #[test]
    fn counting_without_a_condition_counts_all() {
        assert_eq!(count_text("  "), "SELECT COUNT() AS n FROM devices");
        assert_eq!(
            count_text("tags.hall = 'B'"),
            "SELECT COUNT() AS n FROM devices WHERE tags.hall = 'B'"
        );
    }

    #[test]
    fn empty_and_endless_queries_are_refused_before_they_are_sent() {
        assert!(call(" ", None).is_err());
        assert!(call(&"x".repeat(8193), None).is_err());
    }
}
