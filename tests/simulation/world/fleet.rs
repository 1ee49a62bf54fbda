//! The agents' side of the world: what arrives, what they say, what they do when their stream is over.

use inlet_agent::discovery::exchange::{CloseReason, Output};
use inlet_agent::discovery::retry::{Loss, SETTLED_AFTER};
use inlet_proto::v1;
use inlet_proto::v1::agent_message::Kind as Say;
use inlet_proto::v1::control_message::Kind as Said;
use prost::Message as _;
use prost::bytes::Bytes;

use super::{Event, World, micros};
use crate::agent::Inbound;
use crate::wire::Wire;

impl World {
    pub(super) fn start(&mut self, number: usize) {
        let rng = self.rng.fork();
        let now = self.instant();
        let agent = &mut self.agents[number];
        let in_force = agent.start(rng, now);
        agent.check(&mut self.oracle);
        let life = agent.life;
        self.note(format_args!("agent {number} starts with {in_force}"));
        self.at(
            0,
            Event::Connect {
                agent: number,
                life,
            },
        );
    }

    pub(super) fn connect(&mut self, agent: usize, life: u64) {
        if self.agents[agent].life != life {
            return;
        }
        let delay = self.delay();
        let now = self.instant();
        let is_up = self.is_up;
        let Some(process) = &mut self.agents[agent].process else {
            return;
        };
        if !is_up {
            let (wait, _) = process.retry.lost(Loss::Unreachable("down".to_owned()));
            return self.at(micros(wait), Event::Connect { agent, life });
        }
        self.numbers += 1;
        let number = self.numbers;
        process.wire = Some(number);
        process.open_since = None;
        let mut wire = Wire::new(agent, self.plane.revision());
        if self.is_faulty() && self.rng.u8(..100) == 0 {
            wire.is_stalled = true;
            self.tally.stalled += 1;
        }
        self.plane.open(number, now);
        if let Some(at) = wire.to_agent.send(self.now, delay) {
            let inbound = Inbound::Open;
            self.at(
                at - self.now,
                Event::Arrive {
                    wire: number,
                    inbound,
                },
            );
        }
        self.wires.insert(number, wire);
        self.note(format_args!("agent {agent} connects on {number}"));
        self.after_plane(number, Ok(()));
    }

    pub(super) fn deliver(&mut self, wire: u64, part: &Bytes) {
        let Some(found) = self.wires.get_mut(&wire) else {
            return;
        };
        found.in_flight -= 1;
        let agent = found.agent;
        if !found.to_agent.delivers(self.now) {
            self.tally.lost_parts += 1;
            return;
        }
        let message =
            v1::ControlMessage::decode(&part[..]).expect("the control plane encodes well");
        let Some(Said::Snapshot(mut snapshot)) = message.kind else {
            panic!("the control plane says only snapshots")
        };
        if snapshot.parts > 1 {
            self.tally.in_parts += 1;
        }
        let parts = snapshot.parts;
        if self.confused[agent] && self.confuse(&mut snapshot) {
            self.confused[agent] = false;
            self.confused_on.insert(wire);
            if parts > 1 {
                self.torn.insert(wire);
            }
            self.tally.confused += 1;
            self.note(format_args!(
                "agent {agent} gets something else than was sent"
            ));
        }
        let inbound = Inbound::Part(snapshot);
        self.arrive(wire, inbound);
        self.pump(wire);
    }

    pub(super) fn arrive(&mut self, wire: u64, inbound: Inbound) {
        let now = self.now;
        let Some(found) = self.wires.get(&wire) else {
            return;
        };
        let agent = found.agent;
        let delivers = found.to_agent.delivers(now) || matches!(inbound, Inbound::Lost);
        let Some(process) = &mut self.agents[agent].process else {
            return;
        };
        if process.wire != Some(wire) || !delivers {
            return;
        }
        let is_loss = matches!(inbound, Inbound::Lost);
        if process.deciding.is_some() {
            // A shell may tell it of a loss at once, or when it gets to it; the exchange allows both.
            if !is_loss || !wire.is_multiple_of(2) {
                return process.inbox.push_back(inbound);
            }
            process.inbox.clear();
        }
        if let Inbound::Open = inbound {
            process.open_since = Some(now);
        }
        self.take_in(agent, wire, inbound);
    }

    /// An agent that has time takes in what has arrived.
    pub(super) fn take_in(&mut self, number: usize, wire: u64, inbound: Inbound) {
        let now = self.instant();
        self.note_inbound(number, wire, &inbound);
        let Some(process) = &mut self.agents[number].process else {
            return;
        };
        let is_loss = matches!(inbound, Inbound::Lost);
        let is_part = matches!(inbound, Inbound::Part(_));
        let output = process.observe(inbound, now);
        if is_loss {
            process.inbox.clear();
            self.rest(number);
        }
        if is_part && matches!(output, Some(Output::Hello { .. })) {
            self.tally.resyncs += 1;
            // The two ends always know what the other builds on.
            assert!(
                self.confused_on.contains(&wire),
                "{number} wants everything again, and nobody confused it"
            );
        }
        self.after_agent(number, output);
    }

    /// The agent's stream is over: waits, then connects again.
    pub(super) fn rest(&mut self, number: usize) {
        let now = self.now;
        let agent = &mut self.agents[number];
        let life = agent.life;
        let Some(process) = &mut agent.process else {
            return;
        };
        let lasted = process.open_since.map_or(0, |since| now - since);
        if lasted >= micros(SETTLED_AFTER) {
            process.retry.settled();
        }
        let (wait, _) = process.retry.lost(Loss::Unreachable("lost".to_owned()));
        let wire = process.wire.take();
        process.open_since = None;
        self.at(
            micros(wait),
            Event::Connect {
                agent: number,
                life,
            },
        );
        if let Some(wire) = wire {
            self.forget_if_over(wire);
        }
    }

    /// The exchange was told something: answers, and works on what it asks for.
    pub(super) fn after_agent(&mut self, number: usize, output: Option<Output>) {
        let agent = &mut self.agents[number];
        agent.check(&mut self.oracle);
        let life = agent.life;
        match output {
            Some(Output::Close(reason)) => {
                self.tally.ended_by_agent += 1;
                self.note(format_args!("agent {number} ends its stream: {reason}"));
                let wire = self.agents[number].process.as_ref().and_then(|it| it.wire);
                let is_torn = wire.is_some_and(|wire| self.torn.contains(&wire));
                assert!(
                    matches!(reason, CloseReason::Silent) || is_torn,
                    "{number} ends a stream on which parts came in turn: {reason}"
                );
                self.hang_up(number);
                self.rest(number);
            }
            output => {
                if let Some(Output::Nack { revision, .. }) = &output {
                    agent.refused = Some(*revision);
                    self.note(format_args!("agent {number} cannot read {revision}"));
                }
                let say = self.agents[number].says(output);
                self.say(number, say);
            }
        }
        let Some(process) = &self.agents[number].process else {
            return;
        };
        if process.deciding.is_some() {
            let delay = self.work();
            self.at(
                delay,
                Event::Decide {
                    agent: number,
                    life,
                },
            );
        } else if let Some(deadline) = process.exchange.deadline() {
            let delay = self.until(deadline);
            self.at(
                delay,
                Event::AgentTick {
                    agent: number,
                    life,
                },
            );
        }
    }

    pub(super) fn decide(&mut self, number: usize) {
        let now = self.instant();
        let Some(decided) = self.agents[number].decide(now) else {
            return;
        };
        let revision = decided.revision;
        match decided.reasons.first() {
            None => {
                self.tally.applied += 1;
                self.note(format_args!("agent {number} has {revision} in force"));
            }
            Some(reason) => {
                self.tally.refused += 1;
                self.note(format_args!("agent {number} refuses {revision}: {reason}"));
            }
        }
        if self.rng.u8(..10) < 7 {
            self.agents[number].keep();
        }
        self.say(number, decided.say);
        self.agents[number].check(&mut self.oracle);
        self.drain_inbox(number);
    }

    /// What has waited for the decision, until there is another one.
    pub(super) fn drain_inbox(&mut self, number: usize) {
        loop {
            let Some(process) = &mut self.agents[number].process else {
                return;
            };
            let Some(wire) = process.wire.filter(|_| process.deciding.is_none()) else {
                return;
            };
            let Some(inbound) = process.inbox.pop_front() else {
                return;
            };
            self.take_in(number, wire, inbound);
        }
    }

    pub(super) fn say(&mut self, number: usize, say: Option<Say>) {
        let Some(kind) = say else { return };
        let process = self.agents[number].process.as_ref();
        let Some(wire) = process.and_then(|process| process.wire) else {
            return;
        };
        let is_last = self.is_last_word();
        let delay = if is_last {
            self.long_delay()
        } else {
            self.delay()
        };
        let now = self.now;
        let Some(found) = self.wires.get_mut(&wire) else {
            return;
        };
        let message = v1::AgentMessage { kind: Some(kind) };
        match found.to_plane.send(now, delay) {
            Some(at) => self.at(at - now, Event::Hear { wire, message }),
            None => self.tally.lost_answers += 1,
        }
        if is_last {
            self.break_at_agent(wire);
        }
    }

    /// The agent ends its stream; the control plane learns of it after all that was said before.
    pub(super) fn hang_up(&mut self, number: usize) {
        let delay = self.delay();
        let now = self.now;
        let Some(process) = &mut self.agents[number].process else {
            return;
        };
        process.inbox.clear();
        let Some(wire) = process.wire else { return };
        let Some(found) = self.wires.get_mut(&wire) else {
            return;
        };
        if let Some(at) = found.to_plane.send(now, delay) {
            self.at(at - now, Event::Close { wire });
        }
    }
}
