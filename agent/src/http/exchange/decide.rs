//! From the head of a request to what is done with it: forward, redirect, fixed response, or refuse.
//!
//! judge the head -> find the rule -> its action; to forward: write the head for the target, pick group and target,
//! connect ([`upstream`](super::upstream)). All by the one table that the request began with.

use std::rc::Rc;

use crate::balance;
use crate::edge::{InForce, Worker};
use crate::matching;
use crate::table::{self, Action, Forward, HttpService, Redirect, Service};

use super::super::body::Body;
use super::super::client::Client;
use super::super::failure::{Failure, Reason};
use super::super::forward::{self, Surroundings};
use super::super::redirect::write_location;
use super::super::request::{Head, Request, Rules, Version};
use super::super::respond::Answer;
use super::super::trace::Seed;
use super::{Exchange, Traits};

impl Exchange {
    /// Begins with a head and what was read after it; says how much of that belongs to the request.
    ///
    /// Whatever goes wrong is answered here, or will be by [`Exchange::poll`].
    pub(in super::super) fn begin(
        &mut self,
        worker: &Worker,
        client: &mut Client,
        in_force: Rc<InForce>,
        head: &Head<'_>,
        rest: &[u8],
    ) -> usize {
        self.enter(client, &in_force);
        self.record.received_bytes = head.length() as u64;
        let Some(listener) = in_force.table.listener(client.flow.listener) else {
            return 0;
        };
        let Service::Http(service) = &listener.service else {
            return 0;
        };
        let mut used = 0;
        if let Err(failure) =
            self.decide(worker, client, (listener, service), head, rest, &mut used)
        {
            // What is left to be done is found by the next poll.
            let _ = self.observe_failure(worker, client, failure);
        }
        used
    }

    /// Begins with bytes that are no head, or with the end of the wait for one.
    pub(in super::super) fn refuse(
        &mut self,
        worker: &Worker,
        client: &mut Client,
        in_force: &Rc<InForce>,
        received_bytes: usize,
        failure: Failure,
    ) {
        self.enter(client, in_force);
        self.record.received_bytes = received_bytes as u64;
        let _ = self.give_up(worker, client, failure);
    }

    fn enter(&mut self, client: &mut Client, in_force: &Rc<InForce>) {
        self.record.times.received = client.first_byte_at.take();
        self.idle_seconds = client.idle_seconds;
        self.in_force = Some(Rc::clone(in_force));
        client.slot.arm(self.idle_seconds);
    }

    fn decide(
        &mut self,
        worker: &Worker,
        client: &Client,
        (listener, service): (&table::Listener, &HttpService),
        head: &Head<'_>,
        rest: &[u8],
        used: &mut usize,
    ) -> Result<(), Failure> {
        self.traits.http10 = head.version == Version::Http10;
        self.traits.to_head = head.method == b"HEAD";
        let rules = Rules {
            drop_invalid_header_fields: service.drop_invalid_header_fields,
        };
        let judged = head.judge(rules);
        if worker.access_log().enabled() {
            let authority = judged.as_ref().map_or_else(
                |_| head.lines.value(b"host"),
                |request| Some(request.target.authority),
            );
            self.record.keep_head(head, authority.unwrap_or_default());
        }
        let request = judged?;
        self.traits = Traits {
            keep_alive: request.keep_alive,
            is_last: !request.keep_alive,
            upgrade: request.upgrade,
            ambiguous: request.ambiguous,
            idempotent: head.is_idempotent(),
            ..self.traits
        };
        self.upload.body = Body::framed(request.framing);
        *used = self
            .upload
            .body
            .take(rest, |_| {})
            .map_err(|_| Failure::Malformed(Reason::Chunk))?;
        self.upload.received_bytes = *used as u64;
        let found = matching::find(
            &service.router,
            &head.view(&request.target, client.flow.peer.ip()),
        );
        self.record.rule_priority = Some(found.priority);
        match found.action {
            Action::Forward(forward) => {
                self.record.action = Some("forward");
                self.write_head(worker, client, (listener, service), head, &request);
                self.upload.buffer.bytes.extend_from_slice(&rest[..*used]);
                self.forward(worker, client, forward)
            }
            Action::Redirect(redirect) => {
                self.record.action = Some("redirect");
                self.redirect(worker, client, redirect, &request, listener.port)
            }
            Action::FixedResponse(response) => {
                self.record.action = Some("fixed-response");
                self.answer(worker, client, &Answer::fixed(response));
                Ok(())
            }
        }
    }

    /// The head for the target, whichever it will be.
    fn write_head(
        &mut self,
        worker: &Worker,
        client: &Client,
        (listener, service): (&table::Listener, &HttpService),
        head: &Head<'_>,
        request: &Request<'_>,
    ) {
        let around = Surroundings {
            peer: client.flow.peer,
            local: client.flow.local,
            listener_port: listener.port,
            preserve_host_header: service.preserve_host_header,
            x_forwarded_for: service.x_forwarded_for,
            seed: Seed {
                unix_seconds: worker.wall().unix_seconds,
                random: [worker.random(), worker.random()],
            },
        };
        let out = &mut self.upload.buffer.bytes;
        let trace_id = forward::write(out, head, request, &around);
        if worker.access_log().enabled() {
            self.record.keep_trace_id(&out[trace_id]);
        }
    }

    fn forward(
        &mut self,
        worker: &Worker,
        client: &Client,
        forward: &Forward,
    ) -> Result<(), Failure> {
        let in_force = self.in_force.clone().ok_or(Failure::NoTarget)?;
        let group = balance::group(forward, worker.random()).ok_or(Failure::NoTarget)?;
        let group = in_force.table.group(group).ok_or(Failure::NoTarget)?;
        self.group = Some(group.id);
        let counters = group.live.counters.of(worker.index);
        let Ok(picked) = balance::pick(group, worker.random()) else {
            counters.no_target.add(1);
            return Err(Failure::NoTarget);
        };
        counters.requests.add(1);
        if picked.fail_open {
            counters.fail_open.add(1);
        }
        self.connect(worker, client, picked.target)
    }

    fn redirect(
        &mut self,
        worker: &Worker,
        client: &Client,
        redirect: &Redirect,
        request: &Request<'_>,
        port: u16,
    ) -> Result<(), Failure> {
        let mut location = Vec::new();
        write_location(&mut location, redirect, &request.target, port)
            .map_err(|_| Failure::RedirectTooLong)?;
        if worker.access_log().enabled() {
            self.record.keep_redirect_url(&location);
        }
        let mut page = Vec::new();
        let answer = Answer {
            location: Some(&location),
            ..Answer::page(redirect.status, &mut page)
        };
        self.answer(worker, client, &answer);
        Ok(())
    }
}
