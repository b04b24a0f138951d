//! `connect`, performed on the caller's behalf.

use super::blocking::Interrupted;
use super::request::{SocketRequest, connect_to, judge, refuse_abstract};
use super::turn::Turn;
use super::{network, pinned, private_name};
use crate::decide::{Address, Domain, SocketCall, socket_call};
use nix::errno::Errno;

/// Performs the call.
pub(super) fn perform(turn: &Turn<'_>, args: [u64; 6]) -> Result<(), Interrupted> {
    let request = SocketRequest::paid(turn, args)?;
    if request.domain == Domain::Inet {
        return network::connect(turn, &request);
    }
    match socket_call(request.domain, &request.address, turn.shared.ipc) {
        SocketCall::AsCopied => {
            let confirmed = turn.caller.still_waits()?;
            let result = connect_to(turn, confirmed, &request.socket, &request.bytes);
            match (&request.address, result) {
                (Address::UnixAbstract(name), Err(Interrupted::Failed(Errno::EPERM))) => {
                    Err(refuse_abstract(turn, name).into())
                }
                (_, result) => result,
            }
        }
        SocketCall::OwnName(name) => {
            let address = private_name::address(turn, name)?;
            let confirmed = turn.caller.still_waits()?;
            match connect_to(turn, confirmed, &request.socket, &address) {
                Err(Interrupted::Failed(Errno::ECONNREFUSED)) => {
                    Err(private_name::not_found(turn, name).into())
                }
                result => result,
            }
        }
        SocketCall::Path(path) => {
            let (pinned, confirmed) = judge(turn, path)?;
            // The name of the pinned object, not the path: what was judged is what is reached.
            let address = pinned::address(&pinned);
            connect_to(turn, confirmed, &request.socket, &address)
        }
    }
}
