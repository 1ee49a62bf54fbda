//! Puts a view in force: compile, bind what is new, swap, and tell the probes. Refusing changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::compile::{Compiler, View};
use crate::edge::{Edge, Problem};
use crate::health::Health;
use crate::table::Table;

/// The table in force and what makes the next one.
#[derive(Debug)]
pub struct Applier {
    compiler: Compiler,
    edge: Arc<Edge>,
    health: Health,
    table: Arc<Table>,
}

impl Applier {
    /// The empty table is in force.
    pub fn new(compiler: Compiler, edge: Arc<Edge>, health: Health) -> Self {
        Self {
            compiler,
            edge,
            health,
            table: Arc::default(),
        }
    }

    /// Health of the targets of the table in force.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Ends the probes; what is in force stays.
    pub async fn stop(self) {
        self.health.shutdown().await;
    }

    /// Puts a view in force on every worker. `changed` is what differs from the one in force.
    ///
    /// Errors: every reason why it cannot be had on this host; the table in force stays.
    pub async fn apply(
        &mut self,
        revision: u64,
        view: &View,
        changed: &BTreeSet<Key>,
    ) -> Result<(), Vec<v1::refusal::Reason>> {
        let (table, prepared) = off_the_runtime(|| {
            let table = self
                .compiler
                .compile(&self.table, view, changed, revision)?;
            let prepared = self
                .edge
                .prepare(&table)
                .map_err(|problems| problems.into_iter().map(reason).collect::<Vec<_>>())?;
            Ok::<_, Vec<_>>((table, prepared))
        })?;
        self.edge.commit(Arc::clone(&table), prepared).await;
        let before = std::mem::replace(&mut self.table, table);
        self.health.follow(&before, &self.table);
        Ok(())
    }
}

/// Compiling much takes long, and probes and the admin pages share this runtime. A runtime of one thread (a simulation)
/// has nobody to hand over to.
fn off_the_runtime<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn reason(problem: Problem) -> v1::refusal::Reason {
    let listener = Key::of(Kind::Listener, &problem.listener).ok();
    v1::refusal::Reason {
        key: listener.as_ref().map(Into::into),
        message: problem.message,
    }
}
