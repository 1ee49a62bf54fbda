//! Accepts connections. Their number is bounded by the descriptors that the process may have open: at that point new
//! ones wait in the kernel's queue, and accepting pauses instead of spinning.

use std::io;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Pause after an error that is not one connection's.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections of a listener, until the receiver is dropped. Then the port is free again.
pub(crate) fn connections(listener: TcpListener) -> ReceiverStream<io::Result<TcpStream>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            () = accept(listener, &sender) => {}
            () = sender.closed() => {}
        }
    });
    ReceiverStream::new(receiver)
}

async fn accept(listener: TcpListener, connections: &mpsc::Sender<io::Result<TcpStream>>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Small messages both ways; without this they wait for acknowledgements.
                let _ = stream.set_nodelay(true);
                if connections.send(Ok(stream)).await.is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
