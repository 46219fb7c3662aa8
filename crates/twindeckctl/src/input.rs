//! Text too long or too awkward for an argument.

use std::io::Read;

use crate::failure::{Failure, Result};

/// The argument itself, or standard input for `-`.
pub(crate) fn read(argument: &str) -> Result<String> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("Standard input cannot be read: {error}."), "It must be UTF-8."))?;
    Ok(text)
}
