//! Method calls and twin patches kept by name, with variables in their texts.

mod fill;

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use self::fill::{fill, parse, variables};
use crate::{
    App,
    error::{AppError, Code, Result},
    view::{NewTemplate, Template, TemplateCheck, TemplateUse, TemplateVariable, TwinSection},
};

const MAX_TEMPLATES: u32 = 200;
/// Characters of a template's name.
const MAX_NAME: usize = 100;
/// Bytes of a body: what a method's payload may have.
const MAX_BODY: usize = 128 * 1024;
/// Bytes of a value.
const MAX_VALUE: usize = 64 * 1024;

/// The flows of Microsoft's tutorials.
fn built_in() -> Vec<Template> {
    let method = |name: &str, response_timeout_seconds| TemplateUse::Method {
        method_name: name.into(),
        response_timeout_seconds,
        connect_timeout_seconds: 0,
    };
    let template = |id: &str, name: &str, used, body: &str, variables: &[(&str, &str)]| Template {
        id: id.into(),
        built_in: true,
        template: NewTemplate {
            name: name.into(),
            used,
            body: body.into(),
            variables: variables
                .iter()
                .map(|(name, default)| TemplateVariable {
                    name: (*name).into(),
                    default: Some((*default).into()),
                })
                .collect(),
        },
    };
    let place = TemplateUse::Twin {
        section: TwinSection::Desired,
    };
    vec![
        template(
            "reboot",
            "Reboot",
            method("rebootDevice", 60),
            r#"{"method_number":"42"}"#,
            &[],
        ),
        template(
            "lock-door",
            "Lock the door",
            method("lockDoor", 30),
            r#"{"lockTime":"{{lockTime}}"}"#,
            &[("lockTime", "10m")],
        ),
        template(
            "door-place",
            "Building and floor",
            place,
            r#"{"building":"{{building}}","floor":"{{floor}}"}"#,
            &[("building", "43"), ("floor", "3")],
        ),
    ]
}

fn kind(used: &TemplateUse) -> &'static str {
    match used {
        TemplateUse::Method { .. } => "method",
        TemplateUse::Twin { .. } => "twin",
    }
}

/// Which variables a body has, while it is being written.
pub fn check_template(body: &str) -> TemplateCheck {
    match variables(body) {
        Ok(variables) => TemplateCheck {
            variables,
            problem: None,
        },
        Err(error) => TemplateCheck {
            variables: Vec::new(),
            problem: Some(AppError::from(error).to_string()),
        },
    }
}

impl App {
    /// The built-in ones first, then the person's own by name.
    pub async fn list_templates(&self) -> Result<Vec<Template>> {
        let mut templates = built_in();
        let own = self.0.db.call(|sql| {
            let mut statement = sql.prepare("SELECT id, document FROM templates ORDER BY name COLLATE NOCASE, id")?;
            let rows = statement.query_map([], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, String>(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        });
        for (id, document) in own.await? {
            if let Ok(template) = serde_json::from_str(&document) {
                templates.push(Template {
                    id: id.to_string(),
                    built_in: false,
                    template,
                });
            }
        }
        Ok(templates)
    }

    /// Keeps a template. One of the same kind and name is replaced only if `replace` says so.
    /// Variables that the body does not have are left out.
    pub async fn save_template(&self, mut template: NewTemplate, replace: bool) -> Result<Template> {
        template.name = template.name.trim().to_owned();
        check(&mut template)?;
        let document = serde_json::to_string(&template).unwrap_or_default();
        let (name, kind) = (template.name.clone(), kind(&template.used));
        if built_in()
            .iter()
            .any(|known| known.template.name == name && self::kind(&known.template.used) == kind)
        {
            return Err(taken(&name).hint("Choose another name; this one comes with Twindeck."));
        }
        let id = self
            .0
            .db
            .call(move |sql| store(sql, &name, kind, &document, replace))
            .await?;
        Ok(Template {
            id: id.to_string(),
            built_in: false,
            template,
        })
    }

    pub async fn delete_template(&self, id: String) -> Result<()> {
        let deleted = self
            .0
            .db
            .call(move |sql| Ok(sql.execute("DELETE FROM templates WHERE id = ?1", [id])?))
            .await?;
        if deleted == 0 {
            return Err(AppError::new(Code::NotFound, "There is no such template of your own."));
        }
        Ok(())
    }

    /// The body with these values, defaults where there is none, as JSON text; empty where the body
    /// is empty.
    pub async fn fill_template(&self, id: String, values: BTreeMap<String, String>) -> Result<String> {
        let templates = self.list_templates().await?;
        let found = templates.into_iter().find(|known| known.id == id);
        let NewTemplate { body, variables, .. } = found
            .ok_or_else(|| AppError::new(Code::NotFound, "This template is no longer kept."))?
            .template;
        if body.trim().is_empty() {
            return Ok(String::new());
        }
        if values.values().any(|value| value.len() > MAX_VALUE) {
            return Err(AppError::invalid(format!("A value has at most {MAX_VALUE} bytes.")));
        }
        let defaults = variables
            .into_iter()
            .filter_map(|variable| Some((variable.name, variable.default?)));
        let mut all: BTreeMap<String, String> = defaults.collect();
        all.extend(values);
        let value = fill(&body, &all)?;
        Ok(serde_json::to_string_pretty(&value).unwrap_or_default())
    }
}

fn taken(name: &str) -> AppError {
    AppError::new(
        Code::AlreadyExists,
        format!("There is a template called {name} already."),
    )
}

fn check(template: &mut NewTemplate) -> Result<()> {
    if template.name.is_empty() || template.name.chars().count() > MAX_NAME {
        return Err(AppError::invalid(format!(
            "A template's name has 1 to {MAX_NAME} characters."
        )));
    }
    if template.body.len() > MAX_BODY {
        return Err(AppError::invalid(format!("A template has at most {MAX_BODY} bytes.")));
    }
    let names = variables(&template.body)?;
    template.variables.retain(|variable| names.contains(&variable.name));
    for name in names {
        if !template.variables.iter().any(|variable| variable.name == name) {
            template.variables.push(TemplateVariable { name, default: None });
        }
    }
    if template
        .variables
        .iter()
        .any(|variable| variable.default.as_ref().is_some_and(|text| text.len() > MAX_VALUE))
    {
        return Err(AppError::invalid(format!("A value has at most {MAX_VALUE} bytes.")));
    }
    match &template.used {
        TemplateUse::Method { method_name, .. } if method_name.trim().is_empty() => {
            Err(AppError::invalid("A template of a call needs the method's name."))
        }
        TemplateUse::Twin { .. } if !parse(&template.body)?.is_object() => Err(AppError::invalid(
            "A template of a twin is a JSON object: what is to change.",
        )),
        _ => Ok(()),
    }
}

fn store(sql: &Connection, name: &str, kind: &str, document: &str, replace: bool) -> Result<u32> {
    let select = "SELECT id FROM templates WHERE kind = ?1 AND name = ?2";
    let known: Option<u32> = sql.query_row(select, [kind, name], |row| row.get(0)).optional()?;
    if let Some(id) = known {
        if !replace {
            return Err(taken(name).hint("Choose another name, or replace it."));
        }
        sql.execute(
            "UPDATE templates SET document = ?2 WHERE id = ?1",
            params![id, document],
        )?;
        return Ok(id);
    }
    let kept: u32 = sql.query_row("SELECT count(*) FROM templates", [], |row| row.get(0))?;
    if kept >= MAX_TEMPLATES {
        return Err(
            AppError::invalid(format!("At most {MAX_TEMPLATES} templates are kept."))
                .hint("Delete some that you no longer need."),
        );
    }
    sql.execute(
        "INSERT INTO templates (name, kind, document) VALUES (?1, ?2, ?3)",
        [name, kind, document],
    )?;
    Ok(u32::try_from(sql.last_insert_rowid()).unwrap_or(u32::MAX))
}
