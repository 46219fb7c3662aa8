//! The application's own package server: HTTP on loopback, read-only, with range requests so
//! that a device can go on with a download that was cut off.

use std::{convert::Infallible, io::SeekFrom, net::Ipv4Addr, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
    net::TcpListener,
    sync::Semaphore,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::error::{AppError, Code, Result};

const CONNECTIONS: usize = 4096;
const CHUNK: usize = 64 * 1024;

type Body = BoxBody<Bytes, std::io::Error>;

/// Serves the folder until dropped.
pub struct PackageServer {
    port: u16,
    _stop: DropGuard,
}

impl PackageServer {
    /// Listens on any free port of 127.0.0.1 and serves `dir/{sha256}` as `/{sha256}/{name}`.
    pub async fn start(dir: PathBuf) -> Result<Self> {
        let failed = |error: std::io::Error| {
            AppError::new(Code::PortInUse, format!("The package server could not start: {error}."))
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let stop = CancellationToken::new();
        tokio::spawn(accept(listener, Arc::new(dir), stop.clone()));
        Ok(Self {
            port,
            _stop: stop.drop_guard(),
        })
    }

    /// What a device downloads. Good on this machine, while the application runs.
    pub fn uri(&self, sha256: &str, name: &str) -> String {
        let name = name.chars().map(|c| {
            if c.is_ascii_alphanumeric() || "-._".contains(c) {
                c
            } else {
                '_'
            }
        });
        format!("http://127.0.0.1:{}/{sha256}/{}", self.port, name.collect::<String>())
    }
}

async fn accept(listener: TcpListener, dir: Arc<PathBuf>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((socket, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (dir, stop) = (dir.clone(), stop.clone());
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(|request| serve(dir.clone(), request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(30))
                .serve_connection(TokioIo::new(socket), service);
            tokio::select! {
                () = stop.cancelled() => {}
                // A device that goes away in the middle is everyday life.
                _ = connection => {}
            }
        });
    }
}

async fn serve(dir: Arc<PathBuf>, request: Request<Incoming>) -> std::result::Result<Response<Body>, Infallible> {
    let answer = answer(&dir, &request).await;
    Ok(answer.unwrap_or_else(|status| {
        let mut response = Response::new(empty());
        *response.status_mut() = status;
        response
    }))
}

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed()
}

async fn answer(dir: &std::path::Path, request: &Request<Incoming>) -> std::result::Result<Response<Body>, StatusCode> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    // Only a hash leads to a file, so no path can leave the folder.
    let hash = request.uri().path().split('/').nth(1).unwrap_or_default();
    if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(StatusCode::NOT_FOUND);
    }
    let mut file = File::open(dir.join(hash)).await.map_err(|_| StatusCode::NOT_FOUND)?;
    let size = file
        .metadata()
        .await
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?
        .len();
    let wanted = request
        .headers()
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok());
    let range = match wanted.map(|text| parse_range(text, size)) {
        None | Some(Range::Ignored) => None,
        Some(Range::Unsatisfiable) => {
            let mut response = Response::new(empty());
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            insert(&mut response, header::CONTENT_RANGE, &format!("bytes */{size}"));
            return Ok(response);
        }
        Some(Range::Bytes { from, to }) => Some((from, to)),
    };
    let (from, length) = range.map_or((0, size), |(from, to)| (from, to - from + 1));
    let body = if request.method() == Method::HEAD {
        empty()
    } else {
        file.seek(SeekFrom::Start(from))
            .await
            .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        stream(file, length)
    };
    let mut response = Response::new(body);
    insert(&mut response, header::CONTENT_LENGTH, &length.to_string());
    insert(&mut response, header::CONTENT_TYPE, "application/octet-stream");
    insert(&mut response, header::ACCEPT_RANGES, "bytes");
    insert(&mut response, header::ETAG, &format!("\"{hash}\""));
    if let Some((from, to)) = range {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        insert(
            &mut response,
            header::CONTENT_RANGE,
            &format!("bytes {from}-{to}/{size}"),
        );
    }
    Ok(response)
}

fn insert(response: &mut Response<Body>, name: header::HeaderName, value: &str) {
    if let Ok(value) = header::HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn stream(file: File, length: u64) -> Body {
    let chunks = futures_util::stream::unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return None;
        }
        let mut chunk = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
        match file.read(&mut chunk).await {
            // A file cut short under us: end early, so that the device sees too few bytes.
            Ok(0) => None,
            Ok(read) => {
                chunk.truncate(read);
                Some((Ok(Frame::data(chunk.into())), (file, left - read as u64)))
            }
            Err(error) => Some((Err(error), (file, 0))),
        }
    });
    BodyExt::boxed(StreamBody::new(chunks))
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// Several ranges, or not in bytes: the whole file is a legal answer.
    Ignored,
    Unsatisfiable,
    /// Both ends included.
    Bytes {
        from: u64,
        to: u64,
    },
}

fn parse_range(text: &str, size: u64) -> Range {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Range::Ignored;
    };
    let bounds = match (first.trim().parse::<u64>(), last.trim()) {
        (Ok(from), "") => Some((from, size.saturating_sub(1))),
        (Ok(from), last) => last
            .parse::<u64>()
            .ok()
            .map(|to| (from, to.min(size.saturating_sub(1)))),
        (Err(_), last) if first.trim().is_empty() => last
            .parse::<u64>()
            .ok()
            .map(|count| (size.saturating_sub(count), size.saturating_sub(1))),
        _ => None,
    };
    match bounds {
        None => Range::Ignored,
        Some((from, to)) if from > to || from >= size => Range::Unsatisfiable,
        Some((from, to)) => Range::Bytes { from, to },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Range, parse_range};

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        assert_eq!(parse_range("bytes=0-4", 10), Range::Bytes { from: 0, to: 4 });
        assert_eq!(parse_range("bytes=5-", 10), Range::Bytes { from: 5, to: 9 });
        assert_eq!(parse_range("bytes=-3", 10), Range::Bytes { from: 7, to: 9 });
        assert_eq!(parse_range("bytes=5-99", 10), Range::Bytes { from: 5, to: 9 });
        assert_eq!(parse_range("bytes=10-", 10), Range::Unsatisfiable);
        assert_eq!(parse_range("bytes=0-1,3-4", 10), Range::Ignored);
        assert_eq!(parse_range("lines=1-2", 10), Range::Ignored);
    }

    proptest! {
        #[test]
        fn a_range_never_leaves_the_file(text in "bytes=[0-9]{0,4}-[0-9]{0,4}", size in 0..2000_u64) {
            if let Range::Bytes { from, to } = parse_range(&text, size) {
                prop_assert!(from <= to && to < size);
            }
        }
    }
}
