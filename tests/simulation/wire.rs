//! One connection: each way keeps its order, as TCP does; when it breaks, the tail of each way is lost, and the two
//! ends learn of it when they do.

/// One connection of an agent to the control plane.
#[derive(Debug)]
pub(crate) struct Wire {
    /// Whose.
    pub(crate) agent: usize,
    /// From the control plane.
    pub(crate) to_agent: Way,
    /// From the agent; an old one may speak on after a new one is open.
    pub(crate) to_plane: Way,
    /// Parts under way to the agent.
    pub(crate) in_flight: usize,
    /// The revision that the stream has seen last.
    pub(crate) seen: u64,
    /// It will be told of a newer one soon.
    pub(crate) will_look: bool,
    /// The control plane's end is there and does nothing.
    pub(crate) is_stalled: bool,
}

/// One direction. Times in microseconds.
#[derive(Debug)]
pub(crate) struct Way {
    /// When the last message arrives.
    last: u64,
    /// What is sent after this is lost.
    sent_until: u64,
    /// What arrives after this is lost.
    arrives_until: u64,
}

impl Wire {
    /// A connection that works.
    pub(crate) fn new(agent: usize, seen: u64) -> Self {
        Self {
            agent,
            to_agent: Way::default(),
            to_plane: Way::default(),
            in_flight: 0,
            seen,
            will_look: false,
            is_stalled: false,
        }
    }
}

impl Default for Way {
    fn default() -> Self {
        Self {
            last: 0,
            sent_until: u64::MAX,
            arrives_until: u64::MAX,
        }
    }
}

impl Way {
    /// Sends something; when it arrives, or `None` if it never does.
    pub(crate) fn send(&mut self, now: u64, delay: u64) -> Option<u64> {
        self.last = self.last.max(now + delay);
        (now <= self.sent_until && self.last <= self.arrives_until).then_some(self.last)
    }

    /// Breaks: nothing that is sent from now on arrives, and nothing arrives after `until`.
    pub(crate) fn cut(&mut self, now: u64, until: u64) {
        self.sent_until = self.sent_until.min(now);
        self.arrives_until = self.arrives_until.min(until);
    }

    /// Whether what was to arrive now still does.
    pub(crate) fn delivers(&self, now: u64) -> bool {
        now <= self.arrives_until
    }
}
