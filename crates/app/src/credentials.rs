//! The only keychain code: connection strings of saved hubs, in the operating system's keychain.
//! Without one they live in memory until the application ends, and the person is told.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hub_protocol::Secret;
use keyring::{Entry, Error};

use crate::{
    error::{AppError, Code, Result},
    view::{KeychainState, SecretPlace},
};

/// The name under which the keychain lists our entries.
const SERVICE: &str = "Twindeck";

/// The window waits for the first question, and nobody is asked for a password by it.
const PROBE: Duration = Duration::from_secs(3);

/// Long enough for a person to type the keychain's password; a keychain may also never answer.
const ANSWER: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Credentials {
    session: Mutex<HashMap<String, Secret>>,
}

/// The keychain's own threads must not be the runtime's: its Linux store starts a runtime.
async fn off_thread<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> keyring::Result<T> + Send + 'static,
) -> Result<keyring::Result<T>> {
    let failed = |error| AppError::new(Code::Keychain, "The keychain failed.").details(error);
    match tokio::time::timeout(limit, tokio::task::spawn_blocking(work)).await {
        Ok(answer) => answer.map_err(failed),
        Err(_) => Err(silent(limit)),
    }
}

fn silent(limit: Duration) -> AppError {
    AppError::new(
        Code::Keychain,
        format!("The keychain did not answer within {} seconds.", limit.as_secs()),
    )
    .hint("Unlock the keychain and try again.")
}

fn entry(hub_id: &str) -> keyring::Result<Entry> {
    Entry::new(SERVICE, &format!("hub {hub_id}"))
}

/// What the person reads; the library's errors name no secret.
fn explain(error: &Error) -> String {
    let why = match error {
        Error::NoStorageAccess(_) => "The system's keychain is locked",
        _ => "No keychain was found on this system",
    };
    format!(
        "{why}, so connection strings are kept in memory until Twindeck closes. To keep them, unlock or install one, for example GNOME Keyring or KWallet."
    )
}

impl Credentials {
    /// Asks the keychain for something it does not have.
    pub async fn probe(&self) -> KeychainState {
        let asked = off_thread(PROBE, || match entry("probe")?.get_password() {
            Ok(_) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(error),
        });
        match asked.await {
            Ok(Ok(())) => KeychainState {
                available: true,
                message: None,
            },
            Ok(Err(error)) => {
                tracing::info!("no keychain: {error}");
                KeychainState {
                    available: false,
                    message: Some(explain(&error)),
                }
            }
            Err(error) => KeychainState {
                available: false,
                message: Some(format!(
                    "{} Connection strings are kept in memory until Twindeck closes.",
                    error.message
                )),
            },
        }
    }

    fn session(&self) -> std::sync::MutexGuard<'_, HashMap<String, Secret>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a connection string as safely as this system can, and says where.
    pub async fn keep(&self, hub_id: &str, secret: &Secret) -> Result<SecretPlace> {
        let (id, text) = (hub_id.to_owned(), secret.clone());
        let mut storing = tokio::task::spawn_blocking(move || entry(&id)?.set_password(text.expose()));
        let why = match tokio::time::timeout(ANSWER, &mut storing).await {
            Ok(Ok(Ok(()))) => return Ok(SecretPlace::Keychain),
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(panicked)) => panicked.to_string(),
            Err(_) => {
                // What is stored after all would belong to a hub that is not saved.
                let id = hub_id.to_owned();
                tokio::spawn(async move {
                    if matches!(storing.await, Ok(Ok(()))) {
                        let _ = off_thread(ANSWER, move || entry(&id)?.delete_credential()).await;
                    }
                });
                silent(ANSWER).message
            }
        };
        tracing::info!("the keychain did not take an entry: {why}");
        self.session().insert(hub_id.to_owned(), secret.clone());
        Ok(SecretPlace::Session)
    }

    pub async fn find(&self, hub_id: &str) -> Result<Secret> {
        if let Some(secret) = self.session().get(hub_id) {
            return Ok(secret.clone());
        }
        let id = hub_id.to_owned();
        match off_thread(ANSWER, move || entry(&id)?.get_password()).await? {
            Ok(text) => Ok(Secret::new(text)),
            Err(Error::NoEntry) => Err(AppError::new(
                Code::Keychain,
                "The keychain no longer has this hub's connection string.",
            )
            .hint("Forget the hub and paste its connection string again.")),
            Err(error) => Err(AppError::new(
                Code::Keychain,
                "The keychain did not give this hub's connection string.",
            )
            .hint("Unlock the keychain and try again.")
            .details(error)),
        }
    }

    pub async fn forget(&self, hub_id: &str) -> Result<()> {
        if self.session().remove(hub_id).is_some() {
            return Ok(());
        }
        let id = hub_id.to_owned();
        match off_thread(ANSWER, move || entry(&id)?.delete_credential()).await? {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(AppError::new(
                Code::Keychain,
                "The keychain did not remove this hub's connection string.",
            )
            .hint("Unlock the keychain and try again.")
            .details(error)),
        }
    }
}
