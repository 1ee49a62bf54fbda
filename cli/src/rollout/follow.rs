//! The shell around [`Rollout`]: watches the agents, says how it went.

use std::cell::RefCell;
use std::time::Duration;

use super::Rollout;
use crate::client::Client;
use crate::error::Error;
use crate::output::Out;

/// How long after a broken connection the next one is tried.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Waits until a revision is in force everywhere, at most for `patience`, and says how it went.
///
/// Errors: an agent has refused it, or is not there in time; the control plane is gone until then.
pub(crate) async fn follow(
    client: &Client,
    out: &Out,
    revision: u64,
    patience: Duration,
) -> Result<(), Error> {
    let rollout = RefCell::new(None);
    let telling = || match &*rollout.borrow() {
        Some(rollout) => Rollout::progress(rollout),
        None => "waiting for the agents".to_owned(),
    };
    let watching = tokio::time::timeout(patience, watch(client, revision, &rollout));
    let in_time = out.progress.telling(telling, watching).await;
    match (in_time, rollout.into_inner()) {
        (Ok(Err(error)), _) => Err(error),
        (_, Some(rollout)) => tell(out, &rollout, patience),
        (_, None) => Err(Error::Failed(format!(
            "the control plane has not told of its agents within {} s; revision {revision} is kept",
            patience.as_secs_f64()
        ))),
    }
}

/// Keeps `rollout` as the control plane tells it, until it is settled. A connection that breaks is made anew.
///
/// Errors: an answer that trying again would not mend.
async fn watch(
    client: &Client,
    revision: u64,
    rollout: &RefCell<Option<Rollout>>,
) -> Result<(), Error> {
    loop {
        match watch_once(client, revision, rollout).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if error.is_passing() => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(TRY_AGAIN_AFTER).await;
    }
}

/// Whether it is settled when the stream ends.
async fn watch_once(
    client: &Client,
    revision: u64,
    rollout: &RefCell<Option<Rollout>>,
) -> Result<bool, Error> {
    let mut stream = client.watch_agents().await?;
    while let Some(answer) = stream.next().await? {
        let mut slot = rollout.borrow_mut();
        match &mut *slot {
            Some(rollout) => rollout.observe(answer.agents),
            None => *slot = Some(Rollout::new(revision, answer.agents)),
        }
        if slot.as_ref().is_some_and(Rollout::is_settled) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn tell(out: &Out, rollout: &Rollout, patience: Duration) -> Result<(), Error> {
    if !rollout.absent().is_empty() {
        let names = rollout.absent().join(", ");
        out.note(&format!("not connected, and not waited for: {names}"));
    }
    if rollout.concerns_nobody() {
        out.note("no agent is connected: nothing to wait for");
        return Ok(());
    }
    if rollout.is_in_force() {
        let line = rollout.progress();
        if out.is_for_people() {
            return out.line(&line);
        }
        out.note(&line);
        return Ok(());
    }
    for line in rollout.troubles() {
        out.complain(&line);
    }
    let late = if rollout.is_settled() {
        String::new()
    } else {
        format!(" after {} s", patience.as_secs_f64())
    };
    out.complain(&format!(
        "error: {}{late}; it is kept, and 'lbctl rollback' brings an earlier one back",
        rollout.progress()
    ));
    Err(Error::Told)
}

#[cfg(test)]
mod tests;
