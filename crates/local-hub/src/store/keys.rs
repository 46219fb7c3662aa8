//! New keys for identities that have keys.

use hub_protocol::{
    ClientId, ErrorCode, HubError,
    identity::{
        AuthenticationType, KeyOwner, KeyRegenerationError, KeyRegenerationResult, PolicyKey, RotatedKeys, SymmetricKey,
    },
};

use super::{Transaction, bulk, devices, identities::credentials, policies::random_key};
use crate::error::StoreError;

impl Transaction<'_> {
    /// At most 100 identities; the good ones get their keys even where others fail.
    pub(crate) fn regenerate_keys(
        &mut self,
        policy_key: PolicyKey,
        owners: &[KeyOwner],
    ) -> Result<KeyRegenerationResult, StoreError> {
        bulk::check(owners.iter().map(KeyOwner::client_id))?;
        let (mut rotated_keys, mut errors) = (Vec::new(), Vec::new());
        for owner in owners {
            let owner = owner.clone();
            match self.alone(|transaction| transaction.rotate(&owner.client_id(), policy_key))? {
                Ok(keys) => rotated_keys.push(RotatedKeys { owner, keys }),
                Err(error) => errors.push(KeyRegenerationError {
                    owner,
                    error_code: error.code.name().into(),
                    error_status: error.message,
                }),
            }
        }
        Ok(KeyRegenerationResult {
            policy_key,
            rotated_keys,
            errors,
        })
    }

    fn rotate(&mut self, id: &ClientId, which: PolicyKey) -> Result<SymmetricKey, StoreError> {
        let Some(found) = credentials(self.sql, id)? else {
            devices::get(self.sql, id.device_str())?;
            return Err(HubError::client_not_found(id).into());
        };
        let mut authentication = found.authentication;
        if authentication.kind != AuthenticationType::Sas {
            let text = format!("{id} does not connect with keys.");
            return Err(HubError::new(ErrorCode::ArgumentInvalid, text).into());
        }
        let fresh = SymmetricKey::from_keys(&random_key()?, &random_key()?);
        let keys = &mut authentication.symmetric_key;
        if which != PolicyKey::Secondary {
            keys.primary_key = fresh.primary_key;
        }
        if which != PolicyKey::Primary {
            keys.secondary_key = fresh.secondary_key;
        }
        self.sql
            .prepare_cached(
                "UPDATE identities SET etag = etag + 1, authentication = ?3 WHERE device_id = ?1 AND module_id = ?2",
            )?
            .execute([
                id.device_str(),
                id.module_str(),
                &serde_json::to_string(&authentication)?,
            ])?;
        self.tell_identity(id, false)?;
        Ok(authentication.symmetric_key)
    }
}
