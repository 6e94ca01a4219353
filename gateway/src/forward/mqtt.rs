//! One life of a broker connection: a rumqttc client whose event loop runs in a task of its own. It is never
//! resumed: after any error it is thrown away, and the next one is filled from the spool.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, Incoming, LastWill, MqttOptions, QoS, TlsConfiguration, Transport};
use telemetry::topic::{GatewayId, Kind, topic};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::BrokerConfig;

/// Messages handed to the client and not yet on the socket.
const HANDED: usize = 128;

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

/// Why a broker's address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// Not an address.
    #[error("broker url {0:?} must look like mqtt://host:1883 or mqtts://host:8883")]
    Url(String),
    /// TLS without anything to check the broker by.
    #[error("broker url {0:?} asks for TLS and there is no usable certificate of its authority")]
    NoCertificates(String),
}

/// Host, port and whether TLS is wanted.
pub fn split_url(url: &str) -> Result<(String, u16, bool), AddressError> {
    let wrong = || AddressError::Url(url.to_owned());
    let (rest, tls) = match (url.strip_prefix("mqtt://"), url.strip_prefix("mqtts://")) {
        (Some(rest), _) => (rest, false),
        (_, Some(rest)) => (rest, true),
        _ => return Err(wrong()),
    };
    let rest = rest.trim_end_matches('/');
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) => (host, port.parse::<u16>().map_err(|_| wrong())?),
        None => (rest, if tls { 8883 } else { 1883 }),
    };
    if host.is_empty() || port == 0 { Err(wrong()) } else { Ok((host.to_owned(), port, tls)) }
}

impl Connection {
    /// Starts connecting; news comes through `news`, beside the connection's number, and is waited for to be taken. `tls` is what an `mqtts`
    /// address is connected with.
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
            None if wants_tls => return Err(AddressError::NoCertificates(broker.url.clone())),
            _ => {}
        }
        let (client, mut events) = AsyncClient::new(options, HANDED);
        // A message is never kept back for the one after it.
        events.network_options.set_tcp_nodelay(true);
        let (ack, command) = (topic(root, gateway, Kind::Ack), topic(root, gateway, Kind::Cmd));
        let subscriber = client.clone();
        let task = tokio::spawn(async move {
            loop {
                let said = match events.poll().await {
                    Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                        let asked =
                            subscriber.try_subscribe(&ack, QoS::AtLeastOnce).and(subscriber.try_subscribe(&command, QoS::AtLeastOnce));
                        asked.map_or_else(|error| News::Lost(error.to_string()), |()| News::Connected)
                    }
                    Ok(Event::Incoming(Incoming::Publish(publish))) if publish.topic == ack => News::Ack(publish.payload.to_vec()),
                    Ok(Event::Incoming(Incoming::Publish(publish))) if publish.topic == command => News::Command(publish.payload.to_vec()),
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
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_a_host_and_a_port() {
        let check = |url, want: Option<(&str, u16, bool)>| {
            let got = split_url(url).ok();
            assert_eq!(got, want.map(|(host, port, tls)| (host.to_owned(), port, tls)), "{url}");
        };
        check("mqtt://collector:1884", Some(("collector", 1884, false)));
        check("mqtts://collector", Some(("collector", 8883, true)));
        check("mqtt://", None);
        check("http://collector:80", None);
        check("mqtt://collector:99999", None);
    }
}
