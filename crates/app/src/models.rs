//! Device models: those that come with the simulator, and the person's own, kept as texts.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use device_sim::{FileError, Model};
use rusqlite::{Connection, params};

use crate::{
    App,
    error::{AppError, Code, Result},
    lock,
    open_hub::count,
    view::{DeviceModel, ModelCheck, SourceProblem},
};

/// Texts that are kept: models, and the CSV files they replay.
const MAX_FILES: usize = 200;
/// Bytes of one of them.
pub(crate) const MAX_TEXT: usize = 1024 * 1024;
const SUFFIX: &str = ".toml";

/// The texts that fleets and models refer to, by name.
pub(crate) type Files = Arc<BTreeMap<String, String>>;

/// As parsers ask for them.
pub(crate) fn reader(files: &Files) -> impl Fn(&str) -> Option<String> {
    let files = files.clone();
    move |name: &str| files.get(name).cloned()
}

/// A plain name: no folder, and nothing that leads out of one.
pub(crate) fn is_file_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_. ()".contains(c);
    !name.is_empty() && name.len() <= 140 && !name.starts_with('.') && name.chars().all(plain)
}

fn small(number: Option<usize>) -> Option<u32> {
    number.map(count)
}

impl From<&FileError> for SourceProblem {
    fn from(error: &FileError) -> Self {
        Self {
            line: small(error.line),
            column: small(error.column),
            message: error.message.clone(),
        }
    }
}

pub(crate) fn load(sql: &Connection) -> Result<BTreeMap<String, String>> {
    let mut statement = sql.prepare("SELECT name, text FROM model_files")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Writes texts; those that are there already are replaced.
fn store(sql: &Connection, files: &BTreeMap<String, String>) -> Result<()> {
    let mut statement = sql.prepare("INSERT OR REPLACE INTO model_files (name, text) VALUES (?1, ?2)")?;
    for (name, text) in files {
        statement.execute(params![name, text])?;
    }
    let kept: usize = sql.query_row("SELECT count(*) FROM model_files", [], |row| row.get(0))?;
    if kept > MAX_FILES {
        return Err(
            AppError::invalid(format!("At most {MAX_FILES} models and their files are kept."))
                .hint("Delete some that you no longer need."),
        );
    }
    Ok(())
}

fn built_in(model: &Model) -> DeviceModel {
    DeviceModel {
        reference: model.name().to_owned(),
        title: model.title().to_owned(),
        about: model.about().to_owned(),
        built_in: true,
        methods: model.methods().map(str::to_owned).collect(),
        problem: None,
    }
}

fn own(reference: &str, text: &str, files: &Files) -> DeviceModel {
    match Model::parse(text, &reader(files)) {
        Ok(model) => DeviceModel {
            reference: reference.to_owned(),
            built_in: false,
            ..built_in(&model)
        },
        Err(error) => DeviceModel {
            reference: reference.to_owned(),
            title: reference.trim_end_matches(SUFFIX).to_owned(),
            about: String::new(),
            built_in: false,
            methods: Vec::new(),
            problem: Some((&error).into()),
        },
    }
}

fn unwritten(file: &Path, error: &std::io::Error) -> AppError {
    AppError::new(Code::Storage, format!("{} could not be written.", file.display()))
        .hint("Check that the folder can be written and the disk has room.")
        .details(error)
}

/// Writes a text, and beside it the files it needs. What lies there under one of their names and
/// says something else is not written over.
pub(crate) async fn export(file: &Path, text: &str, beside: &BTreeMap<String, String>) -> Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    for (name, text) in beside {
        let place = folder.join(name);
        match tokio::fs::read_to_string(&place).await {
            Ok(known) if known == *text => {}
            Ok(_) => {
                return Err(AppError::new(
                    Code::AlreadyExists,
                    format!("{} exists already and says something else.", place.display()),
                )
                .hint("Export into another folder: what it needs is written beside it."));
            }
            Err(_) => tokio::fs::write(&place, text)
                .await
                .map_err(|error| unwritten(&place, &error))?,
        }
    }
    tokio::fs::write(file, text)
        .await
        .map_err(|error| unwritten(file, &error))
}

impl App {
    pub(crate) fn model_files(&self) -> Files {
        lock(&self.0.model_files).clone()
    }

    /// Keeps texts for good, and tells fleets that use them.
    pub(crate) async fn keep_model_files(&self, added: BTreeMap<String, String>) -> Result<()> {
        if added.is_empty() {
            return Ok(());
        }
        let stored = added.clone();
        self.0.db.call(move |sql| store(sql, &stored)).await?;
        Arc::make_mut(&mut lock(&self.0.model_files)).extend(added);
        self.models_changed();
        Ok(())
    }

    pub fn list_models(&self) -> Vec<DeviceModel> {
        let files = self.model_files();
        let own = files
            .iter()
            .filter(|(name, _)| name.ends_with(SUFFIX))
            .map(|(name, text)| own(name, text, &files));
        own.chain(Model::built_in().iter().map(|model| built_in(model)))
            .collect()
    }

    pub fn read_model(&self, reference: &str) -> Result<String> {
        if let Some(model) = Model::find(reference) {
            return Ok(model.source().to_owned());
        }
        self.model_files().get(reference).cloned().ok_or_else(gone)
    }

    /// What is wrong with the text, and where.
    pub fn check_model(&self, source: &str) -> ModelCheck {
        match Model::parse(source, &reader(&self.model_files())) {
            Ok(model) => ModelCheck {
                name: Some(model.name().to_owned()),
                problem: None,
            },
            Err(error) => ModelCheck {
                name: None,
                problem: Some((&error).into()),
            },
        }
    }

    /// Keeps a model under its name. `reference` is the model it was; under another name it is
    /// moved, unless a fleet still calls it by the old one.
    pub async fn save_model(&self, reference: Option<String>, source: String) -> Result<DeviceModel> {
        let files = self.model_files();
        let model = Model::parse(&source, &reader(&files))
            .map_err(|error| AppError::invalid(format!("The model is wrong: {error}.")))?;
        if Model::find(model.name()).is_some() {
            return Err(AppError::new(
                Code::AlreadyExists,
                format!("{} is the name of a built-in model.", model.name()),
            )
            .hint("Give your model another name."));
        }
        let name = format!("{}{SUFFIX}", model.name());
        if !is_file_name(&name) {
            return Err(
                AppError::invalid(format!("{} cannot be the name of a model here.", model.name()))
                    .hint("Use letters, digits and - _ . in it."),
            );
        }
        let same = reference.as_deref() == Some(name.as_str());
        if !same && files.contains_key(&name) {
            return Err(taken(model.name()));
        }
        let moved = reference.filter(|_| !same);
        if let Some(before) = &moved {
            self.check_unused(before).await?;
        }
        let (stored, before) = (BTreeMap::from([(name.clone(), source.clone())]), moved.clone());
        let write = self.0.db.call(move |sql| {
            store(sql, &stored)?;
            if let Some(before) = before {
                sql.execute("DELETE FROM model_files WHERE name = ?1", [before])?;
            }
            Ok(())
        });
        write.await?;
        {
            let mut files = lock(&self.0.model_files);
            let files = Arc::make_mut(&mut files);
            files.insert(name.clone(), source.clone());
            if let Some(before) = moved {
                files.remove(&before);
            }
        }
        self.models_changed();
        Ok(own(&name, &source, &self.model_files()))
    }

    /// Refused while a fleet of any hub uses it.
    pub async fn delete_model(&self, reference: String) -> Result<()> {
        self.check_unused(&reference).await?;
        let name = reference.clone();
        let delete = self.0.db.call(move |sql| {
            sql.execute("DELETE FROM model_files WHERE name = ?1", [name])?;
            Ok(())
        });
        delete.await?;
        Arc::make_mut(&mut lock(&self.0.model_files)).remove(&reference);
        Ok(())
    }

    async fn check_unused(&self, reference: &str) -> Result<()> {
        let name = reference.to_owned();
        let user = self.0.db.call(move |sql| {
            let mut statement = sql.prepare(
                "SELECT f.name FROM fleets f JOIN simulated s ON s.fleet_id = f.id WHERE s.model = ?1 LIMIT 1",
            )?;
            let mut names = statement.query_map([name], |row| row.get::<_, String>(0))?;
            Ok(names.next().transpose()?)
        });
        match user.await? {
            None => Ok(()),
            Some(fleet) => Err(AppError::invalid(format!("The fleet {fleet} uses this model."))
                .hint("Delete the fleet first, or keep the model under its name.")),
        }
    }

    /// What the model's file is called when it is sent out.
    pub fn model_file_name(&self, reference: &str) -> Result<String> {
        self.read_model(reference)?;
        let name = reference.trim_end_matches(SUFFIX);
        Ok(format!("{name}{SUFFIX}"))
    }

    /// Writes the model's text to `file`, and beside it what it replays.
    pub async fn export_model(&self, reference: &str, file: &Path) -> Result<()> {
        let text = self.read_model(reference)?;
        let needed = self.needed_by(|files| {
            // Only to hear which files it asks for.
            let _ = Model::parse(&text, files);
        });
        export(file, &text, &needed).await
    }

    /// The kept files that reading something asks for.
    pub(crate) fn needed_by(&self, read: impl FnOnce(&dyn Fn(&str) -> Option<String>)) -> BTreeMap<String, String> {
        let files = self.model_files();
        let asked = std::cell::RefCell::new(BTreeMap::new());
        read(&|name| {
            let text = files.get(name)?;
            asked.borrow_mut().insert(name.to_owned(), text.clone());
            Some(text.clone())
        });
        asked.into_inner()
    }
}

fn gone() -> AppError {
    AppError::new(Code::NotFound, "There is no such model.").hint("It may have been deleted or renamed.")
}

pub(crate) fn taken(name: &str) -> AppError {
    AppError::new(Code::AlreadyExists, format!("You have a model called {name} already.")).hint("Choose another name.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lead_out_of_its_folder() {
        for name in ["../x.toml", "a/b.csv", "", ".hidden", "a\\b", "c:x"] {
            assert!(!is_file_name(name), "{name}");
        }
        assert!(is_file_name("load (2).csv"));
    }
}
