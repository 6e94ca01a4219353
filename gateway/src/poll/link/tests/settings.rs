//! Writing a node's settings: only there, only to a node, only once.

use super::*;

/// What the far end does with a question to write.
#[derive(Clone, Copy)]
enum Node {
    Obeys,
    Refuses,
    EchoesAnother,
    Mumbles,
    IsForeign,
}

/// A device, and the frames it was sent.
fn device(node: Node) -> (Link, Arc<Mutex<Vec<Vec<u8>>>>) {
    let seen: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let kept = seen.clone();
    let opener: Opener = Box::new(move || {
        let (near, mut far) = tokio::io::duplex(1024);
        let kept = kept.clone();
        tokio::spawn(async move {
            let mut bytes = [0; 256];
            while let Ok(length) = far.read(&mut bytes).await {
                if length == 0 {
                    return;
                }
                let question = bytes[..length].to_vec();
                kept.lock().unwrap().push(question.clone());
                let mut frame = match (question[1], node) {
                    (3, _) => {
                        let mut block = [0; register_map::IDENTITY_WORDS];
                        block[..2].copy_from_slice(&[register_map::MAGIC, register_map::VERSION]);
                        let last = block.len() - 1;
                        block[last] = register_map::check_word(register_map::IDENTITY, &block[..last]);
                        if matches!(node, Node::IsForeign) {
                            block[0] = 0;
                        }
                        let mut frame = vec![question[0], 3, block.len() as u8 * 2];
                        frame.extend(block.iter().flat_map(|word| word.to_be_bytes()));
                        frame
                    }
                    (function, Node::Refuses) => vec![question[0], function | 0x80, 4],
                    (_, Node::EchoesAnother) => vec![question[0], 16, question[2], question[3] + 1, question[4], question[5]],
                    _ => question[..6].to_vec(),
                };
                let mut crc = crc16(&frame);
                if question[1] == 16 && matches!(node, Node::Mumbles) {
                    crc ^= 1;
                }
                frame.extend(crc.to_le_bytes());
                let _ = far.write_all(&frame).await;
            }
        });
        Box::pin(async move { Ok(Box::new(near) as Box<dyn Stream>) })
    });
    (Link::over(opener, true, TIMEOUT, Duration::ZERO), seen)
}

fn writes(seen: &Mutex<Vec<Vec<u8>>>) -> usize {
    seen.lock().unwrap().iter().filter(|frame| !(1..=4).contains(&frame[1])).count()
}

#[tokio::test(start_paused = true)]
async fn a_nodes_settings_are_written_and_its_echo_believed() {
    let (mut link, seen) = device(Node::Obeys);
    assert_eq!(link.write_settings(7, 0x0500, &[1, 2, 3]).await, Ok(()));
    let written = seen.lock().unwrap().last().unwrap().clone();
    assert_eq!(written[..13], [7, 16, 0x05, 0, 0, 3, 6, 0, 1, 0, 2, 0, 3]);
    assert_eq!(writes(&seen), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_outside_the_settings_nobody_but_one_node_and_no_foreign_device_is_written_to() {
    let (mut link, seen) = device(Node::Obeys);
    for (unit, address) in [(7, 0), (7, 0x0300), (7, 0x0407), (7, 0x0900), (0, 0x0400), (248, 0x0400)] {
        assert!(matches!(link.write_settings(unit, address, &[1]).await, Err(Failure::Forbidden(_))), "{unit} {address:#x}");
    }
    assert!(seen.lock().unwrap().is_empty());
    let (mut link, seen) = device(Node::IsForeign);
    assert_eq!(link.write_settings(7, 0x0400, &[1]).await, Err(Failure::Forbidden("unit 7 is no Davy node".to_owned())));
    assert_eq!(writes(&seen), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_another_echo_and_a_damaged_one_are_told_and_never_written_twice() {
    for (node, expected) in [
        (Node::Refuses, Failure::Refused(4)),
        (Node::EchoesAnother, Failure::Wrong("other registers were written than was asked for".to_owned())),
        (Node::Mumbles, Failure::Wrong("8 bytes that are no frame".to_owned())),
    ] {
        let (mut link, seen) = device(node);
        assert_eq!(link.write_settings(7, 0x0410, &[1, 2]).await, Err(expected));
        assert_eq!(writes(&seen), 1);
    }
}
