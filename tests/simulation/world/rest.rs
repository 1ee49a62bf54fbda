//! What must be once nothing goes wrong any more.

use super::{AGENTS, MS, World};

/// Longest time that the world may take to come to rest, in milliseconds: the longest waits one after the other
/// (an apply of 40 s, an end that is noticed after 20 s, a silence of 30 s, two retries of 10 s), with room.
const REST_WITHIN_MS: u64 = 240_000;
/// Events until it comes to rest at most: far more than there ever are.
const MAX_STEPS: u32 = 500_000;
/// Changes that are made one at a time.
const ONE_BY_ONE: usize = 4;

impl World {
    /// Lets everything happen that still will. Panics if it goes on for too long.
    pub(super) fn come_to_rest(&mut self) {
        let limit = self.faults_until.max(self.now) + REST_WITHIN_MS * MS;
        let mut steps = 0;
        while self.step() {
            steps += 1;
            let is_restless = self.now >= limit || steps >= MAX_STEPS;
            assert!(!is_restless, "it does not come to rest");
        }
        self.note(format_args!("rest at {}", self.plane.revision()));
    }

    /// Promise: every agent has the current revision or has refused it, and the control plane knows which.
    pub(super) fn check_rest(&mut self) {
        let current = self.plane.revision();
        assert_eq!(
            current,
            self.oracle.last(),
            "the last revision was acknowledged"
        );
        for number in 0..AGENTS {
            let agent = &self.agents[number];
            agent.check(&mut self.oracle);
            let name = &agent.name;
            let process = agent.process.as_ref().expect("it was started again");
            assert_eq!(process.exchange.staged(), None, "{name} still decides");
            let wire = process.wire.expect("it has connected");
            assert!(self.plane.is_open(wire), "{name} is not connected");

            let in_force = agent.in_force();
            let told = self.plane.agent(name).expect("it has said Hello");
            assert!(told.connected, "{name} is connected");
            assert_eq!(told.revision_wanted, current, "{name} should have");
            assert_eq!(told.revision_in_force, in_force, "{name} is said to have");
            let refusal = told.last_refusal.map(|refusal| refusal.revision);
            if in_force == current {
                assert_eq!(refusal, None, "{name} has {current} in force");
            } else {
                assert_eq!(
                    agent.refused,
                    Some(current),
                    "{name} has {in_force} in force"
                );
                assert_eq!(refusal, Some(current), "{name} is said to have refused");
            }
        }
        assert_eq!(self.wires.len(), AGENTS, "every other stream is over");
    }

    /// Changes with rest in between: every agent is offered each revision, so each has the last that it can have.
    pub(super) fn offer_one_by_one(&mut self) {
        for _ in 0..ONE_BY_ONE {
            for number in 0..AGENTS {
                self.take_or_free_a_port(number);
            }
            self.offer();
        }
        for agent in &mut self.agents {
            agent.taken.clear();
        }
        self.offer();
        let current = self.plane.revision();
        for agent in &self.agents {
            assert_eq!(
                agent.in_force(),
                current,
                "{}: every port is free",
                agent.name
            );
        }
    }

    /// A change that becomes a revision; every agent that can have it has it, and no other is touched.
    fn offer(&mut self) {
        let before = self.plane.revision();
        while self.plane.revision() == before {
            self.change_something();
        }
        let current = self.plane.revision();
        let expected: Vec<u64> = (0..AGENTS)
            .map(|number| {
                let agent = &self.agents[number];
                let wanted = self.oracle.expected(current, &agent.labels);
                match agent.refuses(&wanted.ports) {
                    true => agent.in_force(),
                    false => current,
                }
            })
            .collect();
        self.come_to_rest();
        self.check_rest();
        let in_force: Vec<u64> = self.agents.iter().map(|agent| agent.in_force()).collect();
        assert_eq!(
            in_force, expected,
            "the last revision that each can have, of {current}"
        );
    }
}
