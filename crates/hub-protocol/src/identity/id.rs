//! Who a device or module is.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// 1 to 128 ASCII letters, digits and `- . % _ * ? ! ( ) , : = @ $ '`; case matters.
///
/// Some older texts also allow `+ # ;`. Those cannot stand in an MQTT filter or a connection
/// string, so they are refused here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct DeviceId(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDeviceId {
    #[error("a device id may not be empty")]
    Empty,
    #[error("a device id has at most 128 characters, this one {0}")]
    TooLong(usize),
    #[error("a device id may not contain {0:?}; letters, digits and - . % _ * ? ! ( ) , : = @ $ ' are allowed")]
    Character(char),
}

impl DeviceId {
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidDeviceId> {
        let text = text.into();
        if text.is_empty() {
            return Err(InvalidDeviceId::Empty);
        }
        if let Some(bad) = text
            .chars()
            .find(|c| !c.is_ascii_alphanumeric() && !"-.%_*?!(),:=@$'".contains(*c))
        {
            return Err(InvalidDeviceId::Character(bad));
        }
        if text.len() > 128 {
            return Err(InvalidDeviceId::TooLong(text.len()));
        }
        Ok(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A module's id keeps the rules of a device's.
pub type ModuleId = DeviceId;

/// Who connects, has a twin and answers methods: a device, or a module of one. Its text is
/// MQTT's client id, `device` or `device/module`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId {
    pub device_id: DeviceId,
    pub module_id: Option<ModuleId>,
}

impl ClientId {
    pub fn device(device_id: DeviceId) -> Self {
        Self {
            device_id,
            module_id: None,
        }
    }

    pub fn new(device_id: &str, module_id: Option<&str>) -> Result<Self, InvalidDeviceId> {
        Ok(Self {
            device_id: DeviceId::new(device_id)?,
            module_id: module_id.map(ModuleId::new).transpose()?,
        })
    }

    pub fn device_str(&self) -> &str {
        self.device_id.as_str()
    }

    /// Empty for a device.
    pub fn module_str(&self) -> &str {
        self.module_id.as_ref().map_or("", DeviceId::as_str)
    }

    pub fn is_module(&self) -> bool {
        self.module_id.is_some()
    }
}

impl From<DeviceId> for ClientId {
    fn from(device_id: DeviceId) -> Self {
        Self::device(device_id)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.device_str())?;
        match &self.module_id {
            Some(module_id) => write!(f, "/{module_id}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for DeviceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked_and_the_character_is_named() {
        assert!(DeviceId::new("dev-1.%_*?!(),:=@$'").is_ok());
        assert_eq!(DeviceId::new(""), Err(InvalidDeviceId::Empty));
        assert_eq!(DeviceId::new("a b"), Err(InvalidDeviceId::Character(' ')));
        assert_eq!(DeviceId::new("é"), Err(InvalidDeviceId::Character('é')));
        assert_eq!(DeviceId::new("a/b"), Err(InvalidDeviceId::Character('/')));
        assert_eq!(DeviceId::new("x".repeat(129)), Err(InvalidDeviceId::TooLong(129)));
    }
}
