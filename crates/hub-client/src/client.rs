//! The edge: one HTTPS call, its authorisation, its repeats.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use hub_protocol::{DeviceId, ServiceConnectionString};
use percent_encoding::utf8_percent_encode;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    ClientError, IfMatch, RetryPolicy,
    fault::{self, Fault},
    resolver::SystemResolver,
    retry::{Failure, Repeatable, retry_after},
    token::TokenSource,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// A page of 100 twins at their largest stays well below.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
const IDLE_CONNECTIONS: usize = 8;

/// A hub's service side. Cheap to clone; clones share connections and the token.
#[derive(Clone)]
pub struct HubClient(Arc<Inner>, RetryPolicy);

struct Inner {
    http: reqwest::Client,
    /// As in the connection string, with its port where it has one.
    host: String,
    tokens: TokenSource,
}

impl std::fmt::Debug for HubClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("HubClient").field(&self.0.host).finish()
    }
}

/// One call, before authorisation.
pub(crate) struct Call {
    method: Method,
    /// Begins with a slash; segments are already escaped.
    path: String,
    query: String,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    repeatable: Repeatable,
    timeout: Duration,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: None,
            repeatable: Repeatable::Yes,
            timeout: CALL_TIMEOUT,
        }
    }

    pub(crate) fn query(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.query.push_str(&format!("&{name}={value}"));
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn condition(mut self, condition: &IfMatch) -> Result<Self, ClientError> {
        if let Some(value) = condition.header()? {
            self.headers.insert(header::IF_MATCH, value);
        }
        Ok(self)
    }

    pub(crate) fn json(mut self, body: &(impl Serialize + ?Sized)) -> Result<Self, ClientError> {
        let body = serde_json::to_vec(body).map_err(|_| ClientError::invalid("the request is not valid JSON"))?;
        self.body = Some(body);
        self.headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        Ok(self)
    }

    pub(crate) fn body(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self
    }

    pub(crate) fn repeatable(mut self, repeatable: Repeatable) -> Self {
        self.repeatable = repeatable;
        self
    }

    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// `/{collection}/{id}` with the id escaped.
pub(crate) fn device_path(collection: &str, id: &DeviceId) -> Result<String, ClientError> {
    Ok(format!("/{collection}/{}", escaped(id)?))
}

/// The id as a segment of a path.
pub(crate) fn escaped(id: &DeviceId) -> Result<String, ClientError> {
    // URLs drop such segments even when escaped: the call would go to the whole collection.
    if matches!(id.as_str(), "." | "..") {
        return Err(ClientError::invalid(format!(
            "a device or module named {id} cannot be addressed over HTTP"
        )));
    }
    Ok(utf8_percent_encode(id.as_str(), hub_protocol::sas::UNRESERVED).to_string())
}

/// Proxies from the environment are for the outside world, not for this machine.
fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

impl HubClient {
    /// `tls` decides whom to trust; its ALPN is set here. Nothing is sent yet.
    pub fn new(connection: ServiceConnectionString, tls: rustls::ClientConfig) -> Result<Self, ClientError> {
        Self::with_retries(connection, tls, RetryPolicy::default())
    }

    pub fn with_retries(
        connection: ServiceConnectionString,
        mut tls: rustls::ClientConfig,
        retries: RetryPolicy,
    ) -> Result<Self, ClientError> {
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .http1_only()
            .dns_resolver(Arc::new(SystemResolver))
            // Repeats and redirects would send a method twice, or the token elsewhere.
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .user_agent(concat!("twindeck/", env!("CARGO_PKG_VERSION")));
        if is_this_machine(connection.host()) {
            builder = builder.no_proxy();
        }
        let http = builder
            .build()
            .map_err(|error| ClientError::invalid(format!("the TLS settings cannot be used: {error}")))?;
        let inner = Inner {
            http,
            host: connection.host_name.clone(),
            tokens: TokenSource::new(connection),
        };
        Ok(Self(Arc::new(inner), retries))
    }

    /// The same client for a caller who repeats calls by rules of their own.
    pub fn without_retries(&self) -> Self {
        Self(self.0.clone(), RetryPolicy::NEVER)
    }

    /// The host as the connection string writes it.
    pub fn host_name(&self) -> &str {
        &self.0.host
    }

    /// Sends until an answer worth having arrives or the retries are spent. Any status but those
    /// retried in vain is an `Ok`.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, ClientError> {
        let began = Instant::now();
        let mut tries = 0;
        loop {
            tries += 1;
            let outcome = Box::pin(self.send_once(call)).await;
            let failure = match &outcome {
                Ok(answer) => Failure::Status {
                    status: answer.status,
                    retry_after: retry_after(answer.header("retry-after")),
                },
                Err((fault, _)) if !fault.is_passing() => return outcome.map_err(|(fault, _)| self.error(fault, call)),
                Err((_, failure)) => *failure,
            };
            let wait = self
                .1
                .wait(call.repeatable, failure, tries, began.elapsed(), fastrand::f64());
            let Some(wait) = wait else {
                return outcome.map_err(|(fault, _)| self.error(fault, call));
            };
            tracing::debug!(host = %self.0.host, method = %call.method, path = %call.path, ?failure, ?wait, "trying again");
            tokio::time::sleep(wait).await;
        }
    }

    fn error(&self, fault: Fault, call: &Call) -> ClientError {
        fault.into_error(&self.0.host, call.timeout)
    }

    async fn send_once(&self, call: &Call) -> Result<Answer, (Fault, Failure)> {
        let url = format!(
            "https://{}{}?api-version={}{}",
            self.0.host,
            call.path,
            hub_protocol::API_VERSION,
            call.query
        );
        let mut request = self
            .0
            .http
            .request(call.method.clone(), url)
            .headers(call.headers.clone())
            .timeout(call.timeout);
        // A token that is no header value (a pasted one) goes out empty and is answered with 401.
        if let Ok(mut token) = HeaderValue::from_str(self.0.tokens.token(now()).expose()) {
            token.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, token);
        }
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        let failed = |error: &reqwest::Error| {
            let failure = if error.is_connect() {
                Failure::NotSent
            } else {
                Failure::Lost
            };
            (fault::classify(error), failure)
        };
        let mut response = request.send().await.map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                let reason = format!("it is larger than {} MiB", MAX_ANSWER / 1024 / 1024);
                return Err((Fault::BadAnswer(reason), Failure::Lost));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body })
    }

    /// Sends and expects a 2xx.
    pub(crate) async fn succeed(&self, call: &Call) -> Result<Answer, ClientError> {
        let answer = self.send(call).await?;
        if (200..300).contains(&answer.status) {
            Ok(answer)
        } else {
            Err(self.refusal(&answer))
        }
    }

    pub(crate) fn refusal(&self, answer: &Answer) -> ClientError {
        let token = self.0.tokens.token(now());
        ClientError::from_answer(answer.status, answer.header("iothub-errorcode"), &answer.body, &token)
    }

    /// Sends and reads the JSON of a 2xx.
    pub(crate) async fn read<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ClientError> {
        let answer = self.succeed(call).await?;
        self.parse(&answer)
    }

    pub(crate) fn parse<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, ClientError> {
        serde_json::from_slice(&answer.body).map_err(|error| ClientError::bad_json(&self.0.host, &error))
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_escaped_in_paths() {
        let id = DeviceId::new("a%b:c@d'e(f)").unwrap();
        assert_eq!(
            device_path("devices", &id).unwrap(),
            "/devices/a%25b%3Ac%40d%27e%28f%29"
        );
    }

    #[test]
    fn ids_that_a_url_would_swallow_are_refused() {
        for id in [".", ".."] {
            assert!(device_path("twins", &DeviceId::new(id).unwrap()).is_err());
        }
        assert!(device_path("twins", &DeviceId::new("...").unwrap()).is_ok());
    }

    #[test]
    fn proxies_are_left_out_for_this_machine_only() {
        assert!(is_this_machine("localhost"));
        assert!(is_this_machine("hub.localhost"));
        assert!(is_this_machine("127.0.0.1"));
        assert!(!is_this_machine("my-hub.azure-devices.net"));
        assert!(!is_this_machine("notlocalhost"));
    }
}
