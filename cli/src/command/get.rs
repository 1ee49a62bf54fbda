//! `lbctl get`: resources of a kind.

use std::time::SystemTime;

use clap::Args;
use inlet_proto::kind::Kind;
use inlet_proto::v1;

use super::{Session, kind};
use crate::client::Selection;
use crate::error::Error;
use crate::output::{Format, Out, form, kinds};

/// Flags of `lbctl get`.
#[derive(Args)]
#[command(after_help = "With '-o yaml' and '-o json' it prints what 'apply' accepts.")]
pub(crate) struct Flags {
    /// Kind, in singular or plural
    #[arg(value_parser = kind::parser())]
    kind: Kind,
    /// Full names, as shop/https/catalog; none = all of the kind
    #[arg(value_name = "NAME", conflicts_with_all = ["parent", "filter"])]
    names: Vec<String>,
    /// Only the children of this resource: 'shop' for listeners, 'shop/https' for rules
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    parent: String,
    /// Only those with such fields: 'tags.team = storefront AND protocol = HTTP' (operators: = != and : for contains)
    #[arg(
        long,
        value_name = "TERMS",
        default_value = "",
        hide_default_value = true
    )]
    filter: String,
}

/// Runs it.
pub(crate) async fn run(flags: Flags, session: &Session) -> Result<(), Error> {
    let keys = flags.names.iter().map(|name| kind::key(flags.kind, name));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let client = session.connect().await?;
    let out = &session.out;
    if keys.is_empty() {
        let selection = Selection {
            parent: flags.parent,
            filter: flags.filter,
        };
        return tell_list(flags.kind, &client.list(flags.kind, &selection).await?, out);
    }
    let mut found = Vec::new();
    for key in &keys {
        found.push(client.get(key).await?);
    }
    match found.as_slice() {
        [one] if out.format == Format::Json => out.value(&form::resource(one)),
        several => tell_list(flags.kind, several, out),
    }
}

fn tell_list(kind: Kind, resources: &[v1::Resource], out: &Out) -> Result<(), Error> {
    if resources.is_empty() && out.format != Format::Json {
        out.note(&format!("no {}", kind.plural().replace('-', " ")));
        return Ok(());
    }
    match out.format {
        Format::Json => out.value(&form::list(resources)),
        Format::Yaml => out.print(&form::documents(resources)),
        Format::Name => {
            let keys = resources.iter().filter_map(v1::Resource::key);
            out.print(&keys.map(|key| format!("{key}\n")).collect::<String>())
        }
        Format::Table | Format::Wide => out.table(&kinds::table(
            kind,
            resources,
            out.is_wide(),
            SystemTime::now(),
        )),
    }
}
