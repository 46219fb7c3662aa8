//! The service REST API over HTTPS.
//!
//! A request's path is decoded into segments before anything looks at it, because real clients
//! send `/devices%2Fquery`, trailing slashes and any letter case; then one `match` on method and
//! segments is the whole route table.

mod configurations;
mod device;
mod digital_twins;
mod jobs;
mod messages;
mod registry;
mod routes;
mod twins;

use std::{
    borrow::Cow,
    convert::Infallible,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hub_protocol::{ClientId, ErrorCode, HubError};
use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade::OnUpgrade};
use hyper_util::rt::{TokioIo, TokioTimer};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    device_certificates::PeerCertificates,
    hub::{Hub, now},
    mqtt::websocket,
    serve::TlsSocket,
    store::IfMatch,
};

/// A hundred devices of a bulk request with full twins, and room.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// Names one answer; an error's body names the same.
const REQUEST_ID: &str = "x-ms-request-id";

/// Serves a connection to its end. `certificates` are what the client showed at the handshake.
pub(crate) async fn serve(hub: Hub, stream: Box<TlsSocket>, certificates: PeerCertificates, stop: CancellationToken) {
    let upgrade = Arc::new(OnceLock::new());
    let service = {
        let (hub, certificates, upgrade) = (hub.clone(), certificates.clone(), upgrade.clone());
        service_fn(move |request| answer(hub.clone(), request, certificates.clone(), upgrade.clone()))
    };
    let mut connection = Box::pin(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(30))
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades(),
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            // Lets the request under way finish, unless it would hold the hub up.
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(Duration::from_secs(2), connection.as_mut()).await.unwrap_or(Ok(()))
        }
    };
    // With it goes the service, and what HTTP needed of memory.
    drop(connection);
    if let Err(error) = ended {
        tracing::debug!("a service connection ended: {error}");
    }
    if let Some(upgrade) = Arc::into_inner(upgrade).and_then(OnceLock::into_inner) {
        websocket::serve(hub, upgrade, certificates, stop).await;
    }
}

/// A request with its path taken apart and its body read.
pub(crate) struct Call {
    pub method: http::Method,
    /// Decoded; ids keep their case.
    pub segments: Vec<String>,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// What the client showed at the TLS handshake; a device may authenticate with it.
    pub certificates: PeerCertificates,
}

impl Call {
    /// Segment `index` of the path; the endpoint's shape says that it is there.
    pub(crate) fn segment(&self, index: usize) -> &str {
        self.segments.get(index).map_or("", String::as_str)
    }

    /// The same call with the id in its path decoded once more; `None` when that is no other.
    fn decoded_again(&self) -> Option<Self> {
        let id = self.segment(1);
        let decoded = percent_decode_str(id)
            .decode_utf8()
            .ok()
            .filter(|decoded| decoded != id)?;
        let mut segments = self.segments.clone();
        segments[1] = decoded.into_owned();
        Some(Self {
            method: self.method.clone(),
            segments,
            query: self.query.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
            certificates: self.certificates.clone(),
        })
    }

    /// The device of `/…/{id}`, or the module of `/…/{id}/modules/{mid}`.
    pub(crate) fn client_id(&self) -> Result<ClientId, HubError> {
        let module = self.segment(2).eq_ignore_ascii_case("modules").then(|| self.segment(3));
        ClientId::new(self.segment(1), module)
            .map_err(|error| HubError::new(ErrorCode::ArgumentInvalid, error.to_string()))
    }

    pub(crate) fn if_match(&self) -> IfMatch {
        IfMatch::parse(self.header("If-Match"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Rows a page is to have at most, where the client says so.
    pub(crate) fn page_size(&self) -> Option<usize> {
        self.header("x-ms-max-item-count").and_then(|count| count.parse().ok())
    }

    /// Where the page before ended.
    pub(crate) fn continuation(&self) -> Option<String> {
        let token = self.header("x-ms-continuation").filter(|token| !token.is_empty());
        token.map(str::to_owned)
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, HubError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let code = if error.is_data() {
                ErrorCode::ArgumentInvalid
            } else {
                ErrorCode::IotHubFormatError
            };
            HubError::new(code, format!("The body cannot be read: {error}"))
        })
    }
}

/// What a route answers.
pub(crate) struct Answer {
    status: StatusCode,
    headers: Vec<(Cow<'static, str>, String)>,
    body: Bytes,
}

impl Answer {
    pub(crate) fn json(value: &impl Serialize) -> Self {
        Self {
            status: StatusCode::OK,
            headers: Vec::new(),
            body: serde_json::to_vec(value).unwrap_or_default().into(),
        }
    }

    /// Bytes that are nobody's business here.
    pub(crate) fn bytes(body: Bytes) -> Self {
        let answer = Self {
            status: StatusCode::OK,
            headers: Vec::new(),
            body,
        };
        answer.header("Content-Type", "application/octet-stream".into())
    }

    pub(crate) fn no_content() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn etag(self, etag: &str) -> Self {
        self.header("ETag", format!("\"{etag}\""))
    }

    pub(crate) fn header(mut self, name: impl Into<Cow<'static, str>>, value: String) -> Self {
        self.headers.push((name.into(), value));
        self
    }

    fn error(error: &HubError, of_method: bool) -> Self {
        let id = tracking_id();
        let body = if of_method {
            error.method_body(&id, now())
        } else {
            error.body(&id, now())
        };
        Self {
            status: StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers: vec![
                ("iothub-errorcode".into(), error.code.name().to_owned()),
                (REQUEST_ID.into(), id),
            ],
            body: body.to_string().into(),
        }
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Ok(id) = header::HeaderValue::from_str(&tracking_id()) {
            headers.insert(REQUEST_ID, id);
        }
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/json; charset=utf-8"),
        );
        for (name, value) in self.headers {
            let (name, value) = (
                header::HeaderName::from_bytes(name.as_bytes()),
                header::HeaderValue::from_bytes(value.as_bytes()),
            );
            match (name, value) {
                (Ok(name), Ok(value)) => drop(headers.insert(name, value)),
                // A message's property need not fit into a header.
                (name, _) => tracing::debug!("a header cannot be written: {name:?}"),
            }
        }
        response
    }
}

/// Sixteen random hex digits.
pub(crate) fn tracking_id() -> String {
    let mut bytes = [0; 8];
    // Zeros are a fine tracking id for a machine without randomness.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// An upgrade is noted in `upgrade`; the connection is then a WebSocket's.
async fn answer(
    hub: Hub,
    mut request: Request<Incoming>,
    certificates: PeerCertificates,
    upgrade: Arc<OnceLock<OnUpgrade>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if websocket::is_meant(&segments(request.uri().path())) {
        let response = match websocket::accept(&request) {
            Ok(response) => {
                // One connection is upgraded once: hyper reads no further request after it.
                let _ = upgrade.set(hyper::upgrade::on(&mut request));
                response
            }
            Err(why) => {
                let error = HubError::new(ErrorCode::GenericBadRequest, why);
                Answer::error(&error, false).into_response()
            }
        };
        return Ok(response);
    }
    hub.tally().request();
    let call = match read(request, certificates).await {
        Ok(call) => call,
        Err(error) => return Ok(Answer::error(&error, false).into_response()),
    };
    Ok(routes::route(&hub, &call).await.into_response())
}

async fn read(request: Request<Incoming>, certificates: PeerCertificates) -> Result<Call, HubError> {
    let (parts, body) = request.into_parts();
    let too_large = |error| HubError::new(ErrorCode::MessageTooLarge, format!("The body cannot be read: {error}"));
    let body = Limited::new(body, MAX_BODY)
        .collect()
        .await
        .map_err(too_large)?
        .to_bytes();
    Ok(Call {
        method: parts.method,
        segments: segments(parts.uri.path()),
        query: query_pairs(parts.uri.query().unwrap_or_default()),
        headers: parts.headers,
        body,
        certificates,
    })
}

/// `%2F` separates like `/`: ids cannot hold a slash. A literal `+` stays one.
fn segments(path: &str) -> Vec<String> {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    decoded
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(str::to_owned)
        .collect()
}

fn query_pairs(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    // A bare key, as in `&reject`, has the empty value.
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(key, value)| (decode(key), decode(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::segments;

    #[test]
    fn encoded_and_trailing_slashes_separate_and_ids_keep_their_characters() {
        assert_eq!(segments("/devices%2Fquery"), ["devices", "query"]);
        assert_eq!(segments("/twins%2Fdev%251%3Da/"), ["twins", "dev%1=a"]);
        assert_eq!(segments("/devices/a+b"), ["devices", "a+b"]);
    }
}
