//! A served configuration that is changed again and again, and connections that the changes have nothing to do with.
//!
//! Every change says its number: `/page` of the stage answers with it. Besides, targets of the group behind `/` come
//! and go, and every so often a whole listener does.

use tokio_tungstenite::tungstenite::Message;

use crate::client::{self, Connection};
use crate::eventually::{eventually, seconds};
use crate::manifest::{
    application, documents, fixed, forward, group, listener, rule, tcp_group, wire,
};
use crate::origin::echo::Echo;
use crate::ports::free_port;
use crate::talk::Talk;
use crate::{Origin, World};

/// The agent that serves.
pub const AGENT: &str = "edge-1";
/// Every so many changes a listener comes, and halfway to the next it goes.
const LISTENER_PERIOD: usize = 20;
/// What the echoing TCP backend says first.
const GREETING: &[u8] = b"hello from echo\n";

/// One agent that serves, and the backends behind it.
#[derive(Debug)]
pub struct Stage {
    /// Control plane and agent.
    pub world: World,
    /// Where HTTP is served: `/`, `/page` and, as WebSocket, `/chat`.
    pub port: u16,
    /// Where only WebSockets are served, on a listener of its own.
    talk: u16,
    /// Where TCP is relayed.
    tcp: u16,
    /// Where a listener comes and goes.
    other: u16,
    origins: [Origin; 2],
    echoes: [Echo; 2],
}

/// Connections that no change concerns.
#[derive(Debug)]
pub struct Bystanders {
    talks: Vec<Talk>,
    relays: Vec<Connection>,
    /// Why some have ended.
    pub dropped: Vec<String>,
}

impl Stage {
    /// Starts everything; change 0 is in force when it returns.
    pub async fn start() -> Self {
        let origins = [
            Origin::unrecorded("one").await,
            Origin::unrecorded("two").await,
        ];
        let [chat, echo] = [Echo::websocket().await, Echo::tcp("echo").await];
        let stage = Self {
            world: World::start(&[AGENT]).await,
            port: free_port(),
            talk: free_port(),
            tcp: free_port(),
            other: free_port(),
            origins,
            echoes: [chat, echo],
        };
        stage.world.apply(&stage.first()).await;
        stage.world.healthy("catalog").await;
        stage
    }

    /// Makes change `number`, from 1 on; returns its revision. It is durable then, not yet in force.
    ///
    /// Panics if it is refused.
    pub async fn change(&self, number: usize) -> u64 {
        let mut changed = vec![self.catalog(number), page(number)];
        if number.is_multiple_of(LISTENER_PERIOD) {
            let body = fixed(200, &format!("\"{number}\""));
            changed.push(listener("shop/other", "HTTP", self.other, &body));
        }
        let revision = self.world.apply_directly(&documents(&changed)).await;
        let goes = number % LISTENER_PERIOD == LISTENER_PERIOD / 2 && number > LISTENER_PERIOD;
        if goes {
            self.world.delete_directly("Listener", "shop/other").await
        } else {
            revision
        }
    }

    /// Waits until a new connection is served by change `number`.
    pub async fn serves(&self, number: usize) {
        eventually("the last change is in force", seconds(30), async || {
            let page = client::try_get(self.port, "/page").await?;
            (page.text() == number.to_string()).then_some(())
        })
        .await;
    }

    fn first(&self) -> String {
        let [chat, echo] = &self.echoes;
        // The echo answers no plain request, so somebody else answers its health checks.
        let check = format!(
            "healthCheck: {{port: {}, path: /healthz, ",
            self.origins[0].port
        );
        let chat_group = tcp_group("chat", &[chat.port])
            .replace("TCP", "HTTP")
            .replace("healthCheck: {", &check);
        let path = "{pathPattern: {values: [/chat]}}";
        documents(&[
            application("shop"),
            self.catalog(0),
            chat_group,
            listener("shop/http", "HTTP", self.port, &forward("catalog")),
            rule("shop/http/chat", 1, path, &forward("chat")),
            page(0),
            application("talk"),
            listener("talk/http", "HTTP", self.talk, &forward("chat")),
            wire(self.tcp, &[echo.port]),
        ])
    }

    fn catalog(&self, number: usize) -> String {
        let ports = self.origins.each_ref().map(|origin| origin.port);
        let count = if number.is_multiple_of(2) { 1 } else { 2 };
        group("catalog", &ports[..count])
    }
}

impl Bystanders {
    /// Opens `count` WebSockets on the listener that is changed, as many on one that is not, and as many TCP
    /// connections.
    ///
    /// Panics if one is refused.
    pub async fn open(stage: &Stage, count: usize) -> Self {
        let mut bystanders = Self {
            talks: Vec::new(),
            relays: Vec::new(),
            dropped: Vec::new(),
        };
        for _ in 0..count {
            bystanders.talks.push(Talk::open(stage.port).await);
            bystanders.talks.push(Talk::open(stage.talk).await);
            let mut relay = Connection::open(stage.tcp).await;
            assert_eq!(relay.bytes(GREETING.len()).await, GREETING);
            bystanders.relays.push(relay);
        }
        bystanders
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.talks.len() + self.relays.len()
    }

    /// Says something on every one and waits for the same; those on which it does not come back count as dropped.
    pub async fn echo(&mut self, text: &str) {
        for mut talk in std::mem::take(&mut self.talks) {
            match talk.try_echo(Message::text(text)).await {
                Ok(()) => self.talks.push(talk),
                Err(what) => self.dropped.push(format!("WebSocket at {text}: {what}")),
            }
        }
        for mut relay in std::mem::take(&mut self.relays) {
            match relayed(&mut relay, text).await {
                Ok(()) => self.relays.push(relay),
                Err(what) => self.dropped.push(format!("TCP at {text}: {what}")),
            }
        }
    }
}

async fn relayed(relay: &mut Connection, text: &str) -> Result<(), String> {
    let echoed = async {
        relay.try_send(text).await?;
        relay.try_bytes(text.len()).await
    };
    match echoed.await {
        Ok(echo) if echo == text.as_bytes() => Ok(()),
        Ok(_) => Err("other bytes came back".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn page(number: usize) -> String {
    let path = "{pathPattern: {values: [/page]}}";
    rule(
        "shop/http/page",
        2,
        path,
        &fixed(200, &format!("\"{number}\"")),
    )
}
