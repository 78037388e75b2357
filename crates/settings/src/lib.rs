//! Settings in layers: defaults (each struct's own `Default`), a TOML file, the environment (`BEEM__SECTION__KEY`), flags;
//! a later layer wins. A name that means nothing is an error, so that a misspelt limit is not silently the default. A
//! [`Secret`] never prints, so a whole settings value may be shown.

mod environment;
mod secret;

pub use environment::{Environment, NotAnEnvironment};
pub use secret::{Secret, redact_url};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// What stands before every variable of ours in the environment.
pub const ENVIRONMENT_PREFIX: &str = "BEEM__";

/// The settings cannot be used. The text names the key and the layer.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("there is no settings file {0}")]
    NoFile(PathBuf),
    #[error("settings: {0}")]
    Invalid(Box<figment::Error>),
}

/// Loads settings. `flags` are dotted keys (`gateway.listen`) with their values.
///
/// # Errors
/// A file that was named and is not there, a value of the wrong shape, a key that does not exist.
pub fn load<T: DeserializeOwned>(file: Option<&Path>, flags: &[(&str, String)]) -> Result<T, SettingsError> {
    let mut layers = Figment::new();
    if let Some(file) = file {
        if !file.is_file() {
            return Err(SettingsError::NoFile(file.to_owned()));
        }
        layers = layers.merge(Toml::file_exact(file));
    }
    layers = layers.merge(Env::prefixed(ENVIRONMENT_PREFIX).split("__"));
    for (key, value) in flags {
        layers = layers.merge(Serialized::global(key, value));
    }
    layers.extract().map_err(|e| SettingsError::Invalid(Box::new(e)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Edge {
        listen: String,
        bodies_max: u32,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Whole {
        edge: Edge,
        password: Secret<String>,
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn a_later_layer_wins_and_secrets_do_not_print() {
        let toml = file("password = \"hunter2\"\n[edge]\nlisten = \"a\"\nbodies_max = 3\n");
        let whole: Whole = load(Some(toml.path()), &[("edge.listen", "b".into())]).unwrap();
        assert_eq!((whole.edge.listen.as_str(), whole.edge.bodies_max), ("b", 3));
        assert_eq!(whole.password.expose(), "hunter2");
        assert!(!format!("{whole:?}").contains("hunter2"));
    }

    #[test]
    fn a_misspelt_key_is_named() {
        let toml = file("[edge]\nlisten_on = \"a\"\n");
        let error = load::<Whole>(Some(toml.path()), &[]).unwrap_err().to_string();
        assert!(error.contains("listen_on"), "{error}");
        assert!(load::<Whole>(Some(Path::new("/nowhere.toml")), &[]).is_err());
    }
}
