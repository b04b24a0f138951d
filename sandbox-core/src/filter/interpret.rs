//! A classic-BPF interpreter, so that the compiled programs can be run over any call without a
//! kernel. Only what seccomp programs may contain.

use seccompiler::sock_filter;

/// `struct seccomp_data`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) nr: u32,
    pub(super) arch: u32,
    pub(super) args: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        let arg = |at: u32| self.args[(at / 8) as usize];
        match offset {
            0 => self.nr,
            4 => self.arch,
            16..=63 if (offset - 16).is_multiple_of(8) => {
                (arg(offset - 16) & 0xffff_ffff).try_into().unwrap()
            }
            16..=63 if (offset - 16) % 8 == 4 => (arg(offset - 16) >> 32).try_into().unwrap(),
            other => panic!("load from offset {other}"),
        }
    }
}

/// What the program answers: a `SECCOMP_RET_*` value with its data.
pub(super) fn run(program: &[sock_filter], call: Call) -> u32 {
    walk(program, call).0
}

/// The same, and how many instructions that took.
pub(super) fn walk(program: &[sock_filter], call: Call) -> (u32, usize) {
    let mut accumulator = 0u32;
    let mut at = 0usize;
    for step in 1..=program.len() {
        let instruction = &program[at];
        let jump = |taken: bool| usize::from(if taken { instruction.jt } else { instruction.jf });
        let k = instruction.k;
        at += 1;
        match instruction.code {
            0x20 => accumulator = call.word(k),
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => at += jump(accumulator == k),
            0x25 => at += jump(accumulator > k),
            0x35 => at += jump(accumulator >= k),
            0x06 => return (k, step),
            code => panic!("instruction {code:#x}"),
        }
    }
    panic!("the program does not end");
}
