//! Reading a secret from where the operator keeps it.

use nono_profiles::CredentialFrom;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Shortest secret, in bytes. Anything shorter would be found in the middle of other words, and
/// replacing it would make output unreadable.
const MIN: usize = 8;
/// Longest secret, in bytes: less than one variable may have.
const MAX: usize = 16 << 10;
/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The secret; the error is a sentence.
pub(super) fn value(from: &CredentialFrom) -> Result<Vec<u8>, String> {
    let mut bytes = match from {
        CredentialFrom::File(path) => {
            read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?
        }
        CredentialFrom::Command(program, arguments) => run(program, arguments, PATIENCE)?,
    };
    let end = bytes.iter().rposition(|b| !b"\r\n".contains(b)).map_or(0, |last| last + 1);
    bytes.truncate(end);
    check(&bytes)?;
    Ok(bytes)
}

fn check(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() < MIN {
        return Err(format!(
            "the secret has {} bytes and needs at least {MIN}, because a shorter one could not be \
             kept out of output",
            bytes.len()
        ));
    }
    if bytes.len() > MAX {
        return Err(format!("the secret has more than {MAX} bytes"));
    }
    if bytes.contains(&0) {
        return Err("the secret contains a NUL byte, which no variable can hold".to_owned());
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Without waiting: opening a pipe would hang until somebody writes to it.
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    if metadata.mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "other users may read this secret; chmod 600");
    }
    bounded(file)
}

/// At most one byte more than a secret may have.
fn bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // A secret and the line end behind it.
    from.take(MAX as u64 + 3).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What a command prints. It is the operator's own, named in the operator's own profile, so it runs
/// as the server does.
fn run(program: &Path, arguments: &[OsString], patience: Duration) -> Result<Vec<u8>, String> {
    let shown = program.display();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {shown}: {error}"))?;
    let (tell, told) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        // Ends when the pipe does; nobody waits for it once the time is up.
        std::thread::spawn(move || tell.send(bounded(stdout)));
    }
    let until = Instant::now() + patience;
    let late = || format!("{shown} did not end within {patience:?}");
    let ended = match told.recv_timeout(patience) {
        // What has closed its output may go on all the same.
        Ok(Ok(printed)) => match wait_until(&mut child, until) {
            Ok(Some(status)) if status.success() => return Ok(printed),
            Ok(Some(status)) => return Err(format!("{shown} failed: {status}")),
            Ok(None) => late(),
            Err(error) => format!("cannot wait for {shown}: {error}"),
        },
        Ok(Err(error)) => format!("cannot read from {shown}: {error}"),
        Err(_) => late(),
    };
    // It may have ended by itself meanwhile.
    let _gone = child.kill().and_then(|()| child.wait());
    Err(ended)
}

/// How a child ended; `None` if it has not until then.
fn wait_until(child: &mut Child, until: Instant) -> io::Result<Option<ExitStatus>> {
    const STEP: Duration = Duration::from_millis(10);
    loop {
        let ended = child.try_wait()?;
        if ended.is_some() || Instant::now() >= until {
            return Ok(ended);
        }
        std::thread::sleep(STEP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(script: &str) -> Result<Vec<u8>, String> {
        let arguments = ["-c", script].map(OsString::from).to_vec();
        value(&CredentialFrom::Command("/bin/sh".into(), arguments))
    }

    #[test]
    fn a_secret_is_what_is_there_without_the_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = |bytes: &[u8]| {
            let path = folder.path().join("secret");
            std::fs::write(&path, bytes).unwrap();
            value(&CredentialFrom::File(path))
        };
        assert_eq!(file(b"s3cr3t-token\r\n").unwrap(), b"s3cr3t-token");
        assert_eq!(file(b"two lines\nof secret\n").unwrap(), b"two lines\nof secret");
        assert!(file(b"short\n").unwrap_err().contains("has 5 bytes and needs at least 8"));
        assert!(file(b"").unwrap_err().contains("has 0 bytes"));
        assert!(file(b"has a nul\0 byte").unwrap_err().contains("NUL"));
        assert!(file(&[b'x'; MAX + 1]).unwrap_err().contains("more than"));
        assert_eq!(file(&[b'x'; MAX]).unwrap().len(), MAX);
        let missing = value(&CredentialFrom::File(folder.path().join("none"))).unwrap_err();
        assert!(missing.contains("cannot read") && missing.contains("none"), "{missing}");
        assert!(value(&CredentialFrom::File("/dev/null".into())).is_err());
    }

    #[test]
    fn a_command_prints_it_or_says_why_not() {
        assert_eq!(printed("echo s3cr3t-token").unwrap(), b"s3cr3t-token");
        assert!(printed("echo s3cr3t-token; exit 3").unwrap_err().contains("exit status: 3"));
        assert!(printed("").unwrap_err().contains("has 0 bytes"));
        let none = value(&CredentialFrom::Command("/no/such".into(), vec![])).unwrap_err();
        assert!(none.contains("cannot start /no/such"), "{none}");
        // More than fits is no reason to hang, nor is going on after the last word.
        assert!(printed("yes").is_err());
        let script = ["-c", "echo s3cr3t-token; exec >&-; exec sleep 600"].map(OsString::from);
        let late = run(Path::new("/bin/sh"), &script, Duration::from_millis(200)).unwrap_err();
        assert!(late.contains("did not end within 200ms"), "{late}");
    }
}
