//! One kept-alive HTTPS connection to the hub. By hand, so that the caller costs little beside
//! the server: the two share the processors.

use bytes::{Bytes, BytesMut};
use hub_protocol::API_VERSION;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use crate::{Result, mqtt::dial, server::Server};

const READ: usize = 4096;

pub(crate) struct Https {
    stream: TlsStream<TcpStream>,
    token: String,
    incoming: BytesMut,
}

impl Https {
    pub(crate) async fn open(hub: &Server) -> Result<Self> {
        let service = hub.service.as_ref().ok_or("only the hub speaks HTTPS")?;
        Ok(Self {
            stream: dial(hub, service.port).await?,
            token: service.token.clone(),
            incoming: BytesMut::new(),
        })
    }

    /// A request as it goes over the wire; it may be sent many times.
    pub(crate) fn request(&self, method: &str, path: &str, body: &Value) -> String {
        let (token, body) = (&self.token, body.to_string());
        format!(
            "{method} {path}?api-version={API_VERSION} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n\
             Content-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// Sends a request and returns the answer's status and body.
    pub(crate) async fn call(&mut self, request: &str) -> Result<(u16, Bytes)> {
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.flush().await?;
        loop {
            if let Some((status, start, length)) = head(&self.incoming)?
                && self.incoming.len() >= start + length
            {
                let answer = self.incoming.split_to(start + length).freeze();
                return Ok((status, answer.slice(start..)));
            }
            self.incoming.reserve(READ);
            if self.stream.read_buf(&mut self.incoming).await? == 0 {
                return Err("the hub closed an HTTPS connection".into());
            }
        }
    }
}

/// Status, where the body starts, and its length; `None` until the head is whole.
fn head(bytes: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let mut lines = std::str::from_utf8(&bytes[..end])?.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.ok_or("an answer has no status")?.parse()?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .ok_or("an answer has no length")?;
    Ok(Some((status, end + 4, length.1.trim().parse()?)))
}
