//! Downloads of firmware packages: streamed, counted, hashed, never kept. One that breaks off goes
//! on where it stopped, if the server says that the package is still the same.

use std::{fmt::Write as _, future::Future, num::NonZeroU64, time::Duration};

use reqwest::{
    Response, StatusCode, Url,
    header::{CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, LAST_MODIFIED, RANGE},
};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep, sleep_until};

const MAX_SIZE: u64 = 2 * 1024 * 1024 * 1024;
/// Attempts after the first.
const MAX_RESUMES: u32 = 5;

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

/// The device's way to the server, with what its faults make of it.
pub(crate) trait Line: Sync {
    /// Asked at the beginning of each attempt.
    fn attempt(&self) -> Attempt;
    /// Told of every piece that came.
    fn received(&self, bytes: u64);
    /// Completes once the device has a network.
    fn up(&self) -> impl Future<Output = ()> + Send;
    /// Completes once it has none.
    fn down(&self) -> impl Future<Output = ()> + Send;
    /// How long to wait before the given attempt, 1 being the first that resumes.
    fn pause(&self, attempt: u32) -> Duration;
}

/// What is wrong with an attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) bytes_per_second: Option<NonZeroU64>,
    /// Breaks off after so many bytes.
    pub(crate) cut_after: Option<u64>,
}

/// What came so far, over all attempts.
#[derive(Default)]
struct Progress {
    size: u64,
    hash: Sha256,
    /// Proves that the package has not changed meanwhile.
    validator: Option<String>,
    announced: Option<u64>,
}

pub(crate) async fn download(http: &reqwest::Client, url: Url, line: &impl Line) -> Result<Package, DownloadError> {
    let mut progress = Progress::default();
    let mut resumes = 0;
    loop {
        line.up().await;
        let attempt = Box::pin(progress.attempt(http, url.clone(), line));
        let error = tokio::select! {
            done = attempt => match done {
                Ok(()) => return progress.finish(),
                Err(error) => error,
            },
            () = line.down() => progress.cut(),
        };
        // A server that was never reached is not worth waiting for.
        let is_worth_another = match error {
            DownloadError::CutShort { .. } => true,
            DownloadError::Unreachable | DownloadError::TimedOut => resumes > 0 || progress.size > 0,
            _ => false,
        };
        if !is_worth_another || resumes == MAX_RESUMES {
            return Err(error);
        }
        resumes += 1;
        sleep(line.pause(resumes)).await;
    }
}

impl Progress {
    async fn attempt(&mut self, http: &reqwest::Client, url: Url, line: &impl Line) -> Result<(), DownloadError> {
        let limits = line.attempt();
        if self.validator.is_none() {
            *self = Self::default();
        }
        let mut request = http.get(url);
        if self.size > 0
            && let Some(validator) = &self.validator
        {
            request = request
                .header(RANGE, format!("bytes={}-", self.size))
                .header(IF_RANGE, validator);
        }
        let response = request.send().await.map_err(|error| failed(&error))?;
        self.begin(&response)?;
        self.read(response, limits, line).await
    }

    /// Decides by the answer's head whether to go on or to start over.
    fn begin(&mut self, response: &Response) -> Result<(), DownloadError> {
        match response.status() {
            StatusCode::PARTIAL_CONTENT if self.size > 0 => {
                if range_start(response.headers()) == Some(self.size) {
                    return Ok(());
                }
                *self = Self::default();
                Err(self.cut())
            }
            // What was downloaded is longer than what there is now.
            StatusCode::RANGE_NOT_SATISFIABLE if self.size > 0 => {
                *self = Self::default();
                Err(self.cut())
            }
            StatusCode::PARTIAL_CONTENT => Err(DownloadError::HttpStatus(206)),
            status if status.is_success() => {
                *self = Self {
                    validator: validator(response.headers()),
                    announced: response.content_length(),
                    ..Self::default()
                };
                Ok(())
            }
            status => Err(DownloadError::HttpStatus(status.as_u16())),
        }
    }

    async fn read(&mut self, mut response: Response, limits: Attempt, line: &impl Line) -> Result<(), DownloadError> {
        let began = Instant::now();
        let mut here = 0_u64;
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) if error.is_timeout() => return Err(DownloadError::TimedOut),
                Err(_) => return Err(self.cut()),
            };
            let left = limits.cut_after.map_or(u64::MAX, |limit| limit - here);
            let taken = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            here += taken as u64;
            self.size += taken as u64;
            self.hash.update(&chunk[..taken]);
            line.received(taken as u64);
            if self.size > MAX_SIZE {
                return Err(DownloadError::TooLarge);
            }
            if taken < chunk.len() {
                return Err(self.cut());
            }
            if let Some(pace) = limits.bytes_per_second {
                sleep_until(began + Duration::from_millis(here.saturating_mul(1000) / pace)).await;
            }
        }
        if self.announced.is_some_and(|announced| announced != self.size) {
            return Err(self.cut());
        }
        Ok(())
    }

    fn cut(&self) -> DownloadError {
        DownloadError::CutShort {
            received: self.size,
            announced: self.announced,
        }
    }

    fn finish(self) -> Result<Package, DownloadError> {
        if self.size == 0 {
            return Err(DownloadError::Empty);
        }
        let sha256 = self
            .hash
            .finalize()
            .iter()
            .fold(String::with_capacity(64), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            });
        Ok(Package {
            size: self.size,
            sha256,
        })
    }
}

fn failed(error: &reqwest::Error) -> DownloadError {
    if error.is_timeout() {
        DownloadError::TimedOut
    } else {
        DownloadError::Unreachable
    }
}

/// `If-Range` takes a strong entity tag, or the date.
fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let strong = text(ETAG).filter(|tag| tag.starts_with('"'));
    strong.or_else(|| text(LAST_MODIFIED)).map(str::to_owned)
}

fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    };

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        task::JoinHandle,
    };

    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    /// A network that is always there and does to each attempt what was prepared.
    #[derive(Default)]
    struct Prepared {
        attempts: Mutex<Vec<Attempt>>,
        received: AtomicU64,
    }

    impl Line for Prepared {
        fn attempt(&self) -> Attempt {
            let mut attempts = self.attempts.lock().unwrap();
            if attempts.is_empty() {
                Attempt::default()
            } else {
                attempts.remove(0)
            }
        }

        fn received(&self, bytes: u64) {
            self.received.fetch_add(bytes, Ordering::Relaxed);
        }

        async fn up(&self) {}

        async fn down(&self) {
            std::future::pending().await
        }

        fn pause(&self, _: u32) -> Duration {
            Duration::ZERO
        }
    }

    struct Server {
        url: Url,
        /// What each request said.
        requests: JoinHandle<Vec<String>>,
    }

    /// Gives each answer to one connection, and cuts it.
    async fn serve(answers: Vec<String>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/fw.bin", listener.local_addr().unwrap())).unwrap();
        let requests = tokio::spawn(async move {
            let mut requests = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap();
                requests.push(String::from_utf8_lossy(&request[..length]).to_lowercase());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            requests
        });
        Server { url, requests }
    }

    fn client() -> reqwest::Client {
        let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        crate::fleet::download_client(tls).unwrap()
    }

    async fn fetch_over(line: &Prepared, answers: &[&str]) -> (Result<Package, DownloadError>, Vec<String>) {
        let server = serve(answers.iter().map(|answer| (*answer).to_owned()).collect()).await;
        let outcome = download(&client(), server.url, line).await;
        (outcome, server.requests.await.unwrap())
    }

    async fn fetch(answers: &[&str]) -> (Result<Package, DownloadError>, Vec<String>) {
        fetch_over(&Prepared::default(), answers).await
    }

    #[tokio::test]
    async fn a_package_is_counted_and_hashed() {
        let package = fetch(&["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"])
            .await
            .0
            .unwrap();
        assert_eq!((package.size, package.sha256.as_str()), (3, ABC));
    }

    #[tokio::test]
    async fn each_failure_has_its_own_code() {
        let code = async |answer| fetch(&[answer]).await.0.unwrap_err().code();
        let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(code(missing).await, "notFound");
        assert_eq!(code("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await, "empty");
        assert_eq!(code("").await, "unreachable");
        let surplus = "HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\na";
        assert_eq!(code(surplus).await, "httpStatus");
    }

    #[tokio::test]
    async fn a_cut_download_goes_on_where_it_stopped() {
        let (package, requests) = fetch(&[
            "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 3\r\n\r\na",
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 1-2/3\r\nContent-Length: 2\r\n\r\nb",
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-2/3\r\nContent-Length: 1\r\n\r\nc",
        ])
        .await;
        assert_eq!(package.unwrap().sha256, ABC, "the hash is over the whole");
        assert!(!requests[0].contains("range"));
        for (request, range) in [(&requests[1], "range: bytes=1-"), (&requests[2], "range: bytes=2-")] {
            assert!(
                request.contains(range) && request.contains("if-range: \"v1\""),
                "{request}"
            );
        }
    }

    #[tokio::test]
    async fn a_date_will_do_where_there_is_no_strong_entity_tag() {
        let date = "Sat, 21 Nov 2026 10:00:00 GMT";
        let first =
            format!("HTTP/1.1 200 OK\r\nETag: W/\"v1\"\r\nLast-Modified: {date}\r\nContent-Length: 3\r\n\r\nab");
        let rest = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-2/3\r\nContent-Length: 1\r\n\r\nc";
        let (package, requests) = fetch(&[&first, rest]).await;
        assert_eq!(package.unwrap().sha256, ABC);
        assert!(
            requests[1].contains(&format!("if-range: {}", date.to_lowercase())),
            "{}",
            requests[1]
        );
    }

    #[tokio::test]
    async fn a_package_that_changed_meanwhile_is_downloaded_anew() {
        let (package, requests) = fetch(&[
            "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 9\r\n\r\nold",
            "HTTP/1.1 200 OK\r\nETag: \"v2\"\r\nContent-Length: 3\r\n\r\nabc",
        ])
        .await;
        assert!(requests[1].contains("if-range: \"v1\""));
        assert_eq!(package.unwrap().sha256, ABC);
    }

    #[tokio::test]
    async fn without_a_validator_it_starts_over() {
        let (package, requests) = fetch(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        ])
        .await;
        assert!(!requests[1].contains("range"));
        assert_eq!(package.unwrap().sha256, ABC);
    }

    #[tokio::test]
    async fn a_range_that_was_not_asked_for_or_is_gone_makes_it_start_over() {
        let begun = "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 3\r\n\r\nab";
        let whole = "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 3\r\n\r\nabc";
        for odd in [
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 1-2/3\r\nContent-Length: 2\r\n\r\nbc",
            "HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\nc",
            "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n",
        ] {
            let (package, requests) = fetch(&[begun, odd, whole]).await;
            assert!(!requests[2].contains("range"), "{odd}");
            assert_eq!(package.unwrap().sha256, ABC, "{odd}");
        }
    }

    #[tokio::test]
    async fn after_five_resumes_it_is_cut_short() {
        let begun = "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 3\r\n\r\na";
        let nothing = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 1-2/3\r\nContent-Length: 2\r\n\r\n";
        let (outcome, requests) = fetch(&[begun, nothing, nothing, nothing, nothing, nothing]).await;
        let expected = DownloadError::CutShort {
            received: 1,
            announced: Some(3),
        };
        assert_eq!(outcome, Err(expected));
        assert_eq!(requests.len(), 6);
    }

    #[tokio::test]
    async fn a_fault_cuts_each_attempt_after_its_bytes() {
        let cut = Attempt {
            cut_after: Some(1),
            ..Attempt::default()
        };
        let line = Prepared {
            attempts: Mutex::new(vec![cut, cut]),
            ..Prepared::default()
        };
        let (package, _) = fetch_over(
            &line,
            &[
                "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 3\r\n\r\nabc",
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 1-2/3\r\nContent-Length: 2\r\n\r\nbc",
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-2/3\r\nContent-Length: 1\r\n\r\nc",
            ],
        )
        .await;
        assert_eq!(package.unwrap().sha256, ABC);
        assert_eq!(line.received.into_inner(), 3, "no byte is counted twice");
    }

    #[tokio::test]
    async fn a_slow_download_takes_its_time() {
        let slow = Attempt {
            bytes_per_second: NonZeroU64::new(100),
            ..Attempt::default()
        };
        let line = Prepared {
            attempts: Mutex::new(vec![slow]),
            ..Prepared::default()
        };
        let body = "x".repeat(20);
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{body}");
        let began = Instant::now();
        let (package, _) = fetch_over(&line, &[&answer]).await;
        assert_eq!(package.unwrap().size, 20);
        assert!(began.elapsed() >= Duration::from_millis(200));
    }
}
