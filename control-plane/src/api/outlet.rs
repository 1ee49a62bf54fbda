//! The sending end of an answer that is a stream: bounded, patient for a named time, and able to say why it ends.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::Status;

use crate::api::status::Problem;

/// Where messages go in.
pub(crate) struct Outlet<T> {
    sender: mpsc::Sender<T>,
    reason: Arc<OnceLock<Status>>,
    patience: Duration,
}

/// What tonic reads: the messages, then the reason if there is one.
pub(crate) struct Outflow<T> {
    receiver: mpsc::Receiver<T>,
    reason: Arc<OnceLock<Status>>,
    is_over: bool,
}

/// The reader is gone, or was dropped because it was too slow.
#[derive(Debug)]
pub(crate) struct ReaderGone;

/// A stream that holds `capacity` messages until they are read; a reader may leave it full for `patience`.
pub(crate) fn outlet<T>(capacity: usize, patience: Duration) -> (Outlet<T>, Outflow<T>) {
    let (sender, receiver) = mpsc::channel(capacity);
    let reason = Arc::new(OnceLock::new());
    let outflow = Outflow {
        receiver,
        reason: Arc::clone(&reason),
        is_over: false,
    };
    let outlet = Outlet {
        sender,
        reason,
        patience,
    };
    (outlet, outflow)
}

impl<T> Outlet<T> {
    /// Sends a message, waiting for room. Errors: the reader is gone, or made no room for its patience.
    pub(crate) async fn send(&self, message: T) -> Result<(), ReaderGone> {
        match tokio::time::timeout(self.patience, self.sender.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(ReaderGone),
            Err(_) => {
                self.end(Problem::SlowReader.into());
                Err(ReaderGone)
            }
        }
    }

    /// Waits for room for one message.
    pub(crate) async fn reserve(&self) -> Result<mpsc::Permit<'_, T>, ReaderGone> {
        self.sender.reserve().await.map_err(|_| ReaderGone)
    }

    /// Waits until the reader is gone.
    pub(crate) async fn closed(&self) {
        self.sender.closed().await;
    }

    /// Says why the stream ends, once the outlet is dropped. The first reason counts.
    pub(crate) fn end(&self, reason: Status) {
        self.reason.get_or_init(|| reason);
    }
}

impl<T> Stream for Outflow<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        match self.receiver.poll_recv(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(message)) => Poll::Ready(Some(Ok(message))),
            Poll::Ready(None) => {
                self.is_over = true;
                Poll::Ready(self.reason.get().cloned().map(Err))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn a_reader_that_does_not_read_is_dropped_with_a_reason() {
        let (outlet, mut outflow) = outlet(1, Duration::from_millis(1));
        outlet.send(1).await.unwrap();
        assert!(outlet.send(2).await.is_err());
        drop(outlet);
        assert_eq!(outflow.next().await.unwrap().unwrap(), 1);
        let reason = outflow.next().await.unwrap().unwrap_err();
        assert_eq!(reason.code(), tonic::Code::ResourceExhausted);
        assert!(outflow.next().await.is_none());
    }
}
