//! Makes one probe over a real socket: a TCP handshake, or one `GET` whose status decides.
//!
//! Knows no thresholds and no schedule. Reads at most `HEAD_BYTES` of a response's head; the body decides nothing,
//! and only as much of it is read as spares well-behaved targets a reset.
//! Source: application load balancer, 9.7; network load balancer, 8.1.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use httparse::Status;
use rustix::io::Errno;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::verdict::{Outcome, Reason};

/// Longest head of a response, interim responses included: as much as the data plane takes.
const HEAD_BYTES: usize = 32 * 1024;
/// Most header lines of a response.
const HEADERS: usize = 128;
/// Most of a body that is read before the connection is closed.
const BODY_BYTES: usize = 64 * 1024;
/// Longest time that is spent on a body.
const BODY_TIME: Duration = Duration::from_millis(200);
/// What one read can bring.
const READ_BYTES: usize = 4 * 1024;

/// What is asked of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Where.
    pub address: SocketAddr,
    /// What.
    pub probe: crate::table::Probe,
    /// Port of the load balancer for `Host`, as network load balancers send it with their own address; None = the
    /// target's address and port, as application load balancers do.
    pub host_port: Option<u16>,
    /// Longest time for all of it.
    pub timeout: Duration,
}

/// A response head as far as it is there.
enum Head {
    /// More is needed.
    Partial,
    /// It ends at this byte.
    Complete {
        status: u16,
        bytes: usize,
        content_length: Option<usize>,
    },
}

/// Asks once. Ends within `question.timeout`.
pub async fn probe(question: &Question) -> Outcome {
    let deadline = Instant::now() + question.timeout;
    match timeout_at(deadline, ask(question)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) if is_ours(&error) => {
            tracing::debug!(address = %question.address, %error, "a health check could not be made");
            Outcome::NotMade
        }
        // The target's host, or the network, gave up before we did.
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
            Outcome::Failed(Reason::Timeout)
        }
        Ok(Err(_)) => Outcome::Failed(Reason::FailedHealthChecks),
        Err(_) => Outcome::Failed(Reason::Timeout),
    }
}

async fn ask(question: &Question) -> io::Result<Outcome> {
    let stream = TcpStream::connect(question.address).await?;
    // The kernel may choose the very port that nobody listens on, and connect the socket with itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    match &question.probe {
        crate::table::Probe::Tcp => Ok(Outcome::Passed),
        crate::table::Probe::Http { path, matcher } => {
            let host = host(question, stream.local_addr()?);
            let status = get(stream, path, &host).await?;
            let passed = matcher
                .iter()
                .any(|(low, high)| (*low..=*high).contains(&status));
            Ok(match passed {
                true => Outcome::Passed,
                false => Outcome::Failed(Reason::ResponseCodeMismatch { status }),
            })
        }
    }
}

/// The value of `Host`: the port is left out where it is HTTP's own.
fn host(question: &Question, local: SocketAddr) -> String {
    let host = match question.host_port {
        Some(port) => SocketAddr::new(local.ip(), port),
        None => question.address,
    };
    match (host.port(), host.is_ipv6()) {
        (80, true) => format!("[{}]", host.ip()),
        (80, false) => host.ip().to_string(),
        _ => host.to_string(),
    }
}

/// Status of the final response.
async fn get(mut stream: TcpStream, path: &str, host: &str) -> io::Result<u16> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: ELB-HealthChecker/2.0\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut received = Vec::with_capacity(READ_BYTES);
    let mut seen = 0;
    loop {
        match head(&received[seen..])? {
            // Not the answer yet; there is nothing that this request could be switched to.
            Head::Complete { status, bytes, .. } if (100..200).contains(&status) => {
                if status == 101 {
                    return Ok(status);
                }
                seen += bytes;
            }
            Head::Complete {
                status,
                bytes,
                content_length,
            } => {
                let body = received.len() - seen - bytes;
                // Whatever becomes of the body, the target has answered.
                let _ = timeout(BODY_TIME, read_body(&mut stream, body, content_length)).await;
                return Ok(status);
            }
            Head::Partial if received.len() >= HEAD_BYTES => return Err(malformed()),
            Head::Partial => {
                if stream.read_buf(&mut received).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
    }
}

fn head(received: &[u8]) -> io::Result<Head> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let Status::Complete(bytes) = response.parse(received).map_err(|_| malformed())? else {
        return Ok(Head::Partial);
    };
    let status = response.code.ok_or_else(malformed)?;
    if !(100..=999).contains(&status) {
        return Err(malformed());
    }
    let content_length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse().ok());
    Ok(Head::Complete {
        status,
        bytes,
        content_length,
    })
}

/// Closing on unread bytes sends a reset, which many targets log as an error: so reads what is soon there, and ends
/// where the target says that the body does.
async fn read_body(
    stream: &mut TcpStream,
    mut read: usize,
    content_length: Option<usize>,
) -> io::Result<()> {
    let mut scratch = [0; READ_BYTES];
    let end = content_length.unwrap_or(BODY_BYTES).min(BODY_BYTES);
    while read < end {
        match stream.read(&mut scratch).await? {
            0 => break,
            more => read += more,
        }
    }
    Ok(())
}

fn malformed() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// Whether it is this host that lacks something.
fn is_ours(error: &io::Error) -> bool {
    let ours = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::ADDRNOTAVAIL,
    ];
    Errno::from_io_error(error).is_some_and(|errno| ours.contains(&errno))
}

#[cfg(test)]
mod tests;
