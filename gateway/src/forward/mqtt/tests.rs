#![allow(clippy::unwrap_used, reason = "a test may stop here")]
use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[test]
fn an_address_has_a_scheme_a_host_and_a_port() {
    let check = |url, host: &str, port, tls| assert_eq!(split_url(url), Ok((host.to_owned(), port, tls)), "{url}");
    check("mqtt://collector:1884", "collector", 1884, false);
    check("mqtts://collector", "collector", 8883, true);
    check("mqtt://10.0.0.5/", "10.0.0.5", 1883, false);
    check("mqtt://[fd00::5]:1884", "[fd00::5]", 1884, false);
    check("mqtt://[fd00::5]", "[fd00::5]", 1883, false);
}

#[test]
fn what_is_no_address_is_refused_without_being_repeated() {
    let check = |url: &str, want: AddressError| {
        let said = split_url(url).unwrap_err();
        assert!(!said.to_string().contains("secret"), "{said}");
        assert_eq!(said, want, "{url}");
    };
    for url in ["mqtt://", "mqtt://:1883", "http://collector:80", "mqtt://collector:99999", "mqtt://collector:0", "mqtt://collector:"] {
        check(url, AddressError::Url);
    }
    for url in
        ["mqtt://a host", "mqtt://collector/topic", "mqtt://collector:1883/topic", "mqtt://fd00::5:1883", "mqtt://[fd00::5", "mqtt://[]"]
    {
        check(url, AddressError::Url);
    }
    check("mqtt://davy:secret", AddressError::Url);
    check("mqtt://davy:secret@collector:1883", AddressError::Credentials);
    check("mqtts://[fd00::5]:8883", AddressError::BracketsOverTls);
}

/// One packet that comes, after its length of one byte.
async fn packet(stream: &mut TcpStream) -> Vec<u8> {
    let _kind = stream.read_u8().await.unwrap();
    let mut rest = vec![0; usize::from(stream.read_u8().await.unwrap())];
    stream.read_exact(&mut rest).await.unwrap();
    rest
}

/// A connection to a broker that took it and answered its subscriptions with these codes: the broker's end, and its news.
async fn connected(codes: [u8; 2]) -> (TcpStream, Connection, mpsc::Receiver<(u64, News)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broker = BrokerConfig { url: format!("mqtt://{}", listener.local_addr().unwrap()), ..BrokerConfig::default() };
    let (out, mut news) = mpsc::channel(4);
    let gateway = GatewayId::new("g").unwrap();
    let destination = Destination { broker: &broker, root: "davy", gateway: &gateway, tls: None };
    let connection = Connection::open(destination, vec![], 1, out).unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    packet(&mut stream).await;
    stream.write_all(&[0x20, 2, 0, 0]).await.unwrap();
    let subscription = packet(&mut stream).await;
    stream.write_all(&[0x90, 4, subscription[0], subscription[1], codes[0], codes[1]]).await.unwrap();
    assert!(matches!(news.recv().await, Some((1, News::Connected))));
    (stream, connection, news)
}

#[tokio::test]
async fn what_comes_on_our_topics_is_heard() {
    let (mut stream, connection, mut news) = connected([1, 1]).await;
    let topic = topic("davy", &GatewayId::new("g").unwrap(), Kind::Ack);
    let length = topic.len() as u8;
    let publish = [&[0x30, length + 4, 0, length], topic.as_bytes(), b"ok"].concat();
    stream.write_all(&publish).await.unwrap();
    assert!(matches!(news.recv().await, Some((1, News::Ack(payload))) if payload == b"ok"));
    assert!(!connection.has_ended());
}

#[tokio::test]
async fn a_subscription_that_the_broker_refuses_ends_the_connection_and_is_named() {
    let (_stream, _connection, mut news) = connected([1, 0x80]).await;
    let Some((1, News::Lost(why))) = news.recv().await else { panic!("it goes on") };
    let command = topic("davy", &GatewayId::new("g").unwrap(), Kind::Cmd);
    assert_eq!(why, format!("the broker refuses our subscription to {command}"));
    assert!(news.recv().await.is_none(), "nothing comes after it");
}

impl Connection {
    /// One whose task fell without a word.
    pub async fn fallen(number: u64) -> Connection {
        let (client, _) = AsyncClient::new(MqttOptions::new("g", "nowhere", 1), 1);
        let mut task = tokio::spawn(async {});
        (&mut task).await.unwrap();
        Connection { client, task, number }
    }
}
