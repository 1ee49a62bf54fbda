//! What a strict reader has against the head that a target gets.

use inlet_agent::http::forward::Surroundings;
use inlet_agent::http::head::Framing;
use inlet_agent::http::request::{Head, Request};
use inlet_agent::table::XForwardedFor;

use crate::fuzz::strict::{Body, Strict, is_token};

/// Headers that speak of one connection only, or that we say ourselves: never as the client sent them.
const NEVER_COPIED: [&str; 9] = [
    "te",
    "keep-alive",
    "proxy-connection",
    "http2-settings",
    "connection",
    "upgrade",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-amzn-trace-id",
];

/// Errors: the first thing that is not canonical, or not what the agent meant.
pub(super) fn judge(
    strict: &Strict<'_>,
    head: &Head<'_>,
    request: &Request<'_>,
    around: &Surroundings,
) -> Result<(), String> {
    let mut words = strict.first.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(b"HTTP/1.1"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("not three words".to_owned());
    };
    if method != head.method || !method.iter().all(|byte| is_token(*byte)) {
        return Err("another method".to_owned());
    }
    if !target.starts_with(b"/") && target != b"*"
        || target.iter().any(|byte| *byte <= b' ' || *byte == 0x7f)
    {
        return Err("not a path".to_owned());
    }
    let host = strict.only("host")?;
    if host.is_empty()
        || host.starts_with(b":")
        || host
            .iter()
            .any(|byte| b" ,/@?#\\\t".contains(byte) || *byte >= 0x7f)
    {
        return Err("no host".to_owned());
    }
    let expected = match request.framing {
        Framing::Empty => Body::Unframed,
        Framing::Length(length) => Body::Length(length),
        Framing::Chunked => Body::Chunked,
        Framing::UntilClose => return Err("a request without end".to_owned()),
    };
    if strict.body()? != expected {
        return Err(format!(
            "framed by {:?}, meant as {expected:?}",
            strict.body()?
        ));
    }
    connection(strict, request)?;
    forwarded(strict, around)?;
    copied(strict, head, around)
}

fn connection(strict: &Strict<'_>, request: &Request<'_>) -> Result<(), String> {
    let expected: &[&[u8]] = match (request.upgrade, request.ambiguous) {
        (true, _) => &[b"Upgrade"],
        (false, true) => &[b"close"],
        (false, false) => &[],
    };
    if strict.all("connection") != expected {
        return Err(format!("Connection is not {expected:?}"));
    }
    if strict.all("upgrade").is_empty() == request.upgrade {
        return Err("Upgrade without Connection, or the other way round".to_owned());
    }
    let ends_here = ["te", "keep-alive", "proxy-connection", "http2-settings"];
    match ends_here.iter().find(|name| !strict.all(name).is_empty()) {
        Some(name) => Err(format!("{name} goes on")),
        None => Ok(()),
    }
}

fn forwarded(strict: &Strict<'_>, around: &Surroundings) -> Result<(), String> {
    strict.only("x-amzn-trace-id")?;
    if strict.only("x-forwarded-proto")? != b"http"
        || strict.only("x-forwarded-port")? != around.listener_port.to_string().as_bytes()
    {
        return Err("not our own X-Forwarded-*".to_owned());
    }
    let addresses = strict.all("x-forwarded-for");
    match around.x_forwarded_for {
        XForwardedFor::Append { .. } => {
            let peer = around.peer.ip().to_string();
            let last = strict
                .only("x-forwarded-for")?
                .split(|byte| *byte == b',')
                .next_back();
            let last = String::from_utf8_lossy(last.unwrap_or_default()).into_owned();
            if last.contains(&peer) {
                Ok(())
            } else {
                Err(format!("{last} is not {peer}"))
            }
        }
        XForwardedFor::Remove if !addresses.is_empty() => Err("X-Forwarded-For goes on".to_owned()),
        XForwardedFor::Preserve | XForwardedFor::Remove => Ok(()),
    }
}

/// What is not ours stands in the client's head, in the same order and with the same value.
fn copied(strict: &Strict<'_>, head: &Head<'_>, around: &Surroundings) -> Result<(), String> {
    let mut sent = head.lines.raw.split(|byte| *byte == b'\n').skip(1);
    let appended = matches!(around.x_forwarded_for, XForwardedFor::Append { .. });
    let ours = |name: &str| {
        NEVER_COPIED.contains(&name)
            || matches!(name, "host" | "content-length" | "transfer-encoding")
            || name == "x-forwarded-for" && appended
    };
    for (name, value) in strict.headers.iter().filter(|(name, _)| !ours(name)) {
        let is_it = |line: &[u8]| {
            let colon = line
                .iter()
                .position(|byte| *byte == b':')
                .unwrap_or(line.len());
            let (sent_name, sent_value) = line.split_at(colon);
            sent_name.eq_ignore_ascii_case(name.as_bytes())
                && sent_value
                    .strip_prefix(b":")
                    .unwrap_or_default()
                    .trim_ascii()
                    == *value
        };
        if !sent.any(is_it) {
            return Err(format!("{name} is not as it was sent"));
        }
    }
    Ok(())
}
