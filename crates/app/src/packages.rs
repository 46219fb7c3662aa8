//! Firmware packages: taken in once, named by their SHA-256, never changed after.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::error::{AppError, Code, Result};

/// A package may have this many bytes.
pub const MAX_SIZE: u64 = 1024 * 1024 * 1024;

/// A package that was taken into a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    pub name: String,
    pub sha256: String,
    pub size: u64,
}

/// Copies `file` into `dir` as `{sha256}`, hashing it on the way. Refuses what is missing, empty
/// or too large; a failure leaves nothing behind.
pub async fn import(file: &Path, dir: &Path) -> Result<Imported> {
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let unreadable = |error: std::io::Error| {
        AppError::new(
            Code::InvalidInput,
            format!("The package {} cannot be read: {error}.", file.display()),
        )
        .hint("Choose a file that exists and that you may read.")
    };
    let mut source = tokio::fs::File::open(file).await.map_err(unreadable)?;
    if source.metadata().await.map_err(unreadable)?.is_dir() {
        return Err(
            AppError::invalid(format!("{} is a folder, not a package.", file.display())).hint("Choose the file in it."),
        );
    }
    tokio::fs::create_dir_all(dir).await.map_err(unwritable(dir))?;
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| AppError::new(Code::Internal, error.to_string()))?;
    let partial = Partial(dir.join(format!("{}.part", hex(&random))));
    let mut target = tokio::fs::File::create(&partial.0).await.map_err(unwritable(dir))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut size = 0;
    loop {
        let read = source.read(&mut buffer).await.map_err(unreadable)?;
        if read == 0 {
            break;
        }
        size += read as u64;
        if size > MAX_SIZE {
            return Err(
                AppError::invalid("The package is larger than 1 GiB.").hint("Serve it yourself and give its URI.")
            );
        }
        hasher.update(&buffer[..read]);
        target.write_all(&buffer[..read]).await.map_err(unwritable(dir))?;
    }
    if size == 0 {
        return Err(AppError::invalid(format!("The package {} is empty.", file.display()))
            .hint("Choose a file that holds the firmware."));
    }
    target.sync_all().await.map_err(unwritable(dir))?;
    let sha256 = hex(&hasher.finalize());
    tokio::fs::rename(&partial.0, dir.join(&sha256))
        .await
        .map_err(unwritable(dir))?;
    Ok(Imported { name, sha256, size })
}

/// A package of 256 KiB made here, the same every time, to try an update without firmware.
pub async fn import_sample(dir: &Path) -> Result<Imported> {
    let folder = tokio::task::spawn_blocking(std::env::temp_dir)
        .await
        .unwrap_or_else(|_| PathBuf::from("."));
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| AppError::new(Code::Internal, error.to_string()))?;
    let file = Partial(folder.join(format!("twindeck-sample-{}", hex(&random))));
    let line = b"Twindeck sample firmware. It does nothing, and devices install it gladly.\n";
    let bytes: Vec<u8> = line.iter().copied().cycle().take(256 * 1024).collect();
    tokio::fs::write(&file.0, bytes).await.map_err(unwritable(&folder))?;
    let imported = import(&file.0, dir).await?;
    Ok(Imported {
        name: "sample-firmware.bin".into(),
        ..imported
    })
}

fn unwritable(dir: &Path) -> impl Fn(std::io::Error) -> AppError + '_ {
    move |error| {
        AppError::new(
            Code::Storage,
            format!("The folder {} cannot be written: {error}.", dir.display()),
        )
        .hint("Check that the disk has room and the folder can be written.")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Removed when dropped, unless it was renamed away.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // Gone already is the usual case.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_package_is_hashed_and_kept_under_its_hash() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("fw.bin");
        std::fs::write(&file, b"abc").unwrap();
        let imported = import(&file, &dir.path().join("store")).await.unwrap();
        assert_eq!(
            imported.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            std::fs::read(dir.path().join("store").join(&imported.sha256)).unwrap(),
            b"abc"
        );
    }

    #[tokio::test]
    async fn missing_and_empty_files_are_refused_and_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        let empty = dir.path().join("empty.bin");
        std::fs::write(&empty, b"").unwrap();
        assert!(
            import(&dir.path().join("missing"), &store)
                .await
                .unwrap_err()
                .message
                .contains("cannot be read")
        );
        assert!(import(&empty, &store).await.unwrap_err().message.contains("is empty"));
        assert_eq!(std::fs::read_dir(&store).unwrap().count(), 0);
    }
}
