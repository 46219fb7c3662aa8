//! Plain HTTPS calls, for what the client would never send.

use hub_protocol::{Secret, ServiceConnectionString, connection_string::Credential, sas};
use reqwest::Method;
use rustls::ClientConfig;
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

impl World {
    fn http(&self) -> reqwest::Client {
        let client = reqwest::Client::builder().tls_backend_preconfigured(ClientConfig::clone(&self.tls));
        client.no_proxy().build().unwrap()
    }

    /// As policy `iothubowner`.
    pub(crate) async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let owner = self.hub.service_connection_string();
        let mut request = self
            .http()
            .request(
                method,
                format!("https://{}{path}?api-version=2021-04-12", owner.host_name),
            )
            .header("Authorization", token(&owner, unix_now() + 600).expose())
            .body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    }

    /// Without a token and a version.
    pub(crate) async fn call_plainly(&self, method: Method, path: &str) -> Answer {
        let host = self.hub.service_connection_string().host_name;
        answer(self.http().request(method, format!("https://{host}{path}"))).await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    Answer {
        status: answer.status().as_u16(),
        headers: answer.headers().clone(),
        body: serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null),
    }
}
