//! One life of a broker connection: a rumqttc client whose event loop runs in a task of its own. It is never
//! resumed: after any error it is thrown away, and the next one is filled from the spool.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{
    AsyncClient, Event, Incoming, LastWill, MqttOptions, QoS, SubscribeFilter, SubscribeReasonCode, TlsConfiguration, Transport,
};
use telemetry::topic::{GatewayId, Kind, topic};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::BrokerConfig;

/// Messages handed to the client and not yet on the socket.
const HANDED: usize = 128;

/// Finding, reaching and greeting the broker together, over a satellite or a modem that dials first; also one write. In
/// rumqttc 5 s.
const CONNECTING_S: u64 = 30;

/// A goodbye takes no longer than this.
const CLOSING: Duration = Duration::from_millis(500);

/// What comes from the broker.
#[derive(Debug)]
pub enum News {
    /// Connected and accepted.
    Connected,
    /// A payload on our acknowledgement topic.
    Ack(Vec<u8>),
    /// A payload on our command topic.
    Command(Vec<u8>),
    /// Over, and why.
    Lost(String),
}

/// A connection, from the first attempt to its end.
pub struct Connection {
    client: AsyncClient,
    task: JoinHandle<()>,
    number: u64,
}

/// Whom to connect to, and as whom.
pub struct Destination<'a> {
    pub broker: &'a BrokerConfig,
    pub root: &'a str,
    pub gateway: &'a GatewayId,
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why a broker's address cannot be used. None of them repeats the address: a password may stand in it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not an address.
    #[error(
        "broker url must look like mqtt://host:1883 or mqtts://host:8883, and an IPv6 address stands in brackets: mqtt://[fd00::5]:1883"
    )]
    Url,
    /// Somebody's name before the host.
    #[error("broker url must not hold a user or a password: they belong in broker.user and broker.password")]
    Credentials,
    /// A certificate is made out to a name, and rumqttc checks no other.
    #[error(
        "broker url over TLS must name the host or its IPv4 address: an IPv6 address in brackets cannot be checked against a certificate"
    )]
    BracketsOverTls,
    /// TLS without anything to check the broker by.
    #[error("broker url asks for TLS and there is no usable certificate of its authority")]
    NoCertificates,
}

/// Host, port and whether TLS is wanted.
pub fn split_url(url: &str) -> Result<(String, u16, bool), AddressError> {
    let (rest, tls) = match (url.strip_prefix("mqtt://"), url.strip_prefix("mqtts://")) {
        (Some(rest), _) => (rest, false),
        (_, Some(rest)) => (rest, true),
        _ => return Err(AddressError::Url),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains('@') {
        return Err(AddressError::Credentials);
    }
    // The colons of an IPv6 address stand before its bracket.
    let (host, port) = match rest.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
        Some((host, port)) => (host, port.parse::<u16>().map_err(|_| AddressError::Url)?),
        None => (rest, if tls { 8883 } else { 1883 }),
    };
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match in_brackets {
        Some(address) if address.parse::<Ipv6Addr>().is_err() => Err(AddressError::Url),
        Some(_) if tls => Err(AddressError::BracketsOverTls),
        None if !is_name(host) => Err(AddressError::Url),
        _ if port == 0 => Err(AddressError::Url),
        _ => Ok((host.to_owned(), port, tls)),
    }
}

/// What a host's name or its IPv4 address may be made of.
fn is_name(host: &str) -> bool {
    !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

impl Connection {
    /// Starts connecting; news comes through `news`, beside the connection's number. Without room there nothing more
    /// is read of the broker. `tls` is what an `mqtts` address is connected with.
    pub fn open(
        Destination { broker, root, gateway, tls }: Destination<'_>,
        will: Vec<u8>,
        number: u64,
        news: mpsc::Sender<(u64, News)>,
    ) -> Result<Connection, AddressError> {
        let (host, port, wants_tls) = split_url(&broker.url)?;
        let mut options = MqttOptions::new(gateway.as_str(), host, port);
        options.set_clean_session(true).set_keep_alive(Duration::from_secs(10)).set_inflight(64);
        options.set_max_packet_size(telemetry::MAX_PAYLOAD + 1024, telemetry::MAX_PAYLOAD + 1024);
        options.set_last_will(LastWill::new(topic(root, gateway, Kind::Status), will, QoS::AtLeastOnce, false));
        if let Some(user) = &broker.user {
            options.set_credentials(user.clone(), broker.password.clone().unwrap_or_default());
        }
        match tls {
            Some(tls) if wants_tls => {
                options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
            }
            // Never in plain text where the address says otherwise.
            None if wants_tls => return Err(AddressError::NoCertificates),
            _ => {}
        }
        let (client, mut events) = AsyncClient::new(options, HANDED);
        // A message is never kept back for the one after it.
        events.network_options.set_tcp_nodelay(true);
        events.network_options.set_connection_timeout(CONNECTING_S);
        let (ack, command) = (topic(root, gateway, Kind::Ack), topic(root, gateway, Kind::Cmd));
        let (subscriber, filters) = (client.clone(), [ack.clone(), command.clone()]);
        let task = tokio::spawn(async move {
            loop {
                let said = match events.poll().await {
                    Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                        let asked = filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
                        subscriber.try_subscribe_many(asked).map_or_else(|error| News::Lost(error.to_string()), |()| News::Connected)
                    }
                    Ok(Event::Incoming(Incoming::Publish(publish))) if publish.topic == ack => News::Ack(publish.payload.to_vec()),
                    Ok(Event::Incoming(Incoming::Publish(publish))) if publish.topic == command => News::Command(publish.payload.to_vec()),
                    Ok(Event::Incoming(Incoming::SubAck(answer))) => {
                        let answers = filters.iter().zip(&answer.return_codes);
                        let refused = answers.filter(|(_, code)| **code == SubscribeReasonCode::Failure).map(|(filter, _)| filter).next();
                        let Some(filter) = refused else { continue };
                        News::Lost(format!("the broker refuses our subscription to {filter}"))
                    }
                    Ok(_) => continue,
                    Err(error) => News::Lost(explain(&error)),
                };
                let over = matches!(said, News::Lost(_));
                if news.send((number, said)).await.is_err() || over {
                    return;
                }
            }
        });
        Ok(Connection { client, task, number })
    }

    /// Hands a message to the client. False when it takes no more now.
    pub fn publish(&self, topic: &str, payload: Vec<u8>) -> bool {
        self.client.try_publish(topic, QoS::AtLeastOnce, false, payload).is_ok()
    }

    /// True when its task has ended. It says why before that; a task that fell said nothing.
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Its number: news of another one is old news.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Sends what was handed over, says goodbye (the broker then sends no last will) and ends.
    pub async fn close(mut self) {
        if self.client.try_disconnect().is_ok() {
            let _ = tokio::time::timeout(CLOSING, &mut self.task).await;
        }
    }
}

fn explain(error: &rumqttc::ConnectionError) -> String {
    match error {
        rumqttc::ConnectionError::ConnectionRefused(code) => format!("the broker refuses us: {code:?}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
