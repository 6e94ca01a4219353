#![allow(clippy::unwrap_used, reason = "a test may stop here")]
//! A change whose commit or its answer is lost on the way, between us and a simulated node.

use std::time::Duration;

use simulated::{Line, SimulatedNode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::poll::link::{Opener, Stream};

/// What becomes of the commit.
#[derive(Debug, Clone, Copy)]
enum Lost {
    Question,
    Answer,
    /// It and everything after it.
    Line,
}

/// A line to this address on which the commit or its answer is lost, once.
fn leaky(address: String, lost: Lost) -> Link {
    let opener: Opener = Box::new(move || {
        let address = address.clone();
        Box::pin(async move {
            let mut node = TcpStream::connect(&address).await?;
            let (near, mut far) = tokio::io::duplex(4096);
            tokio::spawn(async move {
                let (mut question, mut answer) = ([0; 512], [0; 512]);
                let mut swallows = false;
                loop {
                    tokio::select! {
                        Ok(length @ 1..) = far.read(&mut question) => {
                            let is_commit = question[1] == 16 && question[2..4] == DESK_COMMIT.to_be_bytes();
                            match lost {
                                Lost::Question if is_commit => continue,
                                Lost::Line if is_commit => return,
                                _ => swallows = is_commit,
                            }
                            node.write_all(&question[..length]).await.unwrap();
                        }
                        Ok(length @ 1..) = node.read(&mut answer) => if !swallows {
                            far.write_all(&answer[..length]).await.unwrap();
                        },
                        else => return,
                    }
                }
            });
            Ok(Box::new(near) as Box<dyn Stream>)
        })
    });
    Link::over(opener, true, Duration::from_millis(500), Duration::ZERO)
}

async fn check(lost: Lost, is_known: bool) {
    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    let identity =
        firmware::NodeSettings { unit: 3, serial: 0xD0, firmware: 1, boot_count: 1, reset_cause: register_map::ResetCause::PowerOn };
    let node = SimulatedNode::new(3, identity, firmware::shipped::FOUR_GAS_CHANNELS.to_vec());
    let line = Line::rtu_over_tcp(vec![node], stop).await.unwrap();
    let mut link = leaky(line.address().unwrap().to_string(), lost);
    let old = read(&mut link, 3).await.unwrap();
    let wanted = Wanted::parse("w", "[[channel]]\nnumber = 3\nlow = { setpoint = 12.0, release = 11.0 }\n").unwrap();
    let new = old.changed(&wanted).unwrap();
    let written = write(&mut link, 3, &old, &new).await;
    if is_known {
        assert_eq!(written.unwrap().hash, new.crc());
    } else {
        let said = written.unwrap_err().to_string();
        assert!(said.starts_with("it is not known whether the change is in force ("), "{lost:?}: {said}");
    }
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_in_force_and_told_so() {
    check(Lost::Answer, true).await;
}

#[tokio::test]
async fn a_commit_that_may_have_been_lost_is_not_called_unchanged() {
    check(Lost::Question, false).await;
    check(Lost::Line, false).await;
}

#[test]
fn only_the_node_s_own_no_is_final() {
    assert!(is_final(&Failure::Refused(4)) && is_final(&Failure::Forbidden(String::new())));
    assert!(!is_final(&Failure::Refused(0x0B)) && !is_final(&Failure::NoAnswer(1)));
}
