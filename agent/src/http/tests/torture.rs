//! Many clients and a moody target at once, seeded: bodies of every framing in pieces of every size, targets that die,
//! close, stutter and babble. Every whole response belongs to its request, byte for byte; all else is a 502 or a cut.

use super::*;

const CLIENTS: u64 = 8;
const EXCHANGES: u64 = 80;
const BODY_BYTES_MAX: usize = 120_000;

/// What the bytes of a body are, by the request that they belong to.
fn body_of(id: u64, bytes: usize) -> Vec<u8> {
    (0..bytes as u64)
        .map(|at| (id.wrapping_mul(31) ^ (at / 7)).to_le_bytes()[0])
        .collect()
}

fn size(random: &mut fastrand::Rng) -> usize {
    match random.u8(..4) {
        0 => 0,
        1 => random.usize(..100),
        2 => random.usize(..5_000),
        _ => random.usize(..BODY_BYTES_MAX),
    }
}

/// As chunks of random sizes, with an extension and a trailer now and then.
fn chunked(random: &mut fastrand::Rng, body: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), body);
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(random.usize(1..=rest.len().min(70_000)));
        let extension = if random.bool() { ";a=b" } else { "" };
        out.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
        rest = after;
    }
    out.extend_from_slice(if random.bool() {
        b"0\r\n\r\n"
    } else {
        b"0\r\nA: b\r\n\r\n"
    });
    out
}

/// In up to four pieces. False = the other side does not take them.
async fn send_in_pieces(random: &mut fastrand::Rng, stream: &mut TcpStream, bytes: &[u8]) -> bool {
    let mut rest = bytes;
    for _ in 0..random.usize(..4) {
        let (piece, after) = rest.split_at(random.usize(..=rest.len()));
        if stream.write_all(piece).await.is_err() {
            return false;
        }
        tokio::task::yield_now().await;
        rest = after;
    }
    stream.write_all(rest).await.is_ok()
}

/// Head and body of a message; None = the stream ended before it was whole.
async fn receive(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    let head_end = fill_until(stream, buffer, b"\r\n\r\n").await?;
    let head = String::from_utf8(buffer.drain(..head_end).collect()).unwrap();
    let lower = head.to_ascii_lowercase();
    let mut body = Vec::new();
    if lower.contains("transfer-encoding: chunked") {
        loop {
            let line_end = fill_until(stream, buffer, b"\r\n").await?;
            let line = String::from_utf8(buffer.drain(..line_end).collect()).unwrap();
            let size =
                usize::from_str_radix(line.trim_end().split(';').next().unwrap(), 16).unwrap();
            if size == 0 {
                break;
            }
            fill_to(stream, buffer, size + 2).await?;
            body.extend(buffer.drain(..size));
            assert_eq!(buffer.drain(..2).collect::<Vec<_>>(), b"\r\n");
        }
        while fill_until(stream, buffer, b"\r\n").await? > 2 {
            let end = fill_until(stream, buffer, b"\r\n").await?;
            buffer.drain(..end);
        }
        buffer.drain(..2);
    } else if let Some((_, rest)) = lower.split_once("content-length: ") {
        let length = rest.split_once("\r\n").unwrap().0.parse().unwrap();
        fill_to(stream, buffer, length).await?;
        body.extend(buffer.drain(..length));
    }
    Some((head, body))
}

async fn fill_until(stream: &mut TcpStream, buffer: &mut Vec<u8>, end: &[u8]) -> Option<usize> {
    loop {
        if let Some(at) = memchr::memmem::find(buffer, end) {
            return Some(at + end.len());
        }
        fill(stream, buffer).await?;
    }
}

async fn fill_to(stream: &mut TcpStream, buffer: &mut Vec<u8>, bytes: usize) -> Option<()> {
    while buffer.len() < bytes {
        fill(stream, buffer).await?;
    }
    Some(())
}

async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(buffer).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}

fn id_of(head: &str) -> u64 {
    head.split_once("X-Id: ")
        .unwrap()
        .1
        .split_once("\r\n")
        .unwrap()
        .0
        .parse()
        .unwrap()
}

/// Serves one connection until its mood or the other side ends it.
async fn serve_as_target(mut stream: TcpStream, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut buffer = Vec::new();
    while let Some((head, body)) = receive(&mut stream, &mut buffer).await {
        assert!(
            buffer.is_empty(),
            "a request behind another one that was not answered"
        );
        let id = id_of(&head);
        assert!(
            body == body_of(id, body.len()),
            "request {id} was changed on its way"
        );
        let answer = body_of(id, size(&mut random));
        let framing = random.u8(..3);
        let mut response = format!("HTTP/1.1 200 OK\r\nX-Id: {id}\r\n").into_bytes();
        match framing {
            0 => {
                response.extend_from_slice(
                    format!("Content-Length: {}\r\n\r\n", answer.len()).as_bytes(),
                );
                response.extend_from_slice(&answer);
            }
            1 => {
                response.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                response.extend_from_slice(&chunked(&mut random, &answer));
            }
            _ => {
                response.extend_from_slice(b"Connection: close\r\n\r\n");
                response.extend_from_slice(&answer);
            }
        }
        match random.u8(..20) {
            // Not at all, not whole, or nonsense.
            0 => return,
            1 if framing < 2 => response.truncate(random.usize(..response.len())),
            2 => {
                response =
                    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"
                        .to_vec()
            }
            // Whole, and another one that nobody asked for.
            3 if framing < 2 && response.len() < 10_000 => {
                response
                    .extend_from_slice(b"HTTP/1.1 200 OK\r\nX-Id: 0\r\nContent-Length: 0\r\n\r\n");
                let _ = stream.write_all(&response).await;
                return;
            }
            4 => response
                .splice(0..0, *b"HTTP/1.1 103 Early Hints\r\n\r\n")
                .for_each(drop),
            _ => {
                if !send_in_pieces(&mut random, &mut stream, &response).await || framing == 2 {
                    return;
                }
                continue;
            }
        }
        send_in_pieces(&mut random, &mut stream, &response).await;
        return;
    }
}

/// How many responses were whole.
async fn be_a_client(address: SocketAddr, client: u64) -> u64 {
    let mut random = fastrand::Rng::with_seed(client);
    let (mut connection, mut buffer, mut whole) = (None, Vec::new(), 0);
    for exchange in 0..EXCHANGES {
        let id = 1 + client * EXCHANGES + exchange;
        let body = body_of(id, size(&mut random));
        let mut request = format!("PUT /{id} HTTP/1.1\r\nHost: a\r\nX-Id: {id}\r\n").into_bytes();
        if random.bool() {
            request.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            request.extend_from_slice(&body);
        } else {
            request.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            request.extend_from_slice(&chunked(&mut random, &body));
        }
        if connection.is_none() {
            buffer.clear();
            connection = Some(TcpStream::connect(address).await.unwrap());
        }
        let stream = connection.as_mut().unwrap();
        send_in_pieces(&mut random, stream, &request).await;
        let mut response = receive(stream, &mut buffer).await;
        while response
            .as_ref()
            .is_some_and(|(head, _)| head.starts_with("HTTP/1.1 103 "))
        {
            response = receive(stream, &mut buffer).await;
        }
        let goes_on = match &response {
            Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => {
                assert_eq!(id_of(head), id, "the response to another request");
                assert!(
                    *body == body_of(id, body.len()),
                    "response {id} was changed on its way"
                );
                whole += 1;
                !head.contains("Connection: close")
            }
            Some((head, _)) => {
                assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
                !head.contains("Connection: close")
            }
            None => false,
        };
        if !goes_on {
            connection = None;
        }
    }
    whole
}

#[test]
fn nobody_gets_the_response_to_anothers_request() {
    run(async {
        let Rig {
            worker,
            listener,
            group,
            address,
            target,
            ..
        } = Rig::start().await;
        tokio::task::spawn_local(async move {
            for seed in 0.. {
                let (stream, _) = target.accept().await.unwrap();
                tokio::task::spawn_local(serve_as_target(stream, seed));
            }
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| tokio::task::spawn_local(be_a_client(address, client)))
            .collect();
        let mut whole = 0;
        for client in clients {
            whole += client.await.unwrap();
        }
        assert!(
            whole > CLIENTS * EXCHANGES * 3 / 4,
            "{whole} whole responses"
        );
        let counters = listener.live.counters.of(0);
        assert_eq!(counters.requests.value(), CLIENTS * EXCHANGES);
        until(|| worker.open_connections() == 0).await;
        assert_eq!(
            group.pool.members[0]
                .0
                .in_flight
                .load(std::sync::atomic::Ordering::Relaxed),
            0
        );
    });
}
