//! The control plane's side of the world: changes, what it hears, what it sends.

use inlet_control_plane::simulation::{Answer, Ask};
use inlet_proto::v1;

use super::{Event, IN_FLIGHT, World, name_of};
use crate::agent::Inbound;

impl World {
    /// Asks the control plane, and keeps what it acknowledges.
    pub(super) fn ask(&mut self, asks: Vec<Ask>) {
        let before = self.plane.revision();
        for answer in self.plane.ask(asks) {
            match answer {
                Answer::Committed(revision) => {
                    assert!(!self.disk_is_full, "{revision} cannot have been kept");
                    self.tally.committed += 1;
                    self.note(format_args!("revision {revision}"));
                }
                Answer::Unchanged => self.note(format_args!("unchanged")),
                Answer::Refused(why) => {
                    self.tally.not_admitted += 1;
                    self.note(format_args!("not admitted: {why}"));
                }
            }
        }
        if self.plane.revision() != before {
            self.oracle
                .record(self.plane.revision(), self.plane.resources());
            self.tell_all();
        }
    }

    /// Every stream learns of the new state, each when its task gets to it.
    pub(super) fn tell_all(&mut self) {
        let wires: Vec<u64> = self.wires.keys().copied().collect();
        for wire in wires {
            self.will_look(wire);
        }
    }

    pub(super) fn will_look(&mut self, wire: u64) {
        let (current, is_greeted) = (self.plane.revision(), self.plane.is_greeted(wire));
        let Some(found) = self.wires.get_mut(&wire) else {
            return;
        };
        let is_news = found.seen != current && is_greeted && !found.is_stalled;
        if is_news && !std::mem::replace(&mut found.will_look, true) {
            let delay = self.short_delay();
            self.at(delay, Event::Look { wire });
        }
    }

    pub(super) fn hear(&mut self, wire: u64, message: v1::AgentMessage) {
        let Some(found) = self.wires.get(&wire) else {
            return;
        };
        let is_heard = found.to_plane.delivers(self.now) && !found.is_stalled;
        if !is_heard || !self.plane.is_open(wire) {
            return;
        }
        let agent = found.agent;
        if self.agents[agent]
            .process
            .as_ref()
            .is_none_or(|process| process.wire != Some(wire))
        {
            self.tally.late += 1;
        }
        self.note(format_args!(
            "control plane <- {agent} on {wire}: {}",
            name_of(&message)
        ));
        let heard = self.plane.hear(wire, message, self.instant());
        // As in the program: it is told of what is new since the stream was opened, even if it has seen that at the
        // Hello; that must do no harm.
        self.will_look(wire);
        self.after_plane(wire, heard);
        self.check_roster(agent);
        for old in self.plane.replaced() {
            self.tally.replaced += 1;
            self.end_at_plane(old, "replaced");
        }
    }

    /// What an agent is said to have, it has had.
    pub(super) fn check_roster(&self, agent: usize) {
        let agent = &self.agents[agent];
        if let Some(known) = self.plane.agent(&agent.name) {
            let told = known.revision_in_force;
            assert!(
                agent.had.contains(&told),
                "{} never had {told} in force",
                agent.name
            );
        }
    }

    /// A session was told something: it may have ended, have something to send, or wait for something.
    pub(super) fn after_plane(&mut self, wire: u64, result: Result<(), String>) {
        if let Err(why) = result {
            self.tally.ended_by_plane += 1;
            self.end_at_plane(wire, &why);
            return;
        }
        self.pump(wire);
        if let Some(deadline) = self.plane.deadline(wire) {
            let delay = self.until(deadline);
            self.at(delay, Event::PlaneTick { wire });
        }
    }

    /// The control plane ends a stream; the agent learns of it after all that was sent before.
    pub(super) fn end_at_plane(&mut self, wire: u64, why: &str) {
        self.note(format_args!("control plane ends {wire}: {why}"));
        self.plane.close(wire);
        let delay = self.delay();
        let now = self.now;
        let Some(found) = self.wires.get_mut(&wire) else {
            return;
        };
        if let Some(at) = found.to_agent.send(now, delay) {
            let inbound = Inbound::Lost;
            self.at(at - now, Event::Arrive { wire, inbound });
        }
    }

    /// Sends as many parts as the transport takes.
    pub(super) fn pump(&mut self, wire: u64) {
        let now = self.instant();
        while self
            .wires
            .get(&wire)
            .is_some_and(|found| found.in_flight < IN_FLIGHT)
        {
            let Some(part) = self.plane.next_part(wire, now) else {
                return;
            };
            let delay = self.delay();
            let now = self.now;
            let Some(found) = self.wires.get_mut(&wire) else {
                return;
            };
            found.in_flight += 1;
            match found.to_agent.send(now, delay) {
                Some(at) => self.at(at - now, Event::Part { wire, part }),
                None => self.tally.lost_parts += 1,
            }
        }
    }
}
