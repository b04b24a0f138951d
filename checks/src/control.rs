//! The control protocol between server and supervisor.

use crate::bytes::Bytes;
use nono_sandbox::control::{Decoder, Event, Order, send_event, send_order};

/// Any bytes, cut anywhere, are read or refused, and the cuts make no difference. What was read
/// and is sent again is read as the same.
pub fn control(bytes: &[u8]) {
    let mut plan = Bytes::new(bytes);
    let cuts: Vec<usize> = (0..plan.u8() % 8).map(|_| usize::from(plan.u8()) + 1).collect();
    let stream = plan.some(usize::MAX);
    let (orders, events) = (read::<Order>(stream, &cuts), read::<Event>(stream, &cuts));
    assert_eq!(orders, read::<Order>(stream, &[]), "cut at {cuts:?}");
    assert_eq!(events, read::<Event>(stream, &[]), "cut at {cuts:?}");
    let mut again = Vec::new();
    for order in &orders.0 {
        send_order(&mut again, order).expect("to memory");
    }
    assert_eq!(read::<Order>(&again, &cuts), (orders.0, true));
    let mut again = Vec::new();
    for event in &events.0 {
        send_event(&mut again, event).expect("to memory");
    }
    assert_eq!(read::<Event>(&again, &cuts), (events.0, true));
}

/// The messages of a stream that comes in pieces of these sizes, again and again, and whether it
/// could be read to its end.
fn read<T: nono_sandbox::control::Message>(stream: &[u8], cuts: &[usize]) -> (Vec<T>, bool) {
    let mut decoder = Decoder::<T>::default();
    let mut messages = Vec::new();
    let mut rest = stream;
    let whole = [stream.len().max(1)];
    let cuts = if cuts.is_empty() { &whole[..] } else { cuts };
    for cut in cuts.iter().cycle() {
        let (piece, more) = rest.split_at((*cut).min(rest.len()));
        decoder.push(piece);
        rest = more;
        loop {
            match decoder.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return (messages, false),
            }
        }
        if rest.is_empty() {
            break;
        }
    }
    (messages, true)
}
