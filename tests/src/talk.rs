//! A WebSocket client that says something and expects the same back.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::eventually::seconds;

/// A WebSocket connection to `/chat`.
#[derive(Debug)]
pub struct Talk(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Talk {
    /// Opens one at `127.0.0.1:port`.
    ///
    /// Panics if that is refused.
    pub async fn open(port: u16) -> Self {
        Self::try_open(port)
            .await
            .unwrap_or_else(|error| panic!("port {port}: {error}"))
    }

    /// Opens one at `127.0.0.1:port`, or says why not.
    pub async fn try_open(port: u16) -> Result<Self, String> {
        let opening = connect_async(format!("ws://127.0.0.1:{port}/chat"));
        let (socket, response) = timeout(seconds(20), opening)
            .await
            .map_err(|_| "no handshake".to_owned())?
            .map_err(|error| error.to_string())?;
        match response.status().as_u16() {
            101 => Ok(Self(socket)),
            status => Err(format!("the handshake was answered with {status}")),
        }
    }

    /// Says something and waits for the same.
    ///
    /// Panics if anything else happens.
    pub async fn echoes(&mut self, message: Message) {
        if let Err(error) = self.try_echo(message).await {
            panic!("no echo: {error}");
        }
    }

    /// Says something and waits for the same, or says what happened instead.
    pub async fn try_echo(&mut self, message: Message) -> Result<(), String> {
        let sent = self.0.send(message.clone()).await;
        sent.map_err(|error| error.to_string())?;
        match timeout(seconds(20), self.0.next()).await {
            Err(_) => Err("nothing comes back".to_owned()),
            Ok(None) => Err("the connection ended".to_owned()),
            Ok(Some(Err(error))) => Err(error.to_string()),
            Ok(Some(Ok(echo))) if echo == message => Ok(()),
            Ok(Some(Ok(_))) => Err("another message came back".to_owned()),
        }
    }

    /// Says goodbye.
    ///
    /// Panics if the connection has ended.
    pub async fn close(&mut self) {
        self.0.close(None).await.expect("a connection");
    }
}
