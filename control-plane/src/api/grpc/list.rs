//! `Configuration.List`: the resources of a kind, filtered, a page at a time. A function of the state.

use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::{manifest, v1};

use crate::api::filter::Filter;
use crate::api::grpc::configuration::shown;
use crate::api::page::{self, Page};
use crate::api::status::Problem;
use crate::model::State;

/// Resources of a page if the client does not say.
const PAGE_SIZE: u32 = 100;

/// One page. Errors: an argument that cannot be, or a parent that is not there.
pub(crate) fn list(state: &State, request: &v1::ListRequest) -> Result<v1::ListResponse, Problem> {
    let size = page::size(request.page_size, PAGE_SIZE)?;
    let scope = Scope::of(state, request)?;
    let filter = Filter::parse(&request.filter)
        .and_then(|filter| filter.check(scope.kind()).map(|()| filter))
        .map_err(|message| Problem::Argument {
            field: "filter",
            message,
        })?;
    let asked = [
        request.kind.as_str(),
        request.parent.as_str(),
        request.filter.as_str(),
    ];
    let after = after(&asked, &request.page_token)?;

    let mut page = Page::new(size);
    let mut last: Option<&Key> = None;
    let mut response = v1::ListResponse {
        revision: state.revision(),
        ..Default::default()
    };
    for (key, resource) in scope.resources(state) {
        if after.as_ref().is_some_and(|after| key <= after) {
            continue;
        }
        let resource = shown(state, resource);
        if !filter.is_empty() && !filter.matches(&manifest::to_json(&resource, true)) {
            continue;
        }
        if page.push(resource).is_err() {
            let position = last.map(ToString::to_string).unwrap_or_default();
            response.next_page_token = page::seal(&asked, &position);
            break;
        }
        last = Some(key);
    }
    response.resources = page.elements;
    Ok(response)
}

/// Which resources are looked at.
enum Scope {
    /// Those of all kinds; targets come inside their groups.
    All,
    Kind(Kind),
    Children(Key, Kind),
}

type Lent<'a> = (&'a Key, &'a std::sync::Arc<v1::Resource>);

impl Scope {
    fn of(state: &State, request: &v1::ListRequest) -> Result<Self, Problem> {
        let argument = |field, message| Problem::Argument { field, message };
        if request.kind.is_empty() {
            if request.parent.is_empty() {
                return Ok(Self::All);
            }
            let message = "needs a kind: a name may be the parent of several".to_owned();
            return Err(argument("parent", message));
        }
        let kind = kind("kind", &request.kind)?;
        if request.parent.is_empty() {
            return Ok(Self::Kind(kind));
        }
        let parent_kind = kind.parent().ok_or_else(|| {
            let message = format!("a {} has no parent", kind.name());
            argument("parent", message)
        })?;
        let parent = Key::of(parent_kind, &request.parent)
            .map_err(|error| argument("parent", error.to_string()))?;
        if state.get(&parent).is_none() {
            return Err(Problem::NoResource(parent));
        }
        Ok(Self::Children(parent, kind))
    }

    /// The one kind that is looked at; `None` = all.
    fn kind(&self) -> Option<Kind> {
        match self {
            Self::All => None,
            Self::Kind(kind) | Self::Children(_, kind) => Some(*kind),
        }
    }

    fn resources<'a>(&'a self, state: &'a State) -> Box<dyn Iterator<Item = Lent<'a>> + 'a> {
        match self {
            Self::All => {
                let kinds = Kind::ALL.iter().filter(|kind| **kind != Kind::Target);
                Box::new(kinds.flat_map(|kind| state.of_kind(*kind)))
            }
            Self::Kind(kind) => Box::new(state.of_kind(*kind)),
            Self::Children(parent, kind) => Box::new(state.children(parent, *kind)),
        }
    }
}

/// A kind by its manifest name. Errors: there is none such.
pub(crate) fn kind(field: &'static str, name: &str) -> Result<Kind, Problem> {
    Kind::from_name(name).ok_or_else(|| {
        let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        let message = format!("unknown kind '{name}': must be one of {}", known.join(", "));
        Problem::Argument { field, message }
    })
}

fn after(asked: &[&str], token: &str) -> Result<Option<Key>, Problem> {
    if token.is_empty() {
        return Ok(None);
    }
    let position = page::open(asked, token)?;
    let key = position
        .split_once('/')
        .and_then(|(kind, name)| Key::parse(kind, name).ok());
    let key = key.ok_or_else(|| Problem::Argument {
        field: "pageToken",
        message: "is not a token of this list".to_owned(),
    })?;
    Ok(Some(key))
}
