//! Reading a secret from where the operator keeps it.

use nono_profiles::{CredentialFrom, OwnProgram};
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
        CredentialFrom::Command(own) => {
            run(own, PATIENCE).map_err(|problem| with_what_is_withheld(own, &problem))?
        }
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

/// The problem, and which variables the program did not see that it may have needed.
fn with_what_is_withheld(own: &OwnProgram, problem: &str) -> String {
    /// Shells set these, and nothing looks a secret up by them.
    const OF_NO_USE: [&str; 3] = ["OLDPWD", "PWD", "_"];
    let names = own.withheld.iter().map(|name| name.to_string_lossy());
    let names: Vec<_> = names.filter(|name| !OF_NO_USE.contains(&name.as_ref())).collect();
    if names.is_empty() {
        return problem.to_owned();
    }
    format!(
        "{problem}; it does not see {}, because commands can change what that names",
        names.join(", ")
    )
}

/// What a command prints. It is the operator's own, named in the operator's own profile, so it runs
/// with the server's rights; not in the server's folder, where it would find what commands left.
fn run(own: &OwnProgram, patience: Duration) -> Result<Vec<u8>, String> {
    let shown = own.program.display();
    let mut child = Command::new(&own.program)
        .args(&own.arguments)
        .env_clear()
        .envs(&own.environment)
        .current_dir(OwnProgram::FOLDER)
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
    use std::collections::BTreeMap;
    use std::ffi::OsString;

    fn own(program: &str, arguments: &[&str]) -> OwnProgram {
        OwnProgram {
            program: program.into(),
            arguments: arguments.iter().map(OsString::from).collect(),
            environment: BTreeMap::from([("SEEN".into(), "by-the-program".into())]),
            withheld: vec!["PWD".into(), "PYTHONPATH".into()],
        }
    }

    fn printed(script: &str) -> Result<Vec<u8>, String> {
        value(&CredentialFrom::Command(own("/bin/sh", &["-c", script])))
    }

    #[test]
    fn a_command_sees_its_own_variables_in_a_folder_of_nobodys() {
        assert_eq!(printed("echo $SEEN:$HOME:$(pwd)").unwrap(), b"by-the-program::/");
        let failed = printed("exit 3").unwrap_err();
        assert!(
            failed
                .ends_with("does not see PYTHONPATH, because commands can change what that names")
        );
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
        let none = value(&CredentialFrom::Command(own("/no/such", &[]))).unwrap_err();
        assert!(none.contains("cannot start /no/such"), "{none}");
        // More than fits is no reason to hang, nor is going on after the last word.
        assert!(printed("yes").is_err());
        let script = own("/bin/sh", &["-c", "echo s3cr3t-token; exec >&-; exec sleep 600"]);
        let late = run(&script, Duration::from_millis(200)).unwrap_err();
        assert!(late.contains("did not end within 200ms"), "{late}");
    }
}
