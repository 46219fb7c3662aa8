//! Blob containers as folders.
//!
//! A container URI such as `https://account.blob.core.windows.net/exports?sig=…` means the folder
//! `containers/account.blob.core.windows.net/exports` of the hub's data folder, and nothing can
//! mean any other place: whoever may write the registry must not be able to write elsewhere on
//! this disk. The URI's query, a signature, is not looked at and not kept.

use std::{
    io,
    path::{Path, PathBuf},
};

use hub_protocol::{ErrorCode, HubError};
use tokio::{
    fs::{self, File, OpenOptions},
    io::{AsyncWriteExt, BufWriter},
};

use crate::config::make_private_dir;

fn invalid(text: impl Into<String>) -> HubError {
    HubError::new(ErrorCode::BlobContainerValidationError, text)
}

/// A file in a container.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    path: PathBuf,
}

impl Blob {
    /// `root` is the folder of all containers.
    pub(crate) fn new(root: &Path, container_uri: &str, name: &str) -> Result<Self, HubError> {
        if !is_name(name, 255) {
            return Err(invalid(
                "A blob name has letters, digits, and - _ . within it, and no folders.",
            ));
        }
        Ok(Self {
            path: root.join(folder(container_uri)?).join(name),
        })
    }

    pub(crate) async fn open(&self) -> Result<File, HubError> {
        File::open(&self.path)
            .await
            .map_err(|error| invalid(format!("{} cannot be read: {error}", self.path.display())))
    }

    /// Makes the container where it is missing, and forgets what the blob held.
    pub(crate) async fn prepare(&self) -> Result<(), HubError> {
        let unusable = |error: io::Error| invalid(format!("{} cannot be written: {error}", self.path.display()));
        let folder = self.path.parent().map(Path::to_owned).unwrap_or_default();
        make_private_dir(&folder).map_err(unusable)?;
        match fs::remove_file(&self.path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(error)),
            _ => Ok(()),
        }
    }

    /// Keys may be in it, so only the owner may read it. It has its name once it is whole.
    pub(crate) async fn write(&self) -> io::Result<BlobWriter> {
        let mut part = self.path.clone().into_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true);
        #[cfg(unix)]
        options.mode(0o600);
        Ok(BlobWriter {
            file: BufWriter::new(options.open(&part).await?),
            part,
            path: self.path.clone(),
        })
    }
}

pub(crate) struct BlobWriter {
    file: BufWriter<File>,
    part: PathBuf,
    path: PathBuf,
}

impl BlobWriter {
    pub(crate) async fn line(&mut self, line: &[u8]) -> io::Result<()> {
        self.file.write_all(line).await?;
        self.file.write_all(b"\n").await
    }

    pub(crate) async fn finish(mut self) -> io::Result<()> {
        self.file.flush().await?;
        self.file.get_ref().sync_all().await?;
        fs::rename(&self.part, &self.path).await
    }
}

/// The folder of a container, below that of all containers.
fn folder(container_uri: &str) -> Result<PathBuf, HubError> {
    let refuse = || {
        invalid(
            "A container is named like https://account.blob.core.windows.net/container; \
             this hub keeps it as a folder of its own.",
        )
    };
    let uri: http::Uri = container_uri.trim().parse().map_err(|_| refuse())?;
    if !matches!(uri.scheme_str(), Some("https" | "http")) {
        return Err(refuse());
    }
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let host = match uri.port_u16() {
        Some(port) => format!("{host}_{port}"),
        None => host,
    };
    let path = uri.path().strip_prefix('/').unwrap_or_default();
    let segments: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
    let named = is_name(&host, 255) && matches!(segments.len(), 1 | 2) && segments.iter().all(|name| is_name(name, 63));
    if named {
        Ok([host.as_str()].into_iter().chain(segments).collect())
    } else {
        Err(refuse())
    }
}

/// A name that is one file or folder on every system, hidden on none, and never `..`.
fn is_name(name: &str, longest: usize) -> bool {
    let within = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '$');
    !name.is_empty()
        && name.len() <= longest
        && name.chars().all(within)
        && !name.starts_with('.')
        && !name.ends_with('.')
}

#[cfg(test)]
mod tests {
    use std::path::Component;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_container_is_a_folder_named_after_its_account() {
        let path = |uri: &str| folder(uri).unwrap();
        assert_eq!(
            path("https://Acc.blob.core.windows.net/exports?sv=1&sig=a%2Fb"),
            Path::new("acc.blob.core.windows.net/exports")
        );
        assert_eq!(
            path("http://127.0.0.1:10000/devstoreaccount1/c/"),
            Path::new("127.0.0.1_10000/devstoreaccount1/c")
        );
    }

    #[test]
    fn no_container_lies_elsewhere() {
        for uri in [
            "file:///etc",
            "/etc",
            "exports",
            "https://a/..",
            "https://a/../b",
            "https://a/%2e%2e",
            "https://a/b/c/d",
            "https://a/",
            "https://a//b",
            "https://../b",
            "https://a/.hidden",
            "https://a/b\\c",
        ] {
            assert_eq!(
                folder(uri).unwrap_err().code,
                ErrorCode::BlobContainerValidationError,
                "{uri}"
            );
        }
        for name in ["", "..", "a/b", "a\\b", ".x", "C:", "a\0"] {
            assert!(Blob::new(Path::new("/r"), "https://a/b", name).is_err(), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_lies_below_the_root(uri in "https?://[!-~]{1,40}", name in "[ -~]{1,20}") {
            if let Ok(blob) = Blob::new(Path::new("/root/containers"), &uri, &name) {
                prop_assert!(blob.path.starts_with("/root/containers"));
                prop_assert!(blob.path.components().all(|part| part != Component::ParentDir));
            }
        }
    }
}
