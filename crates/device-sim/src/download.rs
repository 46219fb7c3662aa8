//! Downloads of firmware packages: streamed, counted, hashed, never kept.

use std::fmt::Write as _;

use reqwest::Url;
use sha2::{Digest, Sha256};

const MAX_SIZE: u64 = 2 * 1024 * 1024 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) size: u64,
    /// Lower-case hexadecimal.
    pub(crate) sha256: String,
}

/// What a failed update reports as its `code`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DownloadError {
    #[error("the server answered {0}")]
    HttpStatus(u16),
    #[error("the server cannot be reached")]
    Unreachable,
    #[error("the server's answer took too long")]
    TimedOut,
    #[error("the download broke off after {received} bytes{}", of(*.announced))]
    CutShort { received: u64, announced: Option<u64> },
    #[error("the package is empty")]
    Empty,
    #[error("the package is larger than {MAX_SIZE} bytes")]
    TooLarge,
}

fn of(announced: Option<u64>) -> String {
    announced.map(|size| format!(" of {size}")).unwrap_or_default()
}

impl DownloadError {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::HttpStatus(404) => "notFound",
            Self::HttpStatus(_) => "httpStatus",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timedOut",
            Self::CutShort { .. } => "cutShort",
            Self::Empty => "empty",
            Self::TooLarge => "tooLarge",
        }
    }
}

/// `received` is told of every piece.
pub(crate) async fn download(
    http: &reqwest::Client,
    url: Url,
    received: impl Fn(u64),
) -> Result<Package, DownloadError> {
    let failed = |error: &reqwest::Error| {
        if error.is_timeout() {
            DownloadError::TimedOut
        } else {
            DownloadError::Unreachable
        }
    };
    let mut response = http.get(url).send().await.map_err(|error| failed(&error))?;
    if !response.status().is_success() {
        return Err(DownloadError::HttpStatus(response.status().as_u16()));
    }
    let announced = response.content_length();
    let mut size = 0;
    let mut hash = Sha256::new();
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(error) if error.is_timeout() => return Err(DownloadError::TimedOut),
            Err(_) => {
                return Err(DownloadError::CutShort {
                    received: size,
                    announced,
                });
            }
        };
        size += chunk.len() as u64;
        received(chunk.len() as u64);
        if size > MAX_SIZE {
            return Err(DownloadError::TooLarge);
        }
        hash.update(&chunk);
    }
    if announced.is_some_and(|announced| announced != size) {
        return Err(DownloadError::CutShort {
            received: size,
            announced,
        });
    }
    if size == 0 {
        return Err(DownloadError::Empty);
    }
    let sha256 = hash
        .finalize()
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
    Ok(Package { size, sha256 })
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    async fn fetch(answer: &'static str) -> Result<Package, DownloadError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/fw.bin", listener.local_addr().unwrap())).unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let http = crate::fleet::download_client(tls).unwrap();
        let outcome = download(&http, url, |_| {}).await;
        server.await.unwrap();
        outcome
    }

    #[tokio::test]
    async fn a_package_is_counted_and_hashed() {
        let package = fetch("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc").await.unwrap();
        assert_eq!(package.size, 3);
        assert_eq!(
            package.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[tokio::test]
    async fn each_failure_has_its_own_code() {
        let code = async |answer| fetch(answer).await.unwrap_err().code();
        assert_eq!(
            code("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await,
            "notFound"
        );
        assert_eq!(code("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await, "empty");
        assert_eq!(
            code("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").await,
            "cutShort"
        );
        assert_eq!(code("").await, "unreachable");
    }
}
