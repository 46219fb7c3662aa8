//! The client against real sockets: what it says when a hub cannot be reached or trusted, and
//! what it sends when it can.

#![allow(
    clippy::unwrap_used,
    reason = "clippy does not take a test crate's helper functions for tests"
)]

use std::sync::Arc;

use hub_client::{ClientError, HubClient, IfMatch, RetryPolicy, tls};
use hub_protocol::{DeviceId, ErrorCode, ServiceConnectionString, method::MethodRequest};
use rustls::{RootCertStore, ServerConfig, pki_types::CertificateDer};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

fn client(host: &str, trusted: &[CertificateDer<'static>], retries: RetryPolicy) -> HubClient {
    let text = format!("HostName={host};SharedAccessKeyName=iothubowner;SharedAccessKey={KEY}");
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate.clone()).unwrap();
    }
    let connection = ServiceConnectionString::parse(&text).unwrap();
    HubClient::with_retries(connection, tls::trusting(roots).unwrap(), retries).unwrap()
}

fn device() -> DeviceId {
    DeviceId::new("pump-07").unwrap()
}

/// Answers one connection per text and gives back the requests.
struct Server {
    port: u16,
    certificate: CertificateDer<'static>,
    requests: JoinHandle<Vec<String>>,
}

async fn serve(name: &str, answers: &'static [&'static str]) -> Server {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = made.signing_key.serialize_der().try_into().unwrap();
    let config = ServerConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = TlsAcceptor::from(Arc::new(config.clone())).accept(stream).await else {
                continue;
            };
            let mut request = vec![0; 16 * 1024];
            let length = stream.read(&mut request).await.unwrap();
            requests.push(String::from_utf8_lossy(&request[..length]).into_owned());
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
        requests
    });
    Server {
        port,
        certificate,
        requests,
    }
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("localhost:{}", listener.local_addr().unwrap().port());
    drop(listener);
    let error = client(&host, &[], RetryPolicy::NEVER).statistics().await.unwrap_err();
    assert!(matches!(&error, ClientError::Unreachable { .. }), "{error:?}");
    assert!(
        error.to_string().contains(&host) && error.to_string().contains("refuses"),
        "{error}"
    );
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_an_unknown_host() {
    let hub = client("no-such-hub.invalid", &[], RetryPolicy::default());
    let error = hub.statistics().await.unwrap_err();
    assert_eq!(
        error,
        ClientError::UnknownHost {
            host: "no-such-hub.invalid".into()
        }
    );
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_not_trusted() {
    let server = serve("localhost", &[""]).await;
    let hub = client(&format!("localhost:{}", server.port), &[], RetryPolicy::default());
    let error = hub.statistics().await.unwrap_err();
    assert!(matches!(&error, ClientError::UntrustedTls { .. }), "{error:?}");
    assert!(error.to_string().contains("not trusted"), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let server = serve("other.example", &[""]).await;
    let host = format!("localhost:{}", server.port);
    let hub = client(&host, &[server.certificate], RetryPolicy::default());
    let error = hub.statistics().await.unwrap_err();
    assert!(matches!(&error, ClientError::UntrustedTls { .. }), "{error:?}");
    assert!(error.to_string().contains("another name"), "{error}");
}

#[tokio::test]
async fn a_call_carries_its_token_its_condition_and_the_api_version() {
    const GONE: &str = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    let server = serve("localhost", &[GONE]).await;
    let host = format!("localhost:{}", server.port);
    let hub = client(&host, &[server.certificate], RetryPolicy::NEVER);
    hub.delete_device(&device(), IfMatch::Etag("MTIz".into()))
        .await
        .unwrap();
    let request = server.requests.await.unwrap().remove(0);
    assert!(
        request.starts_with("DELETE /devices/pump-07?api-version=2021-04-12 HTTP/1.1"),
        "{request}"
    );
    assert!(request.contains("if-match: \"MTIz\""), "{request}");
    assert!(
        request.contains("authorization: SharedAccessSignature sr=localhost&sig="),
        "{request}"
    );
    assert!(request.contains("&skn=iothubowner"), "{request}");
}

#[tokio::test]
async fn an_idempotent_call_is_repeated_and_a_method_is_not() {
    const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    const COUNT: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"connectedDeviceCount\":7}\n";
    let server = serve("localhost", &[BUSY, COUNT, BUSY]).await;
    let host = format!("localhost:{}", server.port);
    let hub = client(&host, &[server.certificate], RetryPolicy::default());
    assert_eq!(hub.connected_count().await.unwrap(), 7);
    let request = MethodRequest::new("rebootDevice", Value::Null);
    let error = hub.invoke_method(&device(), &request).await.unwrap_err();
    assert_eq!(error.status(), Some(503));
    assert_eq!(server.requests.await.unwrap().len(), 3);
}

#[tokio::test]
async fn failed_items_of_a_bulk_call_are_a_result_and_other_refusals_an_error() {
    const PARTLY: &str = "HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\n\
        {\"isSuccessful\":false,\"errors\":[{\"deviceId\":\"pump-07\",\"errorCode\":409001,\"errorStatus\":\"\"}]}";
    const REFUSED: &str = "HTTP/1.1 400 Bad\r\niothub-errorcode: ArgumentInvalid\r\nConnection: close\r\n\r\n{}";
    let server = serve("localhost", &[PARTLY, REFUSED]).await;
    let host = format!("localhost:{}", server.port);
    let hub = client(&host, &[server.certificate], RetryPolicy::NEVER);
    let items = [serde_json::from_str("{\"id\":\"pump-07\"}").unwrap()];
    assert_eq!(hub.bulk(&items).await.unwrap().errors[0].device_id, "pump-07");
    assert_eq!(
        hub.bulk(&items).await.unwrap_err().code(),
        Some(ErrorCode::ArgumentInvalid)
    );
}
