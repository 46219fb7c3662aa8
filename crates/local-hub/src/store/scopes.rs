//! Who is below whom: the scopes of Edge devices and their children (service.md 2.4).

use hub_protocol::{ErrorCode, HubError, identity::DeviceIdentity};

use crate::error::StoreError;

const PREFIX: &str = "ms-azure-iot-edge://";
/// Edge devices above one another at most.
const MAX_NESTING: usize = 16;

/// The Edge device a scope belongs to; its id may itself hold a `-`.
pub(super) fn edge_id(scope: &str) -> Option<&str> {
    scope.strip_prefix(PREFIX)?.rsplit_once('-').map(|(id, _)| id)
}

fn invalid(text: impl Into<String>) -> StoreError {
    HubError::new(ErrorCode::InvalidDeviceScope, text).into()
}

/// The scopes of the parents of the Edge device that has a scope; `None` where no Edge device
/// has it.
type ParentsOf<'a> = &'a dyn Fn(&str) -> Result<Option<Vec<String>>, StoreError>;

/// The device's own or its parent's scope, and the scopes of its parents, as they are to be
/// stored.
pub(super) fn settle(
    given: &DeviceIdentity,
    existing: Option<&DeviceIdentity>,
    ticks: i128,
    parents_of: ParentsOf<'_>,
) -> Result<(Option<String>, Vec<String>), StoreError> {
    let scope = given.device_scope.as_deref().filter(|scope| !scope.is_empty());
    let was_edge = existing.is_some_and(|existing| existing.capabilities.iot_edge);
    if !given.capabilities.iot_edge {
        // An Edge device that becomes a leaf stands alone; a second write attaches it again.
        let Some(scope) = scope.filter(|_| !was_edge) else {
            return Ok((None, Vec::new()));
        };
        let kept = existing.is_some_and(|existing| existing.device_scope.as_deref() == Some(scope));
        if !kept && parents_of(scope)?.is_none() {
            return Err(invalid(format!("No Edge device has the scope {scope}.")));
        }
        return Ok((Some(scope.to_owned()), vec![scope.to_owned()]));
    }
    let id = &given.device_id;
    let own = match (existing, scope) {
        (Some(existing), scope) if was_edge => {
            if scope != existing.device_scope.as_deref() {
                return Err(HubError::new(ErrorCode::ArgumentInvalid, "Device scope is immutable.").into());
            }
            existing.device_scope.clone()
        }
        (Some(_), None) => Some(format!("{PREFIX}{id}-")),
        (None, None) => Some(format!("{PREFIX}{id}-{ticks}")),
        // An import brings the scope that its children name.
        (None, Some(scope)) if edge_id(scope) == Some(id.as_str()) => Some(scope.to_owned()),
        (_, Some(_)) => {
            return Err(invalid(
                "The scope of an Edge device is the hub's to give; send parentScopes to put it under another.",
            ));
        }
    };
    match given.parent_scopes.as_slice() {
        [] => Ok((own, Vec::new())),
        [parent] => {
            let kept = existing.is_some_and(|existing| existing.parent_scopes == given.parent_scopes);
            if !kept {
                check_parent(own.as_deref(), parent, parents_of)?;
            }
            Ok((own, vec![parent.clone()]))
        }
        more => Err(invalid(format!("A device has at most one parent, not {}.", more.len()))),
    }
}

/// The parent is there, and not below the device itself.
fn check_parent(own: Option<&str>, parent: &str, parents_of: ParentsOf<'_>) -> Result<(), StoreError> {
    let mut above = parents_of(parent)?.ok_or_else(|| invalid(format!("No Edge device has the scope {parent}.")))?;
    let mut scope = parent.to_owned();
    for _ in 0..MAX_NESTING {
        if own == Some(scope.as_str()) {
            return Err(invalid("An Edge device cannot be below itself."));
        }
        let Some(next) = above.pop() else { return Ok(()) };
        above = parents_of(&next)?.unwrap_or_default();
        scope = next;
    }
    Err(invalid(format!("Edge devices nest at most {MAX_NESTING} deep.")))
}

#[cfg(test)]
mod tests {
    use hub_protocol::{DeviceId, identity::Capabilities};

    use super::*;

    const GATEWAY: &str = "ms-azure-iot-edge://gate-way-7";

    fn device(id: &str, iot_edge: bool, scope: Option<&str>, parents: &[&str]) -> DeviceIdentity {
        DeviceIdentity {
            capabilities: Capabilities { iot_edge },
            device_scope: scope.map(str::to_owned),
            parent_scopes: parents.iter().map(|parent| (*parent).to_owned()).collect(),
            ..DeviceIdentity::new(DeviceId::new(id).unwrap())
        }
    }

    /// Knows the gateway, which has no parent, and `low`, which is below it.
    fn parents_of(scope: &str) -> Result<Option<Vec<String>>, StoreError> {
        Ok(match edge_id(scope) {
            Some("gate-way") => Some(Vec::new()),
            Some("low") => Some(vec![GATEWAY.into()]),
            _ => None,
        })
    }

    fn settled(
        given: &DeviceIdentity,
        existing: Option<&DeviceIdentity>,
    ) -> Result<(Option<String>, Vec<String>), ErrorCode> {
        settle(given, existing, 9, &parents_of).map_err(|error| HubError::from(error).code)
    }

    #[test]
    fn an_id_with_a_dash_is_read_back_from_its_scope() {
        assert_eq!(edge_id(GATEWAY), Some("gate-way"));
        assert_eq!(edge_id("ms-azure-iot-edge://leaf-"), Some("leaf"));
        assert_eq!(edge_id("gate-way-7"), None);
    }

    #[test]
    fn a_leaf_has_its_parent_s_scope_and_only_that_of_one_that_exists() {
        let scopes = (Some(GATEWAY.to_owned()), vec![GATEWAY.to_owned()]);
        assert_eq!(
            settled(&device("a", false, Some(GATEWAY), &[]), None),
            Ok(scopes.clone())
        );
        assert_eq!(settled(&device("a", false, None, &[GATEWAY]), None), Ok((None, vec![])));
        let nowhere = device("a", false, Some("ms-azure-iot-edge://gone-1"), &[]);
        assert_eq!(settled(&nowhere, None), Err(ErrorCode::InvalidDeviceScope));
        assert_eq!(
            settled(&nowhere, Some(&nowhere)).map(|(scope, _)| scope),
            Ok(nowhere.device_scope.clone())
        );
        assert_eq!(
            settled(&device("a", false, Some(""), &[]), Some(&nowhere)),
            Ok((None, vec![]))
        );
    }

    #[test]
    fn an_edge_device_keeps_the_scope_it_was_given() {
        let scope = Some("ms-azure-iot-edge://e-9".to_owned());
        assert_eq!(
            settled(&device("e", true, None, &[]), None),
            Ok((scope.clone(), vec![]))
        );
        let edge = device("e", true, scope.as_deref(), &[]);
        assert_eq!(settled(&edge, Some(&edge)), Ok((scope.clone(), vec![])));
        assert_eq!(settled(&edge, None), Ok((scope, vec![])));
        for other in [None, Some(""), Some(GATEWAY)] {
            assert_eq!(
                settled(&device("e", true, other, &[]), Some(&edge)),
                Err(ErrorCode::ArgumentInvalid)
            );
        }
        assert_eq!(
            settled(&device("e", true, Some(GATEWAY), &[]), None),
            Err(ErrorCode::InvalidDeviceScope)
        );
    }

    #[test]
    fn a_leaf_becomes_an_edge_device_without_ticks_and_back_without_a_parent() {
        let leaf = device("e", false, Some(GATEWAY), &[GATEWAY]);
        let scope = "ms-azure-iot-edge://e-".to_owned();
        assert_eq!(
            settled(&device("e", true, Some(""), &[]), Some(&leaf)),
            Ok((Some(scope.clone()), vec![]))
        );
        assert_eq!(
            settled(&device("e", true, Some(GATEWAY), &[]), Some(&leaf)),
            Err(ErrorCode::InvalidDeviceScope)
        );
        let edge = device("e", true, Some(&scope), &[GATEWAY]);
        assert_eq!(
            settled(&device("e", false, Some(GATEWAY), &[GATEWAY]), Some(&edge)),
            Ok((None, vec![]))
        );
    }

    #[test]
    fn an_edge_device_has_one_parent_that_exists_and_is_not_below_it() {
        let low = device("low", true, Some("ms-azure-iot-edge://low-1"), &[GATEWAY]);
        assert_eq!(
            settled(&low, None),
            Ok((low.device_scope.clone(), low.parent_scopes.clone()))
        );
        let two = device("e", true, None, &[GATEWAY, "ms-azure-iot-edge://low-1"]);
        assert_eq!(settled(&two, None), Err(ErrorCode::InvalidDeviceScope));
        let nowhere = device("e", true, None, &["ms-azure-iot-edge://gone-1"]);
        assert_eq!(settled(&nowhere, None), Err(ErrorCode::InvalidDeviceScope));
        let gateway = device("gate-way", true, Some(GATEWAY), &[]);
        let ring = device("gate-way", true, Some(GATEWAY), &["ms-azure-iot-edge://low-1"]);
        assert_eq!(settled(&ring, Some(&gateway)), Err(ErrorCode::InvalidDeviceScope));
    }
}
