//! A stranger's Modbus client reads the same registers over every kind of line.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

use firmware::conversion::{Calibration, LoopBands, Signal};
use firmware::self_test::SelfTestSettings;
use firmware::{ChannelSettings, NodeSettings};
use measurement::{ChannelId, Direction, Fault, Limit, Outcome, Unit, Value};
use register_map::{
    CHANNEL_SETTINGS_WORDS, CHANNEL_WORDS, ChannelBlock, ChannelSettingsBlock, DESK_COMMIT, DESK_KEY, Identity, NodeSettingsBlock,
    ResetCause, SettingsCrc, WRITE_ENABLE_KEY, channel_address, channel_settings_address,
};
use simulated::{Line, SimulatedNode};
use tokio_modbus::ExceptionCode;
use tokio_modbus::client::{Client, Context, Reader, Writer, rtu, tcp};
use tokio_modbus::slave::{Slave, SlaveContext};
use tokio_util::sync::CancellationToken;

fn node(unit: u8) -> SimulatedNode {
    let settings = NodeSettings { serial: 1000 + u64::from(unit), firmware: 1, boot_count: 1, reset_cause: ResetCause::PowerOn, unit };
    let channel = ChannelSettings {
        quantity: 1,
        unit: Unit::Ppm,
        self_test: SelfTestSettings { range: (0.0, 100.0), below_tolerance: 3.0, stuck_after_ms: 0, stuck_step: 0.0, catalytic: false },
        calibration: Calibration::NONE,
        bands: LoopBands::NE43,
        low: None,
        high: None,
        latching: false,
        oxygen: false,
        normal: (f32::MIN, 10.0),
    };
    SimulatedNode::new(unit, settings, vec![channel])
}

async fn check(mut client: Context, nodes: &[SimulatedNode]) {
    for node in nodes {
        client.set_slave(Slave(node.unit()));
        let words = client.read_holding_registers(0, 18).await.unwrap().unwrap();
        assert_eq!(Identity::decode(&words).unwrap().serial, 1000 + u64::from(node.unit()));
        for (signal, outcome) in [(Signal::Number(7.5), Outcome::measured(7.5)), (Signal::NoAnswer, Outcome::Bad(Fault::NotConnected))] {
            node.feed(ChannelId(0), signal, 20.0);
            let words = client.read_input_registers(channel_address(0), CHANNEL_WORDS as u16).await.unwrap().unwrap();
            assert_eq!(ChannelBlock::decode(0, &words).unwrap().outcome, outcome);
        }
    }
    client.disconnect().await.unwrap();
}

#[tokio::test]
async fn modbus_tcp() {
    let (nodes, stop) = (vec![node(1), node(2)], CancellationToken::new());
    let line = Line::modbus_tcp(nodes.clone(), stop.clone()).await.unwrap();
    check(tcp::connect(line.address().unwrap()).await.unwrap(), &nodes).await;
    stop.cancel();
}

#[tokio::test]
async fn rtu_over_tcp() {
    let (nodes, stop) = (vec![node(1), node(2)], CancellationToken::new());
    let line = Line::rtu_over_tcp(nodes.clone(), stop.clone()).await.unwrap();
    let stream = tokio::net::TcpStream::connect(line.address().unwrap()).await.unwrap();
    check(rtu::attach(stream), &nodes).await;
    stop.cancel();
}

#[tokio::test]
async fn rtu_on_a_pseudo_terminal() {
    let (nodes, stop) = (vec![node(1), node(2)], CancellationToken::new());
    let line = Line::pty(nodes.clone(), stop.clone()).unwrap();
    let stream = tokio_serial::SerialStream::open(&tokio_serial::new(line.path().unwrap(), 9600)).unwrap();
    check(rtu::attach(stream), &nodes).await;
    stop.cancel();
}

#[tokio::test]
async fn a_node_that_lost_its_power_comes_back_with_one_boot_more() {
    let (nodes, stop) = (vec![node(1)], CancellationToken::new());
    let line = Line::modbus_tcp(nodes.clone(), stop.clone()).await.unwrap();
    nodes[0].feed(ChannelId(0), Signal::Number(1.0), 20.0);
    nodes[0].power_off();
    nodes[0].power_on();
    let mut client = tcp::connect_slave(line.address().unwrap(), Slave(1)).await.unwrap();
    let words = client.read_holding_registers(0, 18).await.unwrap().unwrap();
    assert_eq!(Identity::decode(&words).unwrap().boot_count, 2);
    let words = client.read_input_registers(channel_address(0), CHANNEL_WORDS as u16).await.unwrap().unwrap();
    assert_eq!(ChannelBlock::decode(0, &words).unwrap().outcome, Outcome::Bad(Fault::NotYetRead));
    stop.cancel();
}

/// A stranger's client changes the settings of a node and attests them; another connection of the same kind reads them back.
#[tokio::test]
async fn settings_are_changed_by_a_key_and_a_commit_and_outlive_a_power_cut() {
    let (nodes, stop) = (vec![node(1)], CancellationToken::new());
    let line = Line::modbus_tcp(nodes.clone(), stop.clone()).await.unwrap();
    let mut client = tcp::connect_slave(line.address().unwrap(), Slave(1)).await.unwrap();
    let address = channel_settings_address(0);
    let words = client.read_holding_registers(address, CHANNEL_SETTINGS_WORDS as u16).await.unwrap().unwrap();
    let mut block = ChannelSettingsBlock::decode(0, &words).unwrap();
    let value = |number| Value::new(number).unwrap();
    block.low = Some(Limit { direction: Direction::High, setpoint: value(20.0), release: value(18.0), on_delay_ms: 0, off_delay_ms: 0 });

    let refused = client.write_multiple_registers(address, &block.content()).await.unwrap();
    assert_eq!(refused, Err(ExceptionCode::ServerDeviceFailure), "without the key");
    client.write_multiple_registers(DESK_KEY, &[(WRITE_ENABLE_KEY >> 16) as u16, WRITE_ENABLE_KEY as u16]).await.unwrap().unwrap();
    client.write_multiple_registers(address, &block.content()).await.unwrap().unwrap();
    let mut crc = SettingsCrc::new();
    crc.words(&NodeSettingsBlock { unit: 1, channels: 1 }.content());
    crc.words(&block.content());
    let crc = crc.end();
    client.write_multiple_registers(DESK_COMMIT, &[0, (crc >> 16) as u16, crc as u16]).await.unwrap().unwrap();
    assert_eq!(client.write_single_register(address, 1).await.unwrap(), Err(ExceptionCode::IllegalFunction));

    nodes[0].power_off();
    nodes[0].power_on();
    let identity = Identity::decode(&client.read_holding_registers(0, 18).await.unwrap().unwrap()).unwrap();
    assert_eq!((identity.boot_count, identity.settings_version, identity.settings_hash), (2, 1, crc));
    assert!(nodes[0].feed(ChannelId(0), Signal::Number(20.0), 20.0).sounder);
    stop.cancel();
}
