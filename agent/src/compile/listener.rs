//! Listener, with what its LoadBalancer says -> [`Listener`].

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use inlet_proto::defaults;
use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::load_balancer::Type;
use inlet_proto::v1::resource::Kind as Body;

use super::draft::Draft;
use super::references::Layer;
use super::{action, references, rules};
use crate::table::{
    Action, Forward, HttpService, Listener, ListenerId, Router, Service, TcpService, XForwardedFor,
};

/// Makes the listener of this name, or takes it out if it is gone.
pub(super) fn compile(draft: &mut Draft<'_>, key: &Key) {
    match draft.view.get(key).map(|resource| &resource.kind) {
        None => {
            draft.remove_listener(&key.name);
            refuse_rules(draft, key, &format!("Listener {} is not there", key.name));
        }
        Some(Some(Body::Listener(message))) if !draft.is_malformed(key) => {
            match make(draft, key, message) {
                Some(listener) => draft.put_listener(listener),
                None => draft.remove_listener(&key.name),
            }
        }
        Some(_) => draft.remove_listener(&key.name),
    }
}

/// None = it cannot be made, which is told.
fn make(draft: &mut Draft<'_>, key: &Key, message: &v1::Listener) -> Option<Listener> {
    // Both before either is given up: all reasons are told at once.
    let routes = routes(draft, key, message);
    let balancer = balancer(draft, key, message)?;
    let service = match routes? {
        Routes::Http(router) => Service::Http(Box::new(http(router, balancer))),
        Routes::Tcp(forward) => Service::Tcp(TcpService {
            forward,
            idle_timeout: defaults::tcp_idle_timeout(message),
        }),
    };
    let port = u16::try_from(message.port).unwrap_or_default();
    let addresses: BTreeSet<_> = defaults::addresses(balancer)
        .into_iter()
        .map(|address| SocketAddr::new(address, port))
        .collect();
    let (id, live) = draft.registry.listener(&key.name);
    Some(Listener {
        id: ListenerId(id),
        name: Arc::clone(&live.name),
        load_balancer: balancer.name.as_str().into(),
        addresses: addresses.into_iter().collect(),
        port,
        service,
        live,
    })
}

/// Its load balancer, if it is there and has listeners of this protocol.
fn balancer<'a>(
    draft: &mut Draft<'a>,
    key: &Key,
    message: &v1::Listener,
) -> Option<&'a v1::LoadBalancer> {
    let Some((balancer_key, balancer)) = draft.load_balancer(&message.load_balancer) else {
        let message = format!("LoadBalancer {} is not there", message.load_balancer);
        draft.reasons.refuse(key, message);
        return None;
    };
    if draft.is_malformed(balancer_key) {
        return None;
    }
    let kind = balancer.r#type();
    let fits = match message.protocol() {
        v1::Protocol::Http => kind == Type::Application,
        v1::Protocol::Tcp => kind == Type::Network,
        // Not served at all, which is told already.
        _ => false,
    };
    if !fits {
        let (protocol, kind) = (message.protocol().as_str_name(), kind.as_str_name());
        let name = &balancer.name;
        let message = format!("LoadBalancer {name} is {kind}: it has no {protocol} listeners");
        draft.reasons.refuse(key, message);
    }
    fits.then_some(balancer)
}

/// Where a listener's traffic goes.
enum Routes {
    Http(Arc<Router>),
    Tcp(Forward),
}

fn routes(draft: &mut Draft<'_>, key: &Key, message: &v1::Listener) -> Option<Routes> {
    match message.protocol() {
        v1::Protocol::Http => router(draft, key, message).map(Routes::Http),
        v1::Protocol::Tcp => forward(draft, key, message).map(Routes::Tcp),
        protocol => {
            let protocol = protocol.as_str_name();
            let message = format!(
                "a listener with the protocol {protocol} is not supported by this agent version yet"
            );
            draft.reasons.refuse(key, message);
            None
        }
    }
}

fn http(router: Arc<Router>, balancer: &v1::LoadBalancer) -> HttpService {
    let attributes = defaults::application(balancer);
    HttpService {
        router,
        idle_timeout: attributes.idle_timeout,
        client_keep_alive: attributes.client_keep_alive,
        drop_invalid_header_fields: attributes.drop_invalid_header_fields,
        preserve_host_header: attributes.preserve_host_header,
        x_forwarded_for: match attributes.x_forwarded_for {
            v1::x_forwarded_for::Mode::Preserve => XForwardedFor::Preserve,
            v1::x_forwarded_for::Mode::Remove => XForwardedFor::Remove,
            v1::x_forwarded_for::Mode::Append | v1::x_forwarded_for::Mode::Unspecified => {
                XForwardedFor::Append {
                    client_port: attributes.client_port,
                }
            }
        },
    }
}

/// The router before, as far as neither the listener nor one of its rules changed.
fn router(draft: &mut Draft<'_>, key: &Key, message: &v1::Listener) -> Option<Arc<Router>> {
    let before = draft.listener_before(&key.name);
    let before = before.and_then(|listener| match &listener.service {
        Service::Http(service) => Some(&service.router),
        Service::Tcp(_) => None,
    });
    let known_default = before.filter(|_| !draft.changed.contains(key));
    let known_rules = before.filter(|_| !draft.has_changed_children(Kind::Rule, &key.name));
    let default = match known_default {
        Some(router) => Some(router.default.clone()),
        None => action::compile(draft, key, &message.default_actions, Layer::Http),
    };
    let rules = match known_rules {
        Some(router) => Arc::clone(&router.rules),
        None => Arc::new(rules::compile(
            draft,
            key,
            before.map(|router| &*router.rules),
        )),
    };
    references::rules(draft, key, &rules);
    match before {
        Some(router) if known_default.is_some() && known_rules.is_some() => {
            references::default(draft, key, &router.default);
            Some(Arc::clone(router))
        }
        _ => Some(Arc::new(Router {
            default: default?,
            rules,
        })),
    }
}

fn forward(draft: &mut Draft<'_>, key: &Key, message: &v1::Listener) -> Option<Forward> {
    let refusal = format!("Listener {} is TCP: rules need HTTP", key.name);
    refuse_rules(draft, key, &refusal);
    match action::compile(draft, key, &message.default_actions, Layer::Tcp)? {
        Action::Forward(forward) => Some(forward),
        Action::Redirect(_) | Action::FixedResponse(_) => {
            draft.reasons.refuse(key, "a TCP listener can only forward");
            None
        }
    }
}

/// Rules that have no listener which could follow them.
fn refuse_rules(draft: &mut Draft<'_>, listener: &Key, message: &str) {
    let rules: Vec<_> = draft.children(Kind::Rule, &listener.name).collect();
    for (rule, _) in rules {
        draft.reasons.refuse(rule, message);
    }
}
