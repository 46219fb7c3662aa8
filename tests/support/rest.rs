//! Plain HTTPS calls, for what the client would never send.

use hub_protocol::{Secret, ServiceConnectionString, connection_string::Credential, sas};
use reqwest::Method;
use serde_json::Value;

use super::{unix_now, world::World};

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The status of an answer and the error it names in its header.
pub(crate) fn code(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.header("iothub-errorcode").unwrap_or_default())
}

/// A token of this policy, good until `expiry` in seconds since 1970.
pub(crate) fn token(connection: &ServiceConnectionString, expiry: u64) -> Secret {
    match &connection.credential {
        Credential::Key(key) => sas::sign(connection.host(), key, expiry, Some(&connection.policy)),
        Credential::Token(token) => token.clone(),
    }
}

/// Plain HTTPS to a hub, over connections it keeps.
pub(crate) struct Rest {
    http: reqwest::Client,
    host: String,
}

impl Rest {
    /// `target` is the path with its whole query.
    pub(crate) async fn send(
        &self,
        authorization: Option<&str>,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let mut request = self
            .http
            .request(method, format!("https://{}{target}", self.host))
            .body(body);
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null),
        }
    }
}

impl World {
    pub(crate) fn rest(&self) -> Rest {
        let host = self.hub.service_connection_string().host_name;
        let http = self.http.clone();
        Rest { http, host }
    }

    /// As `iothubowner`.
    pub(crate) async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let token = token(&self.hub.service_connection_string(), unix_now() + 600);
        self.call_as(&token, method, path, headers, body).await
    }

    /// With this token; `path` may have a query.
    pub(crate) async fn call_as(
        &self,
        token: &Secret,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let separator = if path.contains('?') { '&' } else { '?' };
        let target = format!("{path}{separator}api-version=2021-04-12");
        self.rest()
            .send(Some(token.expose()), method, &target, headers, body)
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], String::new()).await
    }

    /// Without a token and a version.
    pub(crate) async fn call_plainly(&self, method: Method, path: &str) -> Answer {
        self.rest().send(None, method, path, &[], String::new()).await
    }
}
