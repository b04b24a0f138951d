//! `sandbox_explain`: what the sandbox would say, before anybody tries.

use super::bad_input::BadInput;
use super::narrow::{self, Less};
use super::place::{absolute, follow};
use super::program;
use super::validate::arguments_as;
use crate::commands_rights::with_a_commands_rights;
use crate::report::{Explanation, Question, explain as verdict};
use crate::safe_text::clean;
use crate::sandbox::Sandbox;
use crate::session::{Ground, Session};
use nono_sandbox::AbsPath;
use nono_sandbox::policy::Limits;
use nono_sandbox::record::Operation;
use nono_schemas::{Aim, ExplainParams, explain_schema};
use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// Answers one call.
pub(super) fn call(session: &Session, arguments: JsonObject) -> CallToolResult {
    let params = arguments_as::<ExplainParams>(explain_schema(), arguments);
    let answer =
        params.map_err(|bad| bad.to_string()).and_then(|params| match Subject::of(&params)? {
            Subject::Denial(id) => {
                session.history.denial(id).map(Explanation::denied).ok_or_else(|| {
                    format!("no denial {id:?} in the last answers; ids are in `denials.items`")
                })
            }
            subject => judge(&session.ground, &params, subject),
        });
    match answer {
        Ok(explanation) => {
            let content = vec![ContentBlock::text(explanation.text())];
            let mut result = CallToolResult::success(content);
            result.structured_content = serde_json::to_value(&explanation).ok();
            result
        }
        Err(sentence) => CallToolResult::error(vec![ContentBlock::text(sentence)]),
    }
}

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject<'p> {
    Profile,
    Path(&'p str, Aim),
    Socket { path: &'p str, bind: bool },
    Host(&'p str, Option<u16>),
    Command(&'p str),
    Denial(&'p str),
}

impl<'p> Subject<'p> {
    /// # Errors
    /// If it is about several things, or says more of one that it does not name.
    fn of(params: &'p ExplainParams) -> Result<Self, String> {
        let ExplainParams { path, access, socket, bind, host, port, command, denial_id, .. } =
            params;
        let subjects = [
            path.as_deref().map(|path| ("path", Self::Path(path, access.unwrap_or(Aim::Read)))),
            socket
                .as_deref()
                .map(|path| ("socket", Self::Socket { path, bind: bind.unwrap_or(false) })),
            host.as_deref().map(|host| ("host", Self::Host(host, *port))),
            command.as_deref().map(|command| ("command", Self::Command(command))),
            denial_id.as_deref().map(|id| ("denial_id", Self::Denial(id))),
        ];
        let lacks = |needed: &str| format!("`{needed}` is missing");
        let more = [
            (access.is_some() && path.is_none())
                .then(|| lacks("path") + ", to which `access` belongs"),
            (*bind == Some(true) && socket.is_none())
                .then(|| lacks("socket") + ", to which `bind` belongs"),
            (port.is_some() && host.is_none()).then(|| lacks("host") + ", to which `port` belongs"),
        ];
        if let Some(lacking) = more.into_iter().flatten().next() {
            return Err(lacking);
        }
        let mut subjects = subjects.into_iter().flatten();
        let Some((name, subject)) = subjects.next() else { return Ok(Self::Profile) };
        match subjects.next() {
            None => Ok(subject),
            Some((other, _)) => {
                Err(format!("ask about one thing in a call: `{name}` or `{other}`, not both"))
            }
        }
    }
}

/// Answers a question that needs no memory of earlier answers.
///
/// # Errors
/// What is wrong with the question.
pub(crate) fn answer(ground: &Ground, params: &ExplainParams) -> Result<Explanation, String> {
    judge(ground, params, Subject::of(params)?)
}

/// Asks the rules that hold with what `params` takes away.
fn judge(
    ground: &Ground,
    params: &ExplainParams,
    subject: Subject<'_>,
) -> Result<Explanation, String> {
    let less = Less {
        profile: params.profile.clone(),
        network: params.network,
        writable: params.writable.clone(),
    };
    let sandbox = narrow::sandbox(ground, &less, Limits::default()).map_err(|e| e.to_string())?;
    // What a command could not find out about links and folders of others, no question about it
    // finds out either.
    let looked = with_a_commands_rights(|| about(&sandbox, subject));
    looked.map_err(|error| format!("cannot look as a command: {error}"))?
}

fn about(sandbox: &Sandbox, subject: Subject<'_>) -> Result<Explanation, String> {
    let question = match subject {
        Subject::Path(path, access) => {
            let operation = operation(sandbox, path, access);
            Question::Path { path: place(sandbox, path, by_name(operation))?, operation }
        }
        Subject::Socket { path, bind } => {
            Question::Socket { path: place(sandbox, path, bind)?, bind }
        }
        Subject::Host(host, port) => Question::Host { host: host.to_owned(), port },
        Subject::Command(command) => return Ok(on_command(sandbox, command)),
        Subject::Denial(_) => return Err("only the server that told of a denial knows it".into()),
        Subject::Profile => Question::Summary,
    };
    Ok(verdict(sandbox.view(), &question))
}

/// What an access means for a path: writing a file that is not there makes it.
fn operation(sandbox: &Sandbox, path: &str, access: Aim) -> Operation {
    match access {
        Aim::Read => Operation::Read,
        Aim::Execute => Operation::Execute,
        Aim::Create => Operation::Create,
        Aim::Write => {
            let way = follow(&sandbox.policy.fs, &absolute(&sandbox.policy, path));
            let may_be_there = way.hidden || way.error.is_none();
            if may_be_there { Operation::Write } else { Operation::Create }
        }
        Aim::Delete => Operation::Delete,
    }
}

fn by_name(operation: Operation) -> bool {
    matches!(operation, Operation::Create | Operation::Delete)
}

/// The path after symbolic links, as far as it exists. A name that is made or removed is not
/// followed itself.
fn place(sandbox: &Sandbox, path: &str, keep_name: bool) -> Result<AbsPath, String> {
    if path.contains('\0') {
        return Err("the path contains a NUL byte, which no program can use".to_owned());
    }
    let fs = &sandbox.policy.fs;
    let wanted = absolute(&sandbox.policy, path);
    if is_of_one_process(&wanted) {
        return Err(format!(
            "{} is another place for each process, and of other processes none at all: ask about \
             the path that it leads to",
            clean::name(wanted.as_os_str().as_bytes())
        ));
    }
    let named = wanted.file_name().filter(|_| keep_name);
    let place = match (named, wanted.parent()) {
        (Some(name), Some(folder)) => follow(fs, folder).end.join(name),
        _ => follow(fs, &wanted).end,
    };
    AbsPath::new(place).map_err(|error| error.to_string())
}

/// Whether this goes over a link that means something else for each process (proc(5)): followed here
/// it leads where it leads the server.
fn is_of_one_process(path: &Path) -> bool {
    const LINKS: [&str; 5] = ["root", "cwd", "exe", "fd", "map_files"];
    let mut below = path.components().skip_while(|part| matches!(part, Component::RootDir));
    let mut name = || below.next().map(|part| part.as_os_str().as_bytes());
    let number = |name: &[u8]| name.iter().all(u8::is_ascii_digit);
    let process = |name: &[u8]| matches!(name, b"self" | b"thread-self") || number(name);
    if name() != Some(b"proc") || !name().is_some_and(process) {
        return false;
    }
    let link = match name() {
        Some(b"task") => name().filter(|thread| number(thread)).and_then(|_| name()),
        other => other,
    };
    link.is_some_and(|link| LINKS.iter().any(|known| known.as_bytes() == link))
}

/// Whether a shell takes this first word for a variable's value, as in `CC=clang make`.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// Whether a command line's program could be started.
fn on_command(sandbox: &Sandbox, command: &str) -> Explanation {
    let word = command.split_whitespace().find(|word| !is_assignment(word)).unwrap_or_default();
    let path = sandbox.policy.environment.variables.get("PATH").cloned().unwrap_or_default();
    match program::find_as_seen(sandbox, word, &path, sandbox.workspace()) {
        Ok(found) => {
            let real = AbsPath::new(follow(&sandbox.policy.fs, found.as_path()).end);
            let path = real.unwrap_or(found);
            let question = Question::Path { path, operation: Operation::Execute };
            let mut answer = verdict(sandbox.view(), &question);
            answer.notes.push(
                "this is about starting the program; what it does then is judged as it does it"
                    .to_owned(),
            );
            answer
        }
        Err(BadInput::ProgramNotGranted { program, .. }) => match AbsPath::new(&program) {
            Ok(path) => {
                verdict(sandbox.view(), &Question::Path { path, operation: Operation::Execute })
            }
            Err(error) => Explanation::notes(vec![error.to_string()]),
        },
        Err(bad) => Explanation::notes(vec![bad.to_string()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_one_process_are_known() {
        for path in [
            "/proc/1/root",
            "/proc/1/root/etc/shadow",
            "/proc/self/cwd/x",
            "/proc/thread-self/fd/3",
            "/proc/7/task/8/exe",
        ] {
            assert!(is_of_one_process(Path::new(path)), "{path}");
        }
        for path in
            ["/proc", "/proc/1", "/proc/self/status", "/proc/sys/kernel/root", "/ws/proc/1/root"]
        {
            assert!(!is_of_one_process(Path::new(path)), "{path}");
        }
    }
}
