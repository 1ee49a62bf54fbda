//! `lbctl target`: registration and health of targets.

mod address;

use clap::{Args, Subcommand};
use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;
use serde_json::Value;

use super::change::WaitFlags;
use super::delete::stored_port;
use super::{Session, kind};
use crate::client::Client;
use crate::error::Error;
use crate::output::{Format, fleet, form};
use address::Address;

/// Flags of `lbctl target`.
#[derive(Args)]
pub(crate) struct Flags {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Register targets, or change the weight of those that are there
    Add {
        #[command(flatten)]
        which: Which,
        /// Share of the requests, 0 to 999 [default: 1]
        #[arg(long, value_parser = clap::value_parser!(u32).range(0..=999))]
        weight: Option<u32>,
        #[command(flatten)]
        wait: WaitFlags,
    },
    /// Deregister targets; they drain for the group's deregistrationDelay
    Remove {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        wait: WaitFlags,
    },
    /// Show state and reason of each target, and which agents say so
    Health {
        /// Name of the target group
        #[arg(value_name = "GROUP")]
        group: String,
    },
}

#[derive(Args)]
struct Which {
    /// Name of the target group
    #[arg(value_name = "GROUP")]
    group: String,
    /// Addresses, as 127.0.0.1, 127.0.0.1:8080, ::1 or [::1]:8080; without a port that of the group
    #[arg(value_name = "ADDRESS[:PORT]", required = true)]
    addresses: Vec<Address>,
}

/// Runs it.
pub(crate) async fn run(flags: Flags, session: &Session) -> Result<(), Error> {
    match flags.action {
        Action::Add {
            which,
            weight,
            wait,
        } => {
            let group = kind::key(Kind::TargetGroup, &which.group)?;
            let client = session.connect().await?;
            let targets = which.targets(&client, weight).await?;
            let request = v1::RegisterRequest {
                target_group: group.name.clone(),
                targets: targets.clone(),
            };
            let done = client.register(request).await;
            let revision = settled(done, &group, &client).await?;
            tell("registered", &group, &targets, revision, session)?;
            wait.follow(&client, &session.out, revision).await
        }
        Action::Remove { which, wait } => {
            let group = kind::key(Kind::TargetGroup, &which.group)?;
            let client = session.connect().await?;
            let targets = which.targets(&client, None).await?;
            let request = v1::DeregisterRequest {
                target_group: group.name.clone(),
                targets: targets.clone(),
            };
            let revision = client.deregister(request).await?;
            tell("deregistered", &group, &targets, revision, session)?;
            wait.follow(&client, &session.out, revision).await
        }
        Action::Health { group } => health(&kind::key(Kind::TargetGroup, &group)?, session).await,
    }
}

impl Which {
    /// As messages, each with its port.
    async fn targets(
        &self,
        client: &Client,
        weight: Option<u32>,
    ) -> Result<Vec<v1::Target>, Error> {
        let mut default = None;
        let mut targets = Vec::with_capacity(self.addresses.len());
        for address in &self.addresses {
            let port = match (address.port, default) {
                (Some(port), _) => u32::from(port),
                (None, Some(port)) => port,
                (None, None) => *default.insert(stored_port(&self.group, client).await?),
            };
            targets.push(v1::Target {
                address: address.ip.to_string(),
                port,
                weight,
                ..Default::default()
            });
        }
        Ok(targets)
    }
}

async fn settled(done: Result<u64, Error>, group: &Key, client: &Client) -> Result<u64, Error> {
    match done {
        Ok(revision) => Ok(revision),
        Err(error) => Err(client.suggest(error, group).await),
    }
}

fn tell(
    done: &str,
    group: &Key,
    targets: &[v1::Target],
    revision: u64,
    session: &Session,
) -> Result<(), Error> {
    let out = &session.out;
    let keys: Vec<_> = targets
        .iter()
        .map(|target| Key::target(&group.name, &target.address, target.port))
        .collect();
    match out.format {
        Format::Json | Format::Yaml => {
            let names: Vec<_> = keys.iter().map(|key| key.name.as_str()).collect();
            out.value(&serde_json::json!({"revision": revision, done: names}))
        }
        Format::Name => out.print(
            &keys
                .iter()
                .map(|key| format!("{key}\n"))
                .collect::<String>(),
        ),
        Format::Table | Format::Wide => {
            for key in &keys {
                out.line(&format!("{done} {key}"))?;
            }
            out.line(&format!("revision {revision}"))
        }
    }
}

async fn health(group: &Key, session: &Session) -> Result<(), Error> {
    let client = session.connect().await?;
    let targets = client.health(group).await?;
    let out = &session.out;
    match out.format {
        Format::Json | Format::Yaml => {
            out.value(&targets.iter().map(form::health).collect::<Value>())
        }
        Format::Name => {
            let named = targets.iter().filter_map(|health| health.target.as_ref());
            let keys = named.map(|target| Key::target(&group.name, &target.address, target.port));
            out.print(&keys.map(|key| format!("{key}\n")).collect::<String>())
        }
        Format::Table | Format::Wide if targets.is_empty() => {
            out.note(&format!("{} has no targets", group.name));
            Ok(())
        }
        Format::Table | Format::Wide => out.table(&fleet::health(&targets, out.is_wide())),
    }
}
