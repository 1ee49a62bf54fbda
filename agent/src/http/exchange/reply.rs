//! What the client gets: the target's response, or ours.
//!
//! Decides whether the two connections may go on after it. Which status and words an answer of ours has is decided by
//! [`respond`](super::super::respond).

use std::time::Instant;

use crate::edge::Worker;

use super::super::body::Body;
use super::super::client::Client;
use super::super::failure::Failure;
use super::super::head::{Framing, HEADERS_MAX};
use super::super::respond::{Answer, Persistence};
use super::super::response::{Coding, Response};
use super::download::State;
use super::{End, Exchange};

/// Interim responses to one request.
const INTERIMS_MAX: u8 = 16;

impl Exchange {
    /// Heads of responses, from the first byte of one: interim ones, until the final one, and what follows it.
    pub(super) fn observe_heads(
        &mut self,
        worker: &Worker,
        client: &Client,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        let mut at = 0;
        while self.download.is_awaiting() && !self.is_upgraded() {
            let mut room = [const { std::mem::MaybeUninit::uninit() }; HEADERS_MAX];
            let Some(response) = Response::parse(&bytes[at..], &mut room, self.traits.to_head)?
            else {
                self.download.keep_head(&bytes[at..]);
                return Ok(());
            };
            at += response.length();
            match response.status {
                101 => self.observe_upgrade(&response, &bytes[at..])?,
                100..=199 => self.observe_interim(&response)?,
                _ => self.observe_response(
                    worker,
                    client,
                    &response,
                    &bytes[at - response.length()..],
                )?,
            }
            if at == bytes.len() {
                break;
            }
        }
        Ok(())
    }

    fn observe_interim(&mut self, response: &Response<'_>) -> Result<(), Failure> {
        self.download.interims += 1;
        if self.download.interims > INTERIMS_MAX {
            return Err(Failure::ResponseMalformed);
        }
        // HTTP/1.0 has none (RFC 9110, 15.2).
        if !self.traits.http10 {
            response.write(
                &mut self.download.buffer.bytes,
                Coding::AsIs,
                Persistence::Default,
            );
        }
        Ok(())
    }

    fn observe_upgrade(&mut self, response: &Response<'_>, rest: &[u8]) -> Result<(), Failure> {
        if !self.traits.upgrade || !self.upload.is_done() {
            return Err(Failure::ResponseMalformed);
        }
        self.note_answer(101);
        response.write(
            &mut self.download.buffer.bytes,
            Coding::AsIs,
            Persistence::Default,
        );
        self.download.buffer.bytes.extend_from_slice(rest);
        Ok(())
    }

    /// The final response, from its first byte: what can be sent of it is sent.
    fn observe_response(
        &mut self,
        worker: &Worker,
        client: &Client,
        response: &Response<'_>,
        from_head: &[u8],
    ) -> Result<(), Failure> {
        let rest = &from_head[response.length()..];
        let coding = response.coding(!self.traits.http10);
        self.ends_by_close = match coding {
            Coding::AsIs => response.framing == Framing::UntilClose,
            Coding::Chunk => false,
            Coding::Unchunk => true,
        };
        let is_framed = !self.ends_by_close;
        self.keeps_client = is_framed && self.upload.is_done() && self.may_keep(worker, client);
        let persistence = self.persistence();
        self.download.keeps_target = response.keep_alive && self.upload.is_done();
        self.download.state = State::Body(Body::framed(response.framing), coding);
        self.download.end_if_done();
        let waiting = self.download.buffer.bytes.len();
        let taken = self.download.take(rest);
        if taken.is_err() {
            // Nothing of it was sent: there is still time for an answer of ours.
            self.download.buffer.bytes.truncate(waiting);
            self.download.state = State::Awaiting;
        }
        let pass = taken?;
        self.note_answer(response.status);
        if response.goes_on_unchanged(coding, persistence) {
            let raw = &from_head[..response.length() + pass];
            self.download
                .buffer
                .send_now(&client.stream, raw, &mut self.download.sent_bytes);
            return Ok(());
        }
        let mut head = worker.output();
        response.write(&mut head, coding, persistence);
        let download = &mut self.download;
        if coding == Coding::AsIs {
            download.buffer.send_both_now(
                &client.stream,
                &head,
                &rest[..pass],
                &mut download.sent_bytes,
            );
        } else {
            // What was coded is in the buffer already, and the head goes before it.
            download
                .buffer
                .bytes
                .splice(waiting..waiting, head.iter().copied());
        }
        Ok(())
    }

    /// Writes an answer of ours; the exchange ends when it is sent.
    pub(super) fn answer(&mut self, worker: &Worker, client: &Client, answer: &Answer<'_>) {
        self.keeps_client = self.upload.body.is_done() && self.may_keep(worker, client);
        self.record.status = answer.status;
        let persistence = self.persistence();
        let out = &mut self.download.buffer.bytes;
        answer.write(out, &worker.wall(), persistence, self.traits.to_head);
        self.download.state = State::Done;
    }

    /// The failure is final. Answers it if nothing was answered yet; Some = there is nothing to be sent.
    pub(super) fn give_up(
        &mut self,
        worker: &Worker,
        client: &Client,
        failure: Failure,
    ) -> Option<End> {
        // The first one explains the status; a client that does not take our answer is the second.
        self.record.failure.get_or_insert(failure);
        self.upstream = None;
        client.slot.arm(self.idle_seconds);
        if matches!(failure, Failure::ClientGone | Failure::ClientStalled)
            || !self.download.is_awaiting()
        {
            if self.record.status == 0 {
                self.record.status = failure.status();
            }
            return Some(End::Cut {
                reset: self.ends_by_close,
            });
        }
        self.answer(
            worker,
            client,
            &Answer::page(failure.status(), &mut Vec::new()),
        );
        None
    }

    fn note_answer(&mut self, status: u16) {
        self.record.status = status;
        self.record.target_status = Some(status);
        let now = Instant::now();
        self.record.times.sent.get_or_insert(now);
        self.record.times.answered = Some(now);
    }

    /// Nothing but this response speaks against another request on the client's connection.
    fn may_keep(&self, worker: &Worker, client: &Client) -> bool {
        self.traits.keep_alive && !self.traits.ambiguous && !client.is_closing(worker)
    }

    fn persistence(&self) -> Persistence {
        match (self.keeps_client, self.traits.http10) {
            (true, false) => Persistence::Default,
            (true, true) => Persistence::KeepAlive,
            (false, _) => Persistence::Close,
        }
    }
}
