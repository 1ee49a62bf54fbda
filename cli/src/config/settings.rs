//! The user's settings: contexts, each a control plane and a token, and which of them is the current one.
//!
//! ```yaml
//! current-context: home
//! contexts:
//!   - {name: home, server: "http://127.0.0.1:7400"}
//!   - {name: work, server: "http://control.example.com:7400", token: ...}
//! ```

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use inlet_proto::manifest;
use serde::Deserialize;

use crate::error::{self, Error};

/// Longest settings file, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// The file. Has secrets: neither printed nor logged.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Settings {
    #[serde(skip)]
    path: PathBuf,
    current_context: Option<String>,
    contexts: Vec<Named>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    server: Option<String>,
    token: Option<String>,
}

/// What a context gives.
#[derive(Default)]
pub(super) struct Context {
    pub(super) server: Option<String>,
    pub(super) token: Option<String>,
}

impl Settings {
    /// Reads the file; one that is not there says nothing. Errors: it cannot be read or understood.
    pub(super) fn read(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let mut text = String::new();
        let read = std::fs::File::open(path)
            .and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
        match read {
            Ok(_) => Self::parse(path, &text),
            Err(error)
                if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) =>
            {
                Ok(Self {
                    path: path.to_owned(),
                    ..Self::default()
                })
            }
            Err(error) => Err(Error::Failed(format!(
                "cannot read {}: {}",
                path.display(),
                error::reason(&error)
            ))),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let bad = |what: String| Error::Failed(format!("{}{what}", path.display()));
        let value = manifest::read_value(text)
            .map_err(|error| bad(format!(":{}: {}", error.line, error.message)))?;
        if value.is_null() {
            return Ok(Self {
                path: path.to_owned(),
                ..Self::default()
            });
        }
        let settings: Self =
            serde_json::from_value(value).map_err(|error| bad(format!(": {error}")))?;
        Ok(Self {
            path: path.to_owned(),
            ..settings
        })
    }

    /// The context of this name, or the current one. Errors: there is none such.
    pub(super) fn context(self, name: Option<&str>) -> Result<Context, Error> {
        let Some(wanted) = name.or(self.current_context.as_deref()) else {
            return Ok(Context::default());
        };
        let known: Vec<_> = self
            .contexts
            .iter()
            .map(|context| context.name.as_str())
            .collect();
        let Some(at) = known.iter().position(|name| *name == wanted) else {
            let path = self.path.display();
            let hint = match (manifest::nearest(wanted, &known), known.is_empty()) {
                (Some(near), _) => format!("did you mean '{near}'?"),
                (None, true) => "it has none".to_owned(),
                (None, false) => format!("it has {}", known.join(", ")),
            };
            return Err(Error::Usage(format!(
                "no context '{wanted}' in {path}: {hint}"
            )));
        };
        let found = self.contexts.into_iter().nth(at);
        Ok(found.map_or_else(Context::default, |found| Context {
            server: found.server,
            token: found.token,
        }))
    }
}
