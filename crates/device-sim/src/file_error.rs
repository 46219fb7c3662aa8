//! What is wrong in a model or fleet file.

/// What is wrong in a file, and where; lines and columns are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(*.line, *.column))]
pub struct FileError {
    pub line: Option<usize>,
    /// In characters.
    pub column: Option<usize>,
    pub message: String,
}

fn place(line: Option<usize>, column: Option<usize>) -> String {
    match (line, column) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: "),
        _ => String::new(),
    }
}

impl FileError {
    /// `start` is where in `text` it begins, in bytes.
    pub(crate) fn new(text: &str, start: Option<usize>, message: &str) -> Self {
        let before = start.and_then(|start| text.get(..start));
        Self {
            line: before.map(|before| before.matches('\n').count() + 1),
            column: before.map(|before| before.chars().rev().take_while(|c| *c != '\n').count() + 1),
            message: message.trim_end().to_owned(),
        }
    }
}
