//! Answers of a session, kept for a while for a client that was cut off before it had them.
//!
//! Such a client asks for what came after the last event it saw (`Last-Event-ID`; "Resumability and
//! Redelivery" in the transport's specification). rmcp (3.11) has the events of a call until the
//! call is answered and forgets them with the answer (`LocalSessionWorker::handle_server_message`):
//! who comes back a moment later would get an empty stream, and wait for an answer that was given.
//! What is kept here is that answer, and no progress that was missed before it.

use futures_core::Stream;
use rmcp::RoleServer;
use rmcp::model::{RequestId, ServerJsonRpcMessage};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::streamable_http_server::session::ServerSseMessage;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// Calls of a session that are remembered.
const MOST_CALLS: usize = 1024;
/// Bytes of their answers, as they are written. One principal has hundreds of sessions, so it is no
/// more, and what is longer is not kept.
const MOST_BYTES: usize = 256 << 10;

/// The answers of one session.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<Book>);

/// Calls in the order they came in.
#[derive(Debug, Default)]
struct Book {
    calls: VecDeque<Call>,
    bytes: usize,
}

#[derive(Debug)]
struct Call {
    request: RequestId,
    /// What the ids of its events end with, once one has been sent.
    stream: Option<String>,
    answer: Option<Arc<ServerJsonRpcMessage>>,
    /// The id under which the answer was sent, if it was.
    sent_as: Option<String>,
    bytes: usize,
}

impl Answers {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call comes in.
    pub(crate) fn expect(&self, request: RequestId) {
        self.book().expect(request);
    }

    /// What is left of a stream behind the event `last`: its answer, or nothing if that was it.
    /// `None` if nothing is known of such a stream, or no answer yet.
    pub(crate) fn after(&self, last: &str) -> Option<Option<ServerSseMessage>> {
        self.book().after(last)
    }
}

/// The part of an event's id that says which stream it belongs to. rmcp writes `index/stream`.
fn stream_of(event: &str) -> Option<(u64, &str)> {
    let (index, stream) = event.split_once('/')?;
    Some((index.parse().ok()?, stream))
}

/// The request that a message answers.
fn answered(message: &ServerJsonRpcMessage) -> Option<&RequestId> {
    match message {
        ServerJsonRpcMessage::Response(response) => Some(&response.id),
        ServerJsonRpcMessage::Error(error) => error.id.as_ref(),
        _ => None,
    }
}

impl Book {
    fn expect(&mut self, request: RequestId) {
        let call = Call { request, stream: None, answer: None, sent_as: None, bytes: 0 };
        self.calls.push_back(call);
        while self.calls.len() > MOST_CALLS {
            self.forget(0);
        }
    }

    fn forget(&mut self, at: usize) {
        if let Some(call) = self.calls.remove(at) {
            self.bytes = self.bytes.saturating_sub(call.bytes);
        }
    }

    fn call(&mut self, request: &RequestId) -> Option<&mut Call> {
        self.calls.iter_mut().rev().find(|call| &call.request == request)
    }

    /// The server answers.
    fn answer(&mut self, message: &ServerJsonRpcMessage) {
        let Some(call) = answered(message).and_then(|request| self.call(request)) else { return };
        let bytes = written(message);
        if bytes > MOST_BYTES {
            return;
        }
        let before = std::mem::replace(&mut call.bytes, bytes);
        call.answer = Some(Arc::new(message.clone()));
        self.bytes = self.bytes.saturating_sub(before).saturating_add(bytes);
        while self.bytes > MOST_BYTES
            && let Some(oldest) = self.calls.iter().position(|call| call.answer.is_some())
        {
            self.forget(oldest);
        }
    }

    /// An event goes to the client, or to where it was.
    fn sent(&mut self, request: &RequestId, event: &ServerSseMessage) {
        let (Some(call), Some(id)) = (self.call(request), &event.event_id) else { return };
        call.stream = stream_of(id).map(|(_, stream)| stream.to_owned());
        if event.message.as_deref().is_some_and(|message| answered(message) == Some(request)) {
            call.sent_as = Some(id.clone());
        }
    }

    fn after(&self, last: &str) -> Option<Option<ServerSseMessage>> {
        let (index, stream) = stream_of(last)?;
        let call = self.calls.iter().rev().find(|call| call.stream.as_deref() == Some(stream))?;
        let answer = call.answer.as_ref()?;
        if call.sent_as.as_deref() == Some(last) {
            return Some(None);
        }
        let id = call.sent_as.clone().unwrap_or_else(|| format!("{}/{stream}", index + 1));
        let mut event = ServerSseMessage::default();
        event.event_id = Some(id);
        event.message = Some(Arc::clone(answer));
        Some(Some(event))
    }
}

/// How many bytes a message has.
fn written(message: &ServerJsonRpcMessage) -> usize {
    struct Counted(usize);
    impl io::Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counted = Counted(0);
    // What cannot be written is not sent either.
    let _ = serde_json::to_writer(&mut counted, message);
    counted.0
}

/// A session's transport, on which the answers are noted.
#[derive(Debug)]
pub(crate) struct Noted<T> {
    pub(crate) inner: T,
    pub(crate) answers: Arc<Answers>,
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Noted<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.answers.book().answer(&message);
        self.inner.send(message)
    }

    fn receive(&mut self) -> impl Future<Output = Option<RxJsonRpcMessage<RoleServer>>> + Send {
        self.inner.receive()
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.inner.close()
    }
}

/// The events of a session, on their way to the client.
type Events = Pin<Box<dyn Stream<Item = ServerSseMessage> + Send + Sync>>;

/// The events of one call, whose ids are noted.
pub(crate) struct OfCall {
    pub(crate) events: Events,
    pub(crate) answers: Arc<Answers>,
    /// The call; `None` for what needs no answer.
    pub(crate) request: Option<RequestId>,
}

impl Stream for OfCall {
    type Item = ServerSseMessage;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.events.as_mut().poll_next(cx);
        if let (Poll::Ready(Some(event)), Some(request)) = (&next, &self.request) {
            self.answers.book().sent(request, event);
        }
        next
    }
}

/// What a client gets that comes back.
pub(crate) enum Resumed {
    /// The call goes on: what it missed, and what is to come.
    Live(Events),
    /// The call is over: what is left.
    Over(Option<ServerSseMessage>),
}

impl Stream for Resumed {
    type Item = ServerSseMessage;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut *self {
            Self::Live(events) => events.as_mut().poll_next(cx),
            Self::Over(left) => Poll::Ready(left.take()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(id: i64, text: &str) -> ServerJsonRpcMessage {
        let message = json!({"jsonrpc": "2.0", "id": id, "error": {"code": -1, "message": text}});
        serde_json::from_value(message).unwrap()
    }

    fn event(id: &str, message: Option<ServerJsonRpcMessage>) -> ServerSseMessage {
        let mut event = ServerSseMessage::default();
        event.event_id = Some(id.to_owned());
        event.message = message.map(Arc::new);
        event
    }

    /// The id and the text of what is left.
    fn left(book: &Book, last: &str) -> Option<Option<(String, String)>> {
        let text = |event: ServerSseMessage| {
            let message = serde_json::to_value(&*event.message.unwrap()).unwrap();
            (event.event_id.unwrap(), message["error"]["message"].as_str().unwrap().to_owned())
        };
        book.after(last).map(|event| event.map(text))
    }

    #[test]
    fn an_answer_nobody_received_is_left_and_one_that_was_is_not() {
        let (mut book, request) = (Book::default(), RequestId::Number(7));
        book.expect(request.clone());
        book.sent(&request, &event("0/3", None));
        assert_eq!(left(&book, "0/3"), None, "it goes on");
        book.answer(&answer(7, "done"));
        book.answer(&answer(8, "of nobody"));
        assert_eq!(left(&book, "0/3"), Some(Some(("1/3".to_owned(), "done".to_owned()))));
        book.sent(&request, &event("4/3", Some(answer(7, "done"))));
        assert_eq!(left(&book, "2/3"), Some(Some(("4/3".to_owned(), "done".to_owned()))));
        assert_eq!(left(&book, "4/3"), Some(None));
        for other in ["0/4", "0", "x/3", "/3", "", "0/3/"] {
            assert_eq!(left(&book, other), None, "{other}");
        }
    }

    #[test]
    fn old_answers_make_room_and_none_takes_all_of_it() {
        let mut book = Book::default();
        let mut answered = |n: i64, length: usize| {
            let request = RequestId::Number(n);
            book.expect(request.clone());
            book.sent(&request, &event(&format!("0/{n}"), None));
            book.answer(&answer(n, &"x".repeat(length)));
            assert!(book.bytes <= MOST_BYTES);
            (0..=n).filter(|n| book.after(&format!("0/{n}")).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(answered(0, MOST_BYTES / 3), [0]);
        assert_eq!(answered(1, MOST_BYTES / 3), [0, 1]);
        assert_eq!(answered(2, MOST_BYTES / 2), [1, 2]);
        assert_eq!(answered(3, MOST_BYTES), [1, 2], "too long");
        let waits = RequestId::Number(-1);
        book.expect(waits);
        for n in 0..2 * i64::try_from(MOST_CALLS).unwrap() {
            book.expect(RequestId::Number(n));
        }
        assert_eq!((book.calls.len(), book.bytes), (MOST_CALLS, 0));
    }
}
