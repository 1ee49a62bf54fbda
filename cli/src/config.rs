//! Global flags, environment and settings file -> checked `Config`.
//!
//! What is said most directly wins: a flag, then the context named by a flag, then the environment, then the current
//! context of the settings file, then the default. Reading the environment happens in one place and is a value from
//! then on.

mod server;
mod settings;

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use clap::Args;

use crate::error::Error;
use crate::output::Format;
pub(crate) use server::Server;
use settings::{Context, Settings};

/// Where a control plane listens if nobody says otherwise.
const DEFAULT_SERVER: &str = "http://127.0.0.1:7400";

/// Flags of every command.
#[derive(Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalFlags {
    /// Control plane to talk to [env: INLET_SERVER] [default: http://127.0.0.1:7400]
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    /// Token that says who you are [env: INLET_TOKEN]
    #[arg(long, global = true, value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Form of the output [default: table]
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORM",
        hide_possible_values = false
    )]
    pub(crate) output: Option<Format>,
    /// Entry of ~/.config/inlet/config.yaml that gives server and token [default: its current-context]
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,
    /// No colours, even on a terminal [env: NO_COLOR]
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

/// What the environment says.
#[derive(Default)]
pub(crate) struct Environment {
    server: Option<String>,
    token: Option<String>,
    /// Where the settings are, if there is a home.
    settings: Option<PathBuf>,
    user: Option<String>,
    host: Option<String>,
}

/// Whom to talk to, and as whom. Has a secret: neither printed nor logged.
pub(crate) struct Config {
    /// The control plane.
    pub(crate) server: Server,
    /// Proves who the user is.
    pub(crate) token: Option<String>,
    /// Who the user says to be: `alice@desk`, printable ASCII.
    pub(crate) author: Option<String>,
}

impl Environment {
    /// Reads it.
    pub(crate) fn read() -> Self {
        let text = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        let folder = text("XDG_CONFIG_HOME").map(PathBuf::from);
        let folder = folder.or_else(|| Some(PathBuf::from(text("HOME")?).join(".config")));
        Self {
            server: text("INLET_SERVER"),
            token: text("INLET_TOKEN"),
            settings: folder.map(|folder| folder.join("inlet").join("config.yaml")),
            user: text("USER").or_else(|| text("LOGNAME")).or_else(user_name),
            host: std::fs::read_to_string("/proc/sys/kernel/hostname").ok(),
        }
    }

    /// `user@host`, as far as it is known and printable.
    fn author(&self) -> Option<String> {
        let clean = |text: &Option<String>| {
            let text = text.as_deref()?.trim();
            let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
            good.then(|| text.to_owned())
        };
        match (clean(&self.user)?, clean(&self.host)) {
            (user, Some(host)) => Some(format!("{user}@{host}")),
            (user, None) => Some(user),
        }
    }
}

impl Config {
    /// Puts together what was said. Errors: a URL or context that is none, settings that cannot be read.
    pub(crate) fn new(flags: &GlobalFlags, environment: &Environment) -> Result<Self, Error> {
        let named = flags.context.as_deref();
        let settings = Settings::read(environment.settings.as_deref())?;
        let context = settings.context(named)?;
        let (first, last) = match named {
            Some(_) => (context, Context::default()),
            None => (Context::default(), context),
        };
        let server = flags.server.clone().or(first.server);
        let server = server
            .or_else(|| environment.server.clone())
            .or(last.server);
        let token = flags.token.clone().or(first.token);
        let token = token.or_else(|| environment.token.clone()).or(last.token);
        Ok(Self {
            server: Server::parse(server.as_deref().unwrap_or(DEFAULT_SERVER))?,
            token,
            author: environment.author(),
        })
    }
}

/// The name of the user that this process runs as, where the environment does not say.
fn user_name() -> Option<String> {
    let user = std::fs::metadata("/proc/self").ok()?.uid();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(user)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests;
