//! The compiled filters against a model: what the interpreter answers for a call is what one reads
//! off a list of plain questions.

mod model;

use crate::bytes::Bytes;
use nono_sandbox::filter::interpret::{Call, run};
use nono_sandbox::filter::{Handover, compile};
use nono_sandbox::policy::{
    Environment, FsPolicy, Isolation, Limits, Mediation, NetworkMode, NetworkPolicy, Observe,
    Origins, Policy, PortRange, Protected, Source, UnixPolicy,
};
use nono_sandbox::rate::Quota;
use nono_sandbox::{AbsPath, IpcScope};
use std::num::NonZeroU32;

const NATIVE: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };

/// Under any policy every call gets the model's answer.
pub fn filters(bytes: &[u8]) {
    let mut bytes = Bytes::new(bytes);
    let policy = policy(&mut bytes);
    let ipc = bytes.of(&IpcScope::ALL);
    let handover = Handover { fd: i32::from(bytes.u8()), secret: bytes.u64() };
    let program = compile(&policy, handover, ipc).expect("every policy compiles");
    while !bytes.is_empty() {
        let call = call(&mut bytes, handover);
        let expected = model::answer(&policy, handover, ipc, NATIVE, &call);
        let found = run(&program, call);
        assert_eq!(found, Ok(expected), "{call:x?} {ipc:?} under {policy:?}");
    }
}

fn policy(bytes: &mut Bytes<'_>) -> Policy {
    let one = NonZeroU32::MIN;
    let mut network = NetworkPolicy::of_mode(bytes.of(&NetworkMode::ALL));
    network.listen = bytes.bool().then(Vec::<PortRange>::new);
    let source = Source { profile: "f".into(), rule: "f".into(), line: None };
    let protected = Protected { path: AbsPath::root(), source, any_case: false };
    Policy {
        name: "f".into(),
        fs: FsPolicy {
            protected: if bytes.bool() { vec![protected] } else { vec![] },
            ..FsPolicy::of_rules(vec![])
        },
        unix: UnixPolicy {
            mediation: bytes.of(&[Mediation::Pathname, Mediation::Off]),
            grants: vec![],
            datagrams: bytes.bool(),
        },
        network,
        environment: Environment::default(),
        rate: Quota { per_second: one, burst: one },
        observe: bytes.of(&[Observe::All, Observe::Writes, Observe::Audit, Observe::Off]),
        limits: Limits::default(),
        isolation: Isolation::Auto,
        origins: Origins::default(),
    }
}

/// Numbers of calls that have rules of their own are as likely as all others together.
fn call(bytes: &mut Bytes<'_>, handover: Handover) -> Call {
    let nr = match bytes.u8() % 8 {
        0 => bytes.u32(),
        1..=3 => u32::from(bytes.u8()) << 1 | u32::from(bytes.bool()),
        _ => u32::try_from(bytes.of(model::TELLING)).expect("a number"),
    };
    let arch = if bytes.u8() == 0xff { bytes.u32() } else { NATIVE };
    let mut args = [0u64; 6];
    for arg in &mut args {
        *arg = argument(bytes, handover);
    }
    Call { nr, arch, args }
}

/// Small numbers, single bits, what rules compare with, and anything; with and without something in
/// the upper half.
fn argument(bytes: &mut Bytes<'_>, handover: Handover) -> u64 {
    let low = match bytes.u8() % 8 {
        0 => bytes.u64(),
        1 => 1 << (bytes.u8() % 64),
        2 => u64::from(handover.fd.unsigned_abs()) | handover.secret & 0xffff_ffff_0000_0000,
        3 => u64::from(libc::MSG_NOSIGNAL.unsigned_abs()) | handover.secret << 32,
        4 => bytes.of(model::WORDS),
        _ => u64::from(bytes.u8()),
    };
    if bytes.u8().is_multiple_of(8) { low | 0xdead_beef_0000_0000 } else { low }
}
