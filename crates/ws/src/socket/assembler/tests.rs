use proptest::prelude::*;

use super::super::frame::write_header;
use super::*;

/// A client's frame.
fn frame(is_last: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let (mut header, used) = write_header(opcode, payload.len());
    if !is_last {
        header[0] &= 0x7f;
    }
    header[1] |= 0x80;
    let mask = [0x1b, 0x2c, 0x3d, 0x4e];
    let masked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    header[..used].iter().copied().chain(mask).chain(masked).collect()
}

/// All items of these bytes, pushed in pieces of this size.
fn items(bytes: &[u8], piece: usize) -> Result<Vec<Item>, Broken> {
    let mut assembler = Assembler::new(100);
    let mut items = Vec::new();
    for mut piece in bytes.chunks(piece) {
        while let Some(item) = assembler.push(&mut piece)? {
            items.push(item);
        }
        assert!(piece.is_empty());
    }
    assert!(!assembler.is_unfinished());
    Ok(items)
}

#[test]
fn control_frames_come_between_the_parts_of_a_message() {
    let bytes = [
        frame(false, Opcode::Text, "äö".as_bytes()),
        frame(true, Opcode::Ping, b"now"),
        frame(false, Opcode::Continuation, &"ü".as_bytes()[..1]),
        frame(true, Opcode::Pong, b""),
        frame(true, Opcode::Continuation, &"ü".as_bytes()[1..]),
        frame(true, Opcode::Binary, &[0xff]),
        frame(true, Opcode::Close, &[0x03, 0xe8]),
    ]
    .concat();
    let expected = vec![
        Item::Ping(b"now".to_vec()),
        Item::Pong,
        Item::Text("äöü".into()),
        Item::Binary(vec![0xff]),
        Item::Close(Some(1000)),
    ];
    for piece in [1, 2, 3, 7, bytes.len()] {
        assert_eq!(items(&bytes, piece).unwrap(), expected, "pieces of {piece}");
    }
}

#[test]
fn a_message_over_the_limit_is_refused_at_the_header_that_shows_it() {
    let whole = frame(true, Opcode::Text, &[b'a'; 101]);
    assert_eq!(items(&whole[..6], 6).unwrap_err(), Broken::TooBig);
    let parts = [
        frame(false, Opcode::Text, &[b'a'; 60]),
        frame(true, Opcode::Continuation, &[b'a'; 41]),
    ]
    .concat();
    assert_eq!(items(&parts, 1).unwrap_err(), Broken::TooBig);
}

#[test]
fn order_and_content_are_checked() {
    let wrong = [
        vec![frame(true, Opcode::Continuation, b"")],
        vec![frame(false, Opcode::Text, b""), frame(true, Opcode::Text, b"")],
        vec![frame(true, Opcode::Close, &[3])],
        vec![frame(true, Opcode::Close, &[0x03, 0xee])],
        vec![frame(true, Opcode::Text, &[0xff])],
        vec![frame(true, Opcode::Text, &[0xc3])],
    ];
    for frames in wrong {
        assert!(items(&frames.concat(), 1).is_err(), "{frames:x?}");
    }
}

#[test]
fn what_is_discarded_takes_no_memory() {
    let mut assembler = Assembler::new(100);
    assembler.discard();
    let mut bytes: &[u8] = &[
        frame(true, Opcode::Text, &[0xff; 5000]),
        frame(true, Opcode::Close, b""),
    ]
    .concat();
    assert_eq!(assembler.push(&mut bytes).unwrap(), Some(Item::Text(Vec::new())));
    assert_eq!(assembler.push(&mut bytes).unwrap(), Some(Item::Close(None)));
}

proptest! {
    /// Any bytes in any pieces: no panic, never more memory than the limit, and the same outcome however they are cut.
    #[test]
    fn any_bytes_in_any_pieces(bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1usize..40) {
        let outcome = |piece: usize| {
            let mut assembler = Assembler::new(100);
            let mut items = Vec::new();
            for mut piece in bytes.chunks(piece) {
                loop {
                    match assembler.push(&mut piece) {
                        Ok(Some(item)) => items.push(item),
                        Ok(None) => break,
                        Err(broken) => return (items, Some(broken)),
                    }
                }
                assert!(assembler.payload.len() <= 100 && assembler.control.len() <= 125);
            }
            (items, None)
        };
        prop_assert_eq!(outcome(piece), outcome(300));
    }
}
