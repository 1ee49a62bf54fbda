//! `lbctl delete`: resources and their children, as one atomic change.

use std::collections::HashMap;

use clap::Args;
use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::resource::Kind as Body;

use super::change::{self, ChangeFlags};
use super::{Session, kind};
use crate::client::Client;
use crate::error::Error;
use crate::manifests::{self, Written};

/// Flags of `lbctl delete`.
#[derive(Args)]
#[command(
    override_usage = "lbctl delete [OPTIONS] <KIND> <NAME>...\n       lbctl delete [OPTIONS] --file <FILE|DIR|->",
    after_help = "Nothing is asked: see with --dry-run what would go. What others refer to, and what is protected, is not deleted."
)]
pub(crate) struct Flags {
    /// Kind, in singular or plural
    #[arg(value_parser = kind::parser(), required_unless_present = "files", conflicts_with = "files", requires = "names")]
    kind: Option<Kind>,
    /// Full names, as shop/https/catalog
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Delete what these manifests name: file, folder, or '-' for standard input
    #[arg(
        short,
        long = "file",
        visible_alias = "filename",
        value_name = "FILE|DIR|-"
    )]
    files: Vec<String>,
    #[command(flatten)]
    change: ChangeFlags,
}

/// Runs it.
pub(crate) async fn run(flags: Flags, session: &Session) -> Result<(), Error> {
    let named = match flags.kind {
        Some(kind) => flags
            .names
            .iter()
            .map(|name| kind::key(kind, name))
            .collect::<Result<Vec<_>, _>>()?,
        None => Vec::new(),
    };
    let written = if flags.files.is_empty() {
        Vec::new()
    } else {
        manifests::read(&flags.files)?
    };
    let client = session.connect().await?;
    let mut keys = named;
    keys.extend(written_keys(&written, &client).await?);
    let request = v1::ApplyRequest {
        deletions: keys.iter().map(Into::into).collect(),
        validate_only: flags.change.dry_run,
        message: flags.change.message.clone(),
        ..Default::default()
    };
    let response = match (client.apply(request).await, keys.as_slice()) {
        (Err(error), [key]) => return Err(client.suggest(error, key).await),
        (response, _) => response?,
    };
    change::finish(&flags.change, &response, &client, session).await
}

/// The addresses of documents. A target without a port has that of its group, which is written or stored.
async fn written_keys(written: &[Written], client: &Client) -> Result<Vec<Key>, Error> {
    let mut ports: HashMap<String, u32> = HashMap::new();
    for one in written {
        if let Some(Body::TargetGroup(group)) = &one.document.resource.kind {
            ports.insert(group.name.clone(), group.port);
        }
    }
    let mut keys = Vec::with_capacity(written.len());
    for one in written {
        match &one.document.resource.kind {
            Some(Body::Target(target)) if target.port == 0 => {
                let group = &target.target_group;
                let port = match ports.get(group) {
                    Some(port) => *port,
                    None => stored_port(group, client).await?,
                };
                ports.insert(group.clone(), port);
                keys.push(Key::target(group, &target.address, port));
            }
            _ => keys.extend(one.document.resource.key()),
        }
    }
    Ok(keys)
}

/// The port that targets of a stored group have if they do not say.
pub(super) async fn stored_port(group: &str, client: &Client) -> Result<u32, Error> {
    match client
        .get(&kind::key(Kind::TargetGroup, group)?)
        .await?
        .kind
    {
        Some(Body::TargetGroup(group)) => Ok(group.port),
        _ => Err(Error::Failed(format!(
            "the control plane has answered without TargetGroup {group}"
        ))),
    }
}
