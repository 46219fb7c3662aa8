//! Where an answer goes on: what a continuation token says.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hub_protocol::{ErrorCode, HubError, query::Query};

/// The place in a query's answer where a page begins.
#[derive(Default)]
pub(super) struct Position {
    /// Rows of the pages before; TOP counts them.
    given: u64,
    /// The keys of the last row before; empty on the first page.
    pub(super) after: Vec<String>,
}

impl Position {
    /// A token is good for its own query only.
    pub(super) fn read(query: &Query, keys: usize, token: Option<&str>) -> Result<Self, HubError> {
        let Some(token) = token else {
            return Ok(Self::default());
        };
        let refused = |text: &str| HubError::new(ErrorCode::ArgumentInvalid, text);
        let bytes = BASE64.decode(token).unwrap_or_default();
        let Ok((of, given, after)) = serde_json::from_slice::<(u64, u64, Vec<String>)>(&bytes) else {
            return Err(refused("The continuation token is not one of this hub's."));
        };
        if of != fingerprint(query) || after.len() != keys || keys == 0 {
            return Err(refused("The continuation token belongs to another query."));
        }
        Ok(Self { given, after })
    }

    /// Rows of this page at most.
    pub(super) fn size(&self, query: &Query, page_size: usize) -> usize {
        let left = query.top.map(|top| top.saturating_sub(self.given));
        left.map_or(page_size, |left| {
            usize::try_from(left).unwrap_or(usize::MAX).min(page_size)
        })
    }

    /// What comes after a page of `rows` rows; nothing once TOP is reached.
    pub(super) fn token(&self, query: &Query, rows: usize, last: Vec<String>) -> Option<String> {
        let given = self.given + rows as u64;
        let next = (fingerprint(query), given, last);
        let more = query.top.is_none_or(|top| given < top);
        more.then(|| BASE64.encode(serde_json::to_vec(&next).unwrap_or_default()))
    }
}

fn fingerprint(query: &Query) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{query:?}").hash(&mut hasher);
    hasher.finish()
}
