//! What lasts as long as an answer is on its way.

use crate::turns::Bounded;
use axum::body::{Body, Bytes, HttpBody};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A body that keeps something until it has been sent or dropped, and a turn until it has begun.
struct Held<T> {
    body: Body,
    turn: Option<Bounded>,
    _kept: T,
}

/// The same body; `kept` is dropped with it, and `turn` once there is something to send.
pub(crate) fn hold<T: Send + Unpin + 'static>(body: Body, kept: T, turn: Bounded) -> Body {
    // What is there already needs no turn.
    let turn = Some(turn).filter(|_| body.size_hint().exact().is_none());
    Body::new(Held { body, turn, _kept: kept })
}

impl<T: Unpin> HttpBody for Held<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_ready() {
            self.turn = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}
