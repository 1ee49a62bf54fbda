//! Accepts connections. Their number is bounded by the descriptors that the process may have open: at that point new
//! ones wait in the kernel's queue, and accepting pauses instead of spinning.
//!
//! A connection is handed on once it has said which protocol it speaks. From there on the server's own limits hold
//! (pings, time for a head of HTTP/1.1); before, it knows none.

use std::io;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Pause after an error that is not one connection's.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a connection may leave open what it speaks.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a connection that has said a part of it is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// What HTTP/2 begins with (RFC 9113, 3.4); everything else is taken for HTTP/1.1.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Takes connections on.
type Sender = mpsc::Sender<io::Result<TcpStream>>;

/// The connections of a listener, until the receiver is dropped. Then the port is free again.
pub(crate) fn connections(listener: TcpListener) -> ReceiverStream<io::Result<TcpStream>> {
    patient(listener, PATIENCE)
}

fn patient(listener: TcpListener, patience: Duration) -> ReceiverStream<io::Result<TcpStream>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            () = accept(listener, &sender, patience) => {}
            () = sender.closed() => {}
        }
    });
    ReceiverStream::new(receiver)
}

async fn accept(listener: TcpListener, connections: &Sender, patience: Duration) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Small messages both ways; without this they wait for acknowledgements.
                let _ = stream.set_nodelay(true);
                tokio::spawn(hand_on(stream, connections.clone(), patience));
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn hand_on(stream: TcpStream, connections: Sender, patience: Duration) {
    let begun = tokio::select! {
        begun = tokio::time::timeout(patience, begins(&stream)) => begun,
        () = connections.closed() => return,
    };
    if let Ok(Ok(())) = begun {
        // An error says that the shutdown has begun.
        let _ = connections.send(Ok(stream)).await;
    }
}

/// Waits until the peer has said enough to know what it speaks. Errors: it went away.
async fn begins(stream: &TcpStream) -> io::Result<()> {
    let mut said = [0; PREFACE.len()];
    loop {
        let count = stream.peek(&mut said).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if count == said.len() || said[..count] != PREFACE[..count] {
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;
    use tokio_stream::StreamExt as _;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn connections_that_do_not_say_what_they_speak_are_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let _connections = patient(listener, Duration::from_millis(50));
        for said in [&b""[..], &PREFACE[..10]] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(said).await.unwrap();
            let read = timeout(DEADLINE, client.read(&mut [0])).await.unwrap();
            assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        }
    }

    #[tokio::test]
    async fn a_silent_connection_keeps_no_other_waiting() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut connections = connections(listener);
        let _silent = TcpStream::connect(address).await.unwrap();
        for said in [&PREFACE[..], b"GET / HTTP/1.1\r\n"] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(said).await.unwrap();
            let accepted = timeout(DEADLINE, connections.next()).await.unwrap();
            let mut accepted = accepted.unwrap().unwrap();
            let mut heard = vec![0; said.len()];
            accepted.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, said, "nothing of it was taken away");
        }
    }

    #[tokio::test]
    async fn the_port_is_free_once_nobody_takes_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = connections(listener);
        let mut silent = TcpStream::connect(address).await.unwrap();
        drop(connections);
        let read = timeout(DEADLINE, silent.read(&mut [0])).await.unwrap();
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        let again = async {
            while TcpListener::bind(address).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, again).await.unwrap();
    }
}
