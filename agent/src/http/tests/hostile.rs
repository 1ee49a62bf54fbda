//! Targets that are broken or mean, in one table: for each what the client sees to the byte, what the access log and
//! the counters say, and that whoever asks next on the same worker gets the answer to its own question.

mod world;

use serde_json::json;

use super::*;

use world::{Does, Sees, Then, World, cut, failed, heard, made, made_after, passed, says, sees};

const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
const OLD_GET: &str = "GET / HTTP/1.0\r\nHost: a\r\n\r\n";
/// A body that never comes.
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";

const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nok\r\n0\r\nA: b\r\n\r\n";

#[test]
fn a_target_that_says_nothing_or_stops_is_given_up() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    let half_chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha";
    let endless = "HTTP/1.1 200 OK\r\n\r\nhalf";
    let rechunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    let old = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf";
    let timeout = "TargetTimeout";
    run(async move {
        let mut world = World::start().await;
        let cases = [
            ("nothing", GET, "", made(504), failed(504, timeout)),
            (
                "half a head",
                GET,
                "HTTP/1.1 200 OK\r\nContent-",
                made(504),
                failed(504, timeout),
            ),
            (
                "an interim response",
                GET,
                INTERIM,
                made_after(INTERIM, 504),
                failed(504, timeout),
            ),
            (
                "half a body",
                GET,
                half,
                sees(half, Then::Ends),
                cut(200, timeout),
            ),
            (
                "half a chunk",
                GET,
                half_chunk,
                sees(half_chunk, Then::Ends),
                cut(200, timeout),
            ),
            (
                "no end",
                GET,
                endless,
                sees(rechunked, Then::Ends),
                cut(200, timeout),
            ),
            (
                "no end, for HTTP/1.0",
                OLD_GET,
                endless,
                sees(old, Then::IsReset),
                cut(200, timeout),
            ),
        ];
        for (case, request, bytes, sees, log) in cases {
            let mut does = vec![says(bytes), Does::Waits];
            if sees.made.is_none() {
                does.insert(1, heard(&*sees.bytes));
            }
            let sees = match sees.made {
                None => Sees {
                    bytes: String::new(),
                    ..sees
                },
                Some(_) => sees,
            };
            world.play(case, request, does, sees, log).await;
        }
        world.end().await;
    });
}

#[test]
fn a_target_that_does_not_read_is_given_up() {
    run(async {
        let mut world = World::start().await;
        let put = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n";
        let (mut client, _target) = world.rig.exchange(put).await;
        let body = vec![b'x'; 1024 * 1024];
        // Until there is no room for more anywhere.
        while let Ok(sent) = timeout(Duration::from_millis(200), client.0.write(&body)).await {
            assert!(sent.unwrap() > 0);
        }
        settled(&world.rig, 1).await;
        world.rig.advance(10.5);
        client.expect_made(504).await;
        assert_eq!(world.rig.made(504), 1);
        drop(client);
        until(|| world.rig.worker.open_connections() == 0).await;
        let line = json!({ "status": 504, "errorReason": "TargetTimeout", "fault": "target" });
        world.lines.push(("no reader".to_owned(), line));
        let mut other = world.rig.client().await;
        world.ask("no reader", &mut other).await;
        world.end().await;
    });
}

#[test]
fn whatever_is_no_response_is_a_502() {
    let ok = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\n");
    let cases = [
        ("garbage", "garbage\r\n\r\n".to_owned()),
        ("HTTP/0.9", "<html></html>\n".to_owned()),
        ("SSH", "SSH-2.0-OpenSSH_9.2\r\n".to_owned()),
        ("a TLS alert", "\x15\x03\x01\x00\x02\x02\x46".to_owned()),
        (
            "HTTP/2",
            "\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64".to_owned(),
        ),
        ("a request", GET.to_owned()),
        ("an empty line first", format!("\r\n{OK}")),
        (
            "two lengths",
            format!("{}ab", ok("Content-Length: 1\r\nContent-Length: 2\r\n")),
        ),
        (
            "a length beyond numbers",
            ok("Content-Length: 18446744073709551616\r\n"),
        ),
        (
            "a length and chunks",
            format!(
                "{}0\r\n\r\n",
                ok("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n")
            ),
        ),
        ("another coding", ok("Transfer-Encoding: gzip, chunked\r\n")),
        ("a folded line", ok("A: b\r\n c\r\nContent-Length: 0\r\n")),
        ("a lone CR", ok("A: b\rContent-Length: 5\r\n")),
        ("a lone LF", ok("A: b\nContent-Length: 5\r\n")),
        ("NUL", ok("A: \0\r\n")),
        (
            "chunks that are none",
            format!("{}x\r\n", ok("Transfer-Encoding: chunked\r\n")),
        ),
        (
            "a chunk beyond numbers",
            format!(
                "{}fffffffffffffffff\r\n",
                ok("Transfer-Encoding: chunked\r\n")
            ),
        ),
        (
            "an upgrade that nobody wants",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n".to_owned(),
        ),
        (
            "an upgrade and a response",
            format!("HTTP/1.1 101 Switching Protocols\r\n\r\n{OK}"),
        ),
    ];
    run(async move {
        let mut world = World::start().await;
        for (case, bytes) in cases {
            let log = failed(502, "TargetInvalidResponse");
            world
                .play(case, GET, vec![says(bytes)], made(502), log)
                .await;
        }
        // Where the first part of it was passed on, the rest is not.
        let (head, bad) = (
            ok("Transfer-Encoding: chunked\r\n"),
            "2\r\nok\r\n2 \r\nok\r\n",
        );
        let log = cut(200, "TargetInvalidResponse");
        let does = vec![says(&*head), heard(head), says(bad)];
        let none = sees("", Then::Ends);
        world.play("a bad chunk later", GET, does, none, log).await;
        let does = vec![says(INTERIM), heard(INTERIM), says("garbage\r\n\r\n")];
        let log = failed(502, "TargetInvalidResponse");
        world
            .play("garbage after an interim", GET, does, made(502), log)
            .await;
        world.end().await;
    });
}

#[test]
fn a_flood_is_bounded_whatever_it_is_made_of() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let many_interims = INTERIM.repeat(16);
    let invalid = "TargetInvalidResponse";
    let too_large = "TargetResponseHeadersTooLarge";
    run(async move {
        let mut world = World::start().await;
        let cases = [
            (
                "interim responses",
                "",
                INTERIM,
                made_after(&many_interims, 502),
                failed(502, invalid),
            ),
            (
                "headers",
                "HTTP/1.1 200 OK\r\n",
                "A: b\r\n",
                made(502),
                failed(502, too_large),
            ),
            (
                "one header",
                "HTTP/1.1 200 OK\r\nA: ",
                "bbbbbbbbbbbbbbbbbbb",
                made(502),
                failed(502, too_large),
            ),
            (
                "a body beyond its length",
                OK,
                OK,
                sees(OK, Then::GoesOn),
                passed(200),
            ),
            (
                "a body beyond its chunks",
                CHUNKED,
                CHUNKED,
                sees(CHUNKED, Then::GoesOn),
                passed(200),
            ),
            (
                "extensions",
                chunked,
                "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\na\r\n",
                sees(chunked, Then::EndsLater),
                cut(200, invalid),
            ),
            (
                "trailers",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
                "A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n",
                sees(chunked, Then::EndsLater),
                cut(200, invalid),
            ),
        ];
        for (case, begins, piece, sees, log) in cases {
            let mut does = vec![says(begins), Does::Floods(piece)];
            // What was heard before is not taken back.
            let mut sees = sees;
            if sees.made.is_none() {
                does.insert(1, heard(std::mem::take(&mut sees.bytes)));
            }
            world.play(case, GET, does, sees, log).await;
        }
        world.end().await;
    });
}

#[test]
fn what_comes_after_a_response_is_nobodys() {
    let no_content = "HTTP/1.1 204 No Content\r\n\r\n";
    let not_modified = "HTTP/1.1 304 Not Modified\r\nContent-Length: 80\r\n\r\n";
    let to_head = "HTTP/1.1 200 OK\r\nContent-Length: 80\r\n\r\n";
    let cases = [
        (GET, OK, 200),
        (GET, CHUNKED, 200),
        (GET, no_content, 204),
        (GET, not_modified, 304),
        (HEAD, to_head, 200),
    ];
    let surplus = ["x", OK, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"];
    run(async move {
        let mut world = World::start().await;
        for (request, response, status) in cases {
            for more in surplus {
                let together = vec![says(format!("{response}{more}"))];
                let whole = sees(response, Then::GoesOn);
                world
                    .play("together", request, together, whole, passed(status))
                    .await;
                // While the connection is kept.
                let later = vec![says(response), heard(response), says(more)];
                let none = sees("", Then::GoesOn);
                world
                    .play("later", request, later, none, passed(status))
                    .await;
            }
        }
        world.end().await;
    });
}

#[test]
fn a_connection_that_has_said_more_is_not_taken_again_however_soon() {
    run(async {
        let mut world = World::start().await;
        for response in [OK, CHUNKED] {
            for again_by_another in [false, true] {
                let mut client = world.rig.client().await;
                client.send(GET).await;
                let mut target = world.rig.target().await;
                target.head().await;
                target.send(response).await;
                client.expect(response).await;
                let line = world.line(passed(200), GET, response.len());
                world.lines.push(("before".to_owned(), line));
                // No sweep has found it yet.
                target.send(OK).await;
                assert_eq!(world.rig.worker.upstreams().idle(), 1);
                if again_by_another {
                    client = world.rig.client().await;
                }
                world.ask("surplus", &mut client).await;
            }
        }
        world.end().await;
    });
}

#[test]
fn an_answer_that_comes_too_early_ends_both_connections() {
    run(async {
        let mut world = World::start().await;
        for status in [200, 413] {
            let response = format!("HTTP/1.1 {status} Early\r\nContent-Length: 2\r\n\r\nno");
            let seen = format!(
                "HTTP/1.1 {status} Early\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
            );
            for closes in [false, true] {
                let mut does = vec![says(&*response)];
                if closes {
                    does.push(Does::Closes);
                }
                let sees = sees(&*seen, Then::Ends);
                world.play("early", POST, does, sees, passed(status)).await;
            }
        }
        // Early and not whole.
        let does = vec![says("HTTP/1.1 200 OK\r\nContent-Le"), Does::Closes];
        let mut ends = made(502);
        ends.then = Then::Ends;
        let log = failed(502, "TargetClosed");
        world.play("early half", POST, does, ends, log).await;
        world.end().await;
    });
}

/// How much of a response the client has seen when so many bytes of it came, and whether it is whole then if the
/// target closes in order.
type Seen = fn(&str, usize) -> (String, bool);

/// As it comes, from the end of its head.
fn as_it_comes(response: &str, length: usize) -> (String, bool) {
    let head_end = response.find("\r\n\r\n").unwrap() + 4;
    let seen = if length < head_end { 0 } else { length };
    (response[..seen].to_owned(), length == response.len())
}

/// An interim response, and then as it comes.
fn behind_an_interim(response: &str, length: usize) -> (String, bool) {
    let Some(length) = length.checked_sub(INTERIM.len()) else {
        return (String::new(), false);
    };
    let (seen, whole) = as_it_comes(&response[INTERIM.len()..], length);
    (format!("{INTERIM}{seen}"), whole)
}

/// Framed by us.
fn in_chunks(response: &str, length: usize) -> (String, bool) {
    let (seen, _) = as_it_comes(response, length);
    let Some((head, body)) = seen.split_once("\r\n\r\n") else {
        return (seen, false);
    };
    let chunk = match body.len() {
        0 => String::new(),
        length => format!("{length:x}\r\n{body}\r\n"),
    };
    let seen = format!("{head}\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
    (seen, true)
}

/// Ended by closing.
fn for_an_old_client(response: &str, length: usize) -> (String, bool) {
    let (seen, _) = as_it_comes(response, length);
    let whole = !seen.is_empty();
    (
        seen.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1),
        whole,
    )
}

#[test]
fn a_target_may_close_or_reset_after_any_byte() {
    let endless = "HTTP/1.1 200 OK\r\n\r\nhello";
    let behind = format!("{INTERIM}{OK}");
    let no_content = "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n";
    let cases: [(&str, &str, &str, Seen); 6] = [
        ("length", GET, OK, as_it_comes),
        ("chunks", GET, CHUNKED, as_it_comes),
        ("no body", GET, no_content, as_it_comes),
        ("interim", GET, &behind, behind_an_interim),
        ("no end", GET, endless, in_chunks),
        ("no end, HTTP/1.0", OLD_GET, endless, for_an_old_client),
    ];
    run(async move {
        let mut world = World::start().await;
        for (name, request, response, seen) in cases {
            // Whether it ends by closing, and how.
            let by_end = name.starts_with("no end");
            let last = if name == "no end" { "0\r\n\r\n" } else { "" };
            for length in 0..=response.len() {
                for by_reset in [false, true] {
                    let case = format!("{name} {length} reset {by_reset}");
                    let (seen, whole) = seen(response, length);
                    let is_answered = seen.contains("HTTP/1.1 20");
                    let whole = is_answered && whole && !(by_end && by_reset);
                    let closes = if by_reset { Does::Resets } else { Does::Closes };
                    let does = vec![says(&response[..length]), heard(&*seen), closes];
                    let status = if name == "no body" { 204 } else { 200 };
                    let (sees, log) = match (is_answered, whole) {
                        (false, _) => (made(502), failed(502, "TargetClosed")),
                        (true, true) if by_end && name == "no end" => {
                            (sees(last, Then::GoesOn), passed(status))
                        }
                        (true, true) if by_end => (sees("", Then::Ends), passed(status)),
                        (true, true) => (sees("", Then::GoesOn), passed(status)),
                        (true, false) if request == OLD_GET => {
                            (sees("", Then::IsReset), cut(status, "TargetClosed"))
                        }
                        (true, false) => (sees("", Then::Ends), cut(status, "TargetClosed")),
                    };
                    let sees = match (sees.made, request) {
                        // It has no keep-alive.
                        (Some(_), OLD_GET) => Sees {
                            then: Then::Ends,
                            ..sees
                        },
                        _ => sees,
                    };
                    world.play(&case, request, does, sees, log).await;
                }
            }
        }
        let errors = world.rig.group_counters().connection_errors.value();
        let cut = world.lines.iter();
        let cut = cut.filter(|(_, line)| line["errorReason"] == "TargetClosed");
        assert_eq!(errors, cut.count() as u64);
        world.end().await;
    });
}
