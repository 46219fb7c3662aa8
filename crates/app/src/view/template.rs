//! Templates, as the window sees them.

use serde::{Deserialize, Serialize};
use specta::Type;

use super::TwinSection;

/// What a filled template is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum TemplateUse {
    Method {
        method_name: String,
        response_timeout_seconds: u32,
        connect_timeout_seconds: u32,
    },
    Twin {
        section: TwinSection,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct TemplateVariable {
    pub name: String,
    /// What it is when nothing is given; without one it must be given.
    pub default: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct NewTemplate {
    pub name: String,
    #[serde(rename = "use")]
    pub used: TemplateUse,
    /// JSON in whose texts variables stand as `{{name}}`; empty is no payload.
    pub body: String,
    pub variables: Vec<TemplateVariable>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    pub id: String,
    pub built_in: bool,
    #[serde(flatten)]
    pub template: NewTemplate,
}

/// Which variables a body has, in order, or what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Type)]
pub struct TemplateCheck {
    pub variables: Vec<String>,
    pub problem: Option<String>,
}
