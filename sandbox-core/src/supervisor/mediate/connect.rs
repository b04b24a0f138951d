//! `connect`, performed on the caller's behalf.

use super::blocking::{Interrupted, conclude};
use super::caller::Caller;
use super::leader::Turn;
use super::listener::MediatedCall;
use super::request::{SocketRequest, connect_to, judge, refuse_abstract, unreadable};
use super::{network, pinned, private_name};
use crate::decide::{Address, Domain, SocketCall, socket_call};
use crate::record::{Kind, Operation};
use nix::errno::Errno;

/// Performs the call and answers it.
pub(super) fn perform(turn: &mut Turn<'_>, call: MediatedCall<'_>) {
    let shared = std::sync::Arc::clone(turn.shared);
    let data = call.data();
    let Some(caller) = Caller::new(&shared.listener, &data) else { return drop(call) };
    let [fd, address, length, ..] = data.args;
    let what = (Operation::Connect, call.name);
    let result = match SocketRequest::take(&shared, &caller, (fd, address, length), what) {
        Ok(request) => {
            request.charge(turn, &caller).and_then(|()| connect(turn, &caller, &request, call.name))
        }
        Err(Errno::ESRCH) => Err(Interrupted::CallerGone),
        Err(errno) => {
            unreadable(&shared, &caller, (errno, Kind::UnixSocket), Operation::Connect, call.name);
            Err(Interrupted::Failed(errno))
        }
    };
    conclude(call, result);
}

fn connect(
    turn: &mut Turn<'_>,
    caller: &Caller<'_>,
    request: &SocketRequest,
    syscall: &'static str,
) -> Result<(), Interrupted> {
    if request.domain == Domain::Inet {
        return network::connect(turn, caller, request, syscall);
    }
    match socket_call(request.domain, &request.address, turn.shared.ipc) {
        SocketCall::AsCopied => {
            let confirmed = caller.still_waits().map_err(|_| Interrupted::CallerGone)?;
            let result = connect_to(turn, caller, confirmed, &request.socket, &request.bytes);
            match (&request.address, result) {
                (Address::UnixAbstract(name), Err(Interrupted::Failed(Errno::EPERM))) => {
                    let errno =
                        refuse_abstract(turn.shared, caller, name, Operation::Connect, syscall);
                    Err(Interrupted::Failed(errno))
                }
                (_, result) => result,
            }
        }
        SocketCall::OwnName(name) => {
            let what = (Operation::Connect, syscall);
            let address = private_name::address(turn.shared, caller, name, what)
                .map_err(Interrupted::Failed)?;
            let confirmed = caller.still_waits().map_err(|_| Interrupted::CallerGone)?;
            match connect_to(turn, caller, confirmed, &request.socket, &address) {
                Err(Interrupted::Failed(Errno::ECONNREFUSED)) => {
                    let errno = private_name::not_found(turn.shared, caller, name, what);
                    Err(Interrupted::Failed(errno))
                }
                result => result,
            }
        }
        SocketCall::Path(path) => {
            let (pinned, confirmed) = judge(turn.shared, caller, path, Operation::Connect, syscall)
                .map_err(Interrupted::Failed)?;
            // The name of the pinned object, not the path: what was judged is what is reached.
            let address = pinned::address(&pinned);
            connect_to(turn, caller, confirmed, &request.socket, &address)
        }
    }
}
