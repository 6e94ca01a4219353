//! The broker inside: rmqtt 0.24, MQTT 3.1.1, on a runtime of its own so that stopping it stops everything of it.
//!
//! Nobody is anonymous. A gateway signs in with its own id and secret, publishes only on its own
//! `{up,birth,status}` and subscribes only to its own `{ack,cmd}`; anything else ends the connection and is
//! journalled once. A publish is tapped in the ACL hook, which rmqtt awaits before it answers with a PUBACK: the
//! letter is then in the bounded inbox, and when there is no room the connection ends without a PUBACK. Nothing
//! goes through a broker queue on its way in. A PUBACK is flow control, not an acknowledgement.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rmqtt::codec::v5::SubscribeAckReason;
use rmqtt::context::ServerContext;
use rmqtt::hook::{Handler, HookResult, Parameter, ReturnType, Type};
use rmqtt::net::Builder;
use rmqtt::server::MqttServer;
use rmqtt::session::SessionState;
use rmqtt::types::{AuthResult, ClientId, CodecPublish, ConnectInfo, From, Id, Publish, PublishAclResult, QoS, SubscribeAclResult};
use telemetry::MAX_PAYLOAD;
use telemetry::topic::{self, GatewayId, Kind};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::ingest::{Inbox, Outgoing, Refusal, Taken};
use crate::store::Store;

/// A packet is a payload and its topic.
const MOST_PACKET: u32 = MAX_PAYLOAD as u32 + 4096;
/// Wrong passwords from one address are answered without asking the database after this many a minute.
const MOST_FAILURES: u32 = 20;
const FAILURE_WINDOW_MS: u64 = 60_000;
/// Addresses that are watched for wrong passwords at once.
const MOST_ADDRESSES: usize = 4096;

/// Why the broker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("cannot listen for gateways on {listen}: {why}")]
    Listen { listen: SocketAddr, why: String },
    #[error("cannot start the broker's runtime")]
    Runtime(#[source] std::io::Error),
}

/// What the broker needs.
pub struct BrokerParts {
    pub listen: SocketAddr,
    pub root: String,
    pub store: Store,
    pub inbox: Inbox,
    pub outgoing: mpsc::Receiver<Outgoing>,
    pub clock: Clock,
    pub shutdown: CancellationToken,
}

/// A running broker.
pub struct Broker {
    /// Where it listens.
    pub address: SocketAddr,
    /// Ends when the broker has stopped.
    pub task: tokio::task::JoinHandle<()>,
}

/// Starts listening and returns.
pub async fn start(parts: BrokerParts) -> Result<Broker, BrokerError> {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("broker").enable_all().build();
    let runtime = Own(Some(built.map_err(BrokerError::Runtime)?));
    let shutdown = parts.shutdown.clone();
    let serving = runtime.spawn(parts)?;
    let started = match serving.await {
        Ok(Ok(started)) => Ok(started),
        Ok(Err(error)) => Err(error),
        Err(error) => Err(BrokerError::Runtime(std::io::Error::other(error))),
    };
    let (address, server, sender) = started?;
    let task = tokio::spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            // Either of these only ends by failing.
            _ = server => {}
            _ = sender => {}
        }
        // Ends every connection: rmqtt has no stop of its own.
        drop(runtime);
    });
    Ok(Broker { address, task })
}

/// The broker's runtime, which ends without waiting wherever it is dropped.
struct Own(Option<tokio::runtime::Runtime>);

impl Own {
    fn spawn(&self, parts: BrokerParts) -> Result<tokio::task::JoinHandle<Serving>, BrokerError> {
        let runtime = self.0.as_ref().ok_or_else(|| BrokerError::Runtime(std::io::Error::other("already ended")))?;
        Ok(runtime.spawn(serve(parts)))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

type Task = tokio::task::JoinHandle<()>;
/// Where it listens, the server and the sender.
type Serving = Result<(SocketAddr, Task, Task), BrokerError>;

async fn serve(parts: BrokerParts) -> Serving {
    let BrokerParts { listen, root, store, inbox, outgoing, clock, .. } = parts;
    let context = ServerContext::new().build().await;
    let register = context.extends.hook_mgr().register();
    let desk = Arc::new(FrontDesk { root: root.clone(), store, inbox, failures: Mutex::default(), clock });
    for on in [Type::ClientAuthenticate, Type::ClientSubscribeCheckAcl, Type::MessagePublishCheckAcl] {
        register.add(on, Box::new(Hook(desk.clone()))).await;
    }
    register.start().await;
    let wrong = |why: String| BrokerError::Listen { listen, why };
    let listener = Builder::new()
        .name("gateways")
        .laddr(listen)
        .reuseaddr(Some(true))
        .nodelay(true)
        .allow_anonymous(false)
        .max_packet_size(MOST_PACKET)
        .max_handshaking_limit(200)
        .handshake_timeout(Duration::from_secs(10))
        .max_connections(20_000)
        .max_clientid_len(80)
        .max_topic_levels(16)
        .max_inflight(NonZeroU16::MIN.saturating_add(63))
        .max_subscriptions(8)
        .session_expiry_interval(Duration::ZERO)
        .bind()
        .and_then(|listener| listener.tcp())
        .map_err(|error| wrong(error.to_string()))?;
    let address = listener.local_addr().map_err(|error| wrong(error.to_string()))?;
    let server = MqttServer::new(context.clone()).listener_by_id(listener, address.port()).build();
    let server = tokio::spawn(async move {
        if let Err(error) = server.run().await {
            tracing::error!(%error, "the embedded broker has stopped");
        }
    });
    Ok((address, server, tokio::spawn(send(context, root, outgoing))))
}

/// Sends acknowledgements and commands.
async fn send(context: ServerContext, root: String, mut outgoing: mpsc::Receiver<Outgoing>) {
    let us = Id::new(context.node.id(), 0, None, None, ClientId::from_static("davy-collector"), None);
    while let Some(Outgoing { gateway, kind, payload }) = outgoing.recv().await {
        let publish = CodecPublish {
            dup: false,
            retain: false,
            qos: QoS::AtLeastOnce,
            topic: topic::topic(&root, &gateway, kind).into(),
            packet_id: None,
            payload: Bytes::from(payload),
            properties: None,
        };
        // A gateway that is not there gets it with its next letter.
        if let Err(error) = SessionState::forwards(&context, From::from_system(us.clone()), Publish::from(publish), false, None).await {
            tracing::debug!(%error, "an answer to gateway {gateway} could not be sent");
        }
    }
}

/// Who is let in, and with what.
struct FrontDesk {
    root: String,
    store: Store,
    inbox: Inbox,
    failures: Mutex<HashMap<std::net::IpAddr, (u64, u32)>>,
    clock: Clock,
}

struct Hook(Arc<FrontDesk>);

#[async_trait]
impl Handler for Hook {
    async fn hook(&self, parameter: &Parameter, _before: Option<HookResult>) -> ReturnType {
        let result = match parameter {
            Parameter::ClientAuthenticate(info) => HookResult::AuthResult(self.0.sign_in(info).await),
            Parameter::ClientSubscribeCheckAcl(session, subscribe) => {
                let allowed = self.0.may_subscribe(&session.id, &subscribe.topic_filter);
                HookResult::SubscribeAclResult(if allowed {
                    SubscribeAclResult::new_success(subscribe.opts.qos(), None)
                } else {
                    SubscribeAclResult::new_failure(SubscribeAckReason::NotAuthorized)
                })
            }
            Parameter::MessagePublishCheckAcl(session, publish) => HookResult::PublishAclResult(self.0.publish(&session.id, publish).await),
            _ => return (true, None),
        };
        (false, Some(result))
    }
}

impl FrontDesk {
    async fn sign_in(&self, info: &ConnectInfo) -> AuthResult {
        let from = info.id().remote_addr.map(|address| address.ip());
        if from.is_some_and(|from| self.is_locked_out(from)) {
            self.inbox.counters().sign_ins_refused.fetch_add(1, Ordering::Relaxed);
            return AuthResult::NotAuthorized;
        }
        let user = info.username().map(|user| user.to_string()).unwrap_or_default();
        let password = info.password().map(|password| String::from_utf8_lossy(password).into_owned()).unwrap_or_default();
        let Ok(gateway) = GatewayId::new(user) else { return self.turned_away(from, None, "the user is no gateway id") };
        if !is_own_client_id(info.client_id(), &gateway) {
            return self.turned_away(from, Some(gateway), "the client id must be the gateway id, or begin with it and ':'");
        }
        match self.store.authenticate_gateway(gateway.as_str(), &password).await {
            Ok(Some(_)) => AuthResult::Allow(false, None),
            Ok(None) => self.turned_away(from, Some(gateway), "unknown gateway or wrong password"),
            Err(error) => {
                // Not its fault: it tries again, and no failure is held against it.
                tracing::warn!(error = crate::pipeline::chain(&error), "gateway {gateway} cannot be checked now");
                AuthResult::NotAuthorized
            }
        }
    }

    fn turned_away(&self, from: Option<std::net::IpAddr>, gateway: Option<GatewayId>, why: &'static str) -> AuthResult {
        self.inbox.counters().sign_ins_refused.fetch_add(1, Ordering::Relaxed);
        let whence = from.map_or_else(|| "an unknown address".to_owned(), |from| from.to_string());
        // Only an admitted gateway is named as the journal's subject: made-up names must not fill the journal.
        let registry = self.store.registry();
        let admitted = gateway.filter(|gateway| registry.gateways.iter().any(|known| known.id == gateway.as_str()));
        if let Some(gateway) = admitted.or_else(|| GatewayId::new("unknown").ok()) {
            self.inbox.note(gateway, Refusal { kind: "sign_in", why: format!("sign-in from {whence} refused: {why}") });
        }
        if let Some(from) = from {
            let now = self.clock.mono().0;
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            failures.retain(|_, (since, _)| now.saturating_sub(*since) < FAILURE_WINDOW_MS);
            if failures.len() < MOST_ADDRESSES || failures.contains_key(&from) {
                failures.entry(from).or_insert((now, 0)).1 += 1;
            }
        }
        AuthResult::BadUsernameOrPassword
    }

    fn is_locked_out(&self, from: std::net::IpAddr) -> bool {
        let now = self.clock.mono().0;
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(&from).is_some_and(|(since, count)| *count >= MOST_FAILURES && now.saturating_sub(*since) < FAILURE_WINDOW_MS)
    }

    fn may_subscribe(&self, who: &Id, filter: &str) -> bool {
        let Some(gateway) = gateway_of(who) else { return false };
        let allowed = [Kind::Ack, Kind::Cmd].into_iter().any(|kind| filter == topic::topic(&self.root, &gateway, kind));
        if !allowed {
            self.inbox
                .note(gateway, Refusal { kind: "foreign_subscription", why: format!("it may not subscribe to {:?}", shortened(filter)) });
        }
        allowed
    }

    async fn publish(&self, who: &Id, publish: &Publish) -> PublishAclResult {
        let away = || PublishAclResult::rejected(true, None);
        let Some(gateway) = gateway_of(who) else { return away() };
        let kind = match topic::parse(&self.root, &publish.topic) {
            Some((of, kind @ (Kind::Up | Kind::Birth | Kind::Status))) if of == gateway => kind,
            _ => {
                let why = format!("it may not publish on {:?}", shortened(&publish.topic));
                self.inbox.counters().refused.fetch_add(1, Ordering::Relaxed);
                self.inbox.note(gateway, Refusal { kind: "foreign_topic", why });
                return away();
            }
        };
        match self.inbox.take(gateway, kind, &publish.payload).await {
            Taken::Yes => PublishAclResult::allow(),
            Taken::Refused => {
                // Answered like any other: ending the connection would only bring the same message back at once.
                self.inbox.counters().refused.fetch_add(1, Ordering::Relaxed);
                PublishAclResult::allow()
            }
            Taken::No => away(),
        }
    }
}

fn gateway_of(who: &Id) -> Option<GatewayId> {
    GatewayId::new(who.username.as_ref()?.to_string()).ok()
}

/// A gateway may hold several connections, but none under another one's name: taking over a client id ends the
/// other connection. ':' is not part of a gateway id, so no gateway's id begins like this.
fn is_own_client_id(client: &str, gateway: &GatewayId) -> bool {
    match client.strip_prefix(gateway.as_str()) {
        Some(rest) => rest.is_empty() || rest.starts_with([':', '/', '.', '_']),
        None => false,
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_cannot_take_anothers_client_id() {
        let gateway = GatewayId::new("gw-1").expect("legal");
        for own in ["gw-1", "gw-1:up", "gw-1/consumer"] {
            assert!(is_own_client_id(own, &gateway), "{own}");
        }
        for other in ["gw-10", "gw-1-b", "gw-2", "", "davy-gw-1"] {
            assert!(!is_own_client_id(other, &gateway), "{other}");
        }
    }
}
