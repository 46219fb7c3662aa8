//! MQTT in a WebSocket, at `/$iothub/websocket` of HTTPS (device.md 2.1).
//!
//! Binary frames are a stream of bytes: a frame's end is no packet's end.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error as WebSocketError, Message,
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};
use tokio_util::sync::CancellationToken;

use super::wire::{MAX_PACKET, Socket};
use crate::{device_certificates::PeerCertificates, hub::Hub, serve::TlsSocket};

/// Bytes of one frame that the hub sends.
const FRAME: usize = 16 * 1024;

/// Whether a request's path is the WebSocket's; its query is nobody's business.
pub(crate) fn is_meant(segments: &[String]) -> bool {
    matches!(segments, [root, last] if root.eq_ignore_ascii_case("$iothub") && last.eq_ignore_ascii_case("websocket"))
}

/// The answer that turns the connection into a WebSocket, or why it does not become one.
/// Extensions are declined by not being mentioned.
pub(crate) fn accept<B>(request: &Request<B>) -> Result<Response<Full<Bytes>>, &'static str> {
    let headers = request.headers();
    if request.method() != Method::GET
        || !lists(headers, header::UPGRADE, "websocket")
        || !lists(headers, header::CONNECTION, "upgrade")
    {
        return Err("A WebSocket is opened here, and this does not ask for one.");
    }
    if !lists(headers, header::SEC_WEBSOCKET_VERSION, "13") {
        return Err("Only version 13 of WebSocket is spoken here.");
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    let key = key.ok_or("The header Sec-WebSocket-Key is missing.")?;
    let offered = items(headers, header::SEC_WEBSOCKET_PROTOCOL);
    let protocol = offered
        .into_iter()
        .find(|protocol| protocol.eq_ignore_ascii_case("mqtt"))
        .ok_or("Only the subprotocol mqtt is spoken here.")?;
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in [
        (header::CONNECTION, "Upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_ACCEPT, &derive_accept_key(key.as_bytes())),
        (header::SEC_WEBSOCKET_PROTOCOL, protocol),
    ] {
        let value = value.parse().map_err(|_| "The subprotocol cannot be repeated.")?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// What a header lists, over all its lines.
fn items(headers: &HeaderMap, name: header::HeaderName) -> Vec<&str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).collect()
}

fn lists(headers: &HeaderMap, name: header::HeaderName, item: &str) -> bool {
    items(headers, name)
        .iter()
        .any(|found| found.eq_ignore_ascii_case(item))
}

/// Serves the device behind an accepted upgrade.
pub(crate) async fn serve(hub: Hub, upgrade: OnUpgrade, certificates: PeerCertificates, stop: CancellationToken) {
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            tracing::debug!("a WebSocket was not opened: {error}");
            return;
        }
    };
    // The socket itself, without hyper's wrapping.
    let Ok(parts) = upgraded.downcast::<TokioIo<Box<TlsSocket>>>() else {
        return;
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * FRAME)
        .max_frame_size(Some(MAX_PACKET))
        .max_message_size(Some(MAX_PACKET));
    let (socket, read) = (parts.io.into_inner(), parts.read_buf.to_vec());
    let frames = Box::pin(WebSocketStream::from_partially_read(
        socket,
        read,
        Role::Server,
        Some(config),
    ));
    let bytes: Box<dyn Socket> = Box::new(Bytestream {
        frames: frames.await,
        unread: Bytes::new(),
    });
    super::serve(hub, bytes, certificates, stop).await;
}

/// The bytes in the binary frames of a WebSocket.
struct Bytestream<S> {
    frames: WebSocketStream<S>,
    /// The rest of the frame that is being read.
    unread: Bytes,
}

fn failed(error: WebSocketError) -> io::Error {
    match error {
        WebSocketError::Io(error) => error,
        other => io::Error::other(other),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Bytestream<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            // Pings are answered inside.
            match ready!(Pin::new(&mut self.frames).poll_next(context)) {
                Some(Ok(Message::Binary(frame))) => self.unread = frame,
                Some(Ok(Message::Text(_))) => {
                    let text = "MQTT comes in binary frames";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
                }
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Ok(_)) => {}
                Some(Err(WebSocketError::ConnectionClosed | WebSocketError::AlreadyClosed)) => {
                    return Poll::Ready(Ok(()));
                }
                Some(Err(error)) => return Poll::Ready(Err(failed(error))),
            }
        }
        let count = self.unread.len().min(into.remaining());
        into.put_slice(&self.unread[..count]);
        self.unread.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Bytestream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.frames).poll_ready(context)).map_err(failed)?;
        let count = bytes.len().min(FRAME);
        let frame = Message::Binary(Bytes::copy_from_slice(&bytes[..count]));
        Pin::new(&mut self.frames).start_send(frame).map_err(failed)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.frames).poll_flush(context).map_err(failed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.frames).poll_close(context).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(protocol: &str) -> http::request::Builder {
        Request::get("/$iothub/websocket?iothub-no-client-cert=true")
            .header("Connection", "keep-alive, Upgrade")
            .header("Upgrade", "WebSocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("Sec-WebSocket-Extensions", "permessage-deflate")
            .header("Sec-WebSocket-Protocol", protocol)
    }

    #[test]
    fn the_subprotocol_is_compared_without_case_and_repeated_as_offered() {
        for (offered, repeated) in [("mqtt", "mqtt"), ("MQTT", "MQTT"), ("AMQPWSB10, mqtt", "mqtt")] {
            let answer = accept(&request(offered).body(()).unwrap()).unwrap();
            assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
            assert_eq!(answer.headers()["sec-websocket-protocol"], repeated);
            // The example of RFC 6455.
            assert_eq!(answer.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
            assert!(!answer.headers().contains_key("sec-websocket-extensions"));
        }
    }

    #[test]
    fn what_is_no_websocket_for_mqtt_is_refused() {
        assert!(accept(&request("AMQPWSB10").body(()).unwrap()).is_err());
        assert!(accept(&request("mqttx").body(()).unwrap()).is_err());
        for missing in [
            "upgrade",
            "connection",
            "sec-websocket-key",
            "sec-websocket-version",
            "sec-websocket-protocol",
        ] {
            let mut request = request("mqtt").body(()).unwrap();
            request.headers_mut().remove(missing);
            assert!(accept(&request).is_err(), "{missing}");
        }
        let mut post = request("mqtt").body(()).unwrap();
        *post.method_mut() = Method::POST;
        assert!(accept(&post).is_err());
    }

    #[test]
    fn the_path_is_found_in_any_case() {
        let path = |segments: [&str; 2]| segments.map(str::to_owned);
        assert!(is_meant(&path(["$iothub", "websocket"])));
        assert!(is_meant(&path(["$IoTHub", "WebSocket"])));
        assert!(!is_meant(&path(["iothub", "websocket"])));
        assert!(!is_meant(&[]));
    }
}
