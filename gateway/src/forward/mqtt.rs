//! One life of a broker connection: a rumqttc client whose event loop runs in a task of its own. It is never
//! resumed: after any error it is thrown away, and the next one is filled from the spool.

use std::time::Duration;

use rumqttc::{AsyncClient, Event, Incoming, LastWill, MqttOptions, QoS, TlsConfiguration, Transport};
use telemetry::topic::{GatewayId, Kind, topic};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::BrokerConfig;

/// Messages handed to the client and not yet on the socket.
const HANDED: usize = 128;

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
    /// A file that TLS needs.
    #[error("cannot read {path}")]
    File {
        path: String,
        #[source]
        source: std::io::Error,
    },
    /// TLS without an authority.
    #[error("broker url {0:?} asks for TLS: name the authority's certificate in broker.ca")]
    NoAuthority(String),
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
    /// Starts connecting; news comes through `news`.
    pub fn open(
        broker: &BrokerConfig,
        root: &str,
        gateway: &GatewayId,
        will: Vec<u8>,
        news: mpsc::UnboundedSender<News>,
    ) -> Result<Connection, AddressError> {
        let (host, port, tls) = split_url(&broker.url)?;
        let mut options = MqttOptions::new(gateway.as_str(), host, port);
        options.set_clean_session(true).set_keep_alive(Duration::from_secs(10)).set_inflight(64);
        options.set_max_packet_size(telemetry::MAX_PAYLOAD + 1024, telemetry::MAX_PAYLOAD + 1024);
        options.set_last_will(LastWill::new(topic(root, gateway, Kind::Status), will, QoS::AtLeastOnce, false));
        if let Some(user) = &broker.user {
            options.set_credentials(user.clone(), broker.password.clone().unwrap_or_default());
        }
        if tls {
            let ca = broker.ca.as_ref().ok_or_else(|| AddressError::NoAuthority(broker.url.clone()))?;
            let read = |path: &std::path::Path| {
                std::fs::read(path).map_err(|source| AddressError::File { path: path.display().to_string(), source })
            };
            let client_auth = match &broker.client_certificate {
                Some((chain, key)) => Some((read(chain)?, read(key)?)),
                None => None,
            };
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Simple { ca: read(ca)?, alpn: None, client_auth }));
        }
        let (client, mut events) = AsyncClient::new(options, HANDED);
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
                if news.send(said).is_err() || over {
                    return;
                }
            }
        });
        Ok(Connection { client, task })
    }

    /// Hands a message to the client. False when it takes no more now.
    pub fn publish(&self, topic: &str, payload: Vec<u8>) -> bool {
        self.client.try_publish(topic, QoS::AtLeastOnce, false, payload).is_ok()
    }

    /// Says goodbye; the broker then sends no last will.
    pub fn goodbye(&self) {
        let _ = self.client.try_disconnect();
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
