//! A classic-BPF interpreter, so that the compiled programs can be run over any call without a
//! kernel. Only what seccomp programs may contain.

use seccompiler::sock_filter;

/// `struct seccomp_data`, without the address the call is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Number of the call.
    pub nr: u32,
    /// Architecture, as linux/audit.h numbers them.
    pub arch: u32,
    /// Registers.
    pub args: [u64; 6],
}

/// What a program does that no seccomp program may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A load from a place that is no field.
    #[error("load from offset {0}")]
    Load(u32),
    /// An instruction that is not one of those the compiler uses.
    #[error("instruction {0:#x}")]
    Instruction(u16),
    /// It goes on behind its last instruction.
    #[error("the program does not end")]
    Endless,
}

impl Call {
    fn word(&self, offset: u32) -> Result<u32, Fault> {
        let half = |register: u64| u32::try_from(register & 0xffff_ffff).unwrap_or_default();
        let argument = |at: u32| self.args.get(usize::try_from(at / 8).unwrap_or(usize::MAX));
        let (register, upper) = match offset {
            0 => return Ok(self.nr),
            4 => return Ok(self.arch),
            16..=63 => (argument(offset - 16), (offset - 16) % 8),
            _ => (None, 0),
        };
        match (register, upper) {
            (Some(register), 0) => Ok(half(*register)),
            (Some(register), 4) => Ok(half(register >> 32)),
            _ => Err(Fault::Load(offset)),
        }
    }
}

/// What one program answers.
///
/// # Errors
/// [`Fault`] if it is none that seccomp takes.
pub fn run(program: &[sock_filter], call: Call) -> Result<u32, Fault> {
    walk(program, call).map(|(answer, _)| answer)
}

/// The same, and how many instructions that took.
///
/// # Errors
/// [`Fault`] if it is none that seccomp takes.
pub fn walk(program: &[sock_filter], call: Call) -> Result<(u32, usize), Fault> {
    let mut accumulator = 0u32;
    let mut at = 0usize;
    for step in 1..=program.len() {
        let instruction = program.get(at).ok_or(Fault::Endless)?;
        let jump = |taken: bool| usize::from(if taken { instruction.jt } else { instruction.jf });
        let k = instruction.k;
        at += 1;
        match instruction.code {
            0x20 => accumulator = call.word(k)?,
            0x54 => accumulator &= k,
            0x05 => at += usize::try_from(k).map_err(|_| Fault::Endless)?,
            0x15 => at += jump(accumulator == k),
            0x25 => at += jump(accumulator > k),
            0x35 => at += jump(accumulator >= k),
            0x06 => return Ok((k, step)),
            code => return Err(Fault::Instruction(code)),
        }
    }
    Err(Fault::Endless)
}
