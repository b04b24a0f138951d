//! Calls turned into runs, against the built-in profile and real folders.

use super::bad_input::BadInput;
use super::*;
use crate::session::{Ground, Setup};
use nono_profiles::{MissingFolders, ProfileRef};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn ground() -> (tempfile::TempDir, Ground) {
    let workspace = tempfile::tempdir().unwrap();
    let setup = Setup {
        audit: None,
        workspaces: vec![workspace.path().to_path_buf()],
        profile: ProfileRef::default(),
        allowed_profiles: Vec::new(),
        missing_folders: MissingFolders::Leave,
        network: None,
        own_endpoints: Vec::new(),
        landlock_abi_limit: None,
        max_runs: 1,
        closed: Vec::new(),
        others: Default::default(),
    };
    let ground = Ground::prepare(&setup).unwrap();
    (workspace, ground)
}

fn parse(ground: &Ground, tool: Tool, arguments: Value) -> Result<Wanted, BadInput> {
    let arguments = arguments.as_object().unwrap().clone();
    match tool {
        Tool::Shell => shell::parse(ground, arguments),
        _ => exec::parse(ground, arguments),
    }
}

fn path_only(path: &str) -> Value {
    json!({"PATH": path})
}

#[test]
fn a_plain_call_runs_in_the_first_workspace() {
    let (workspace, ground) = ground();
    let arguments = json!({"command": "ls", "env": path_only("/usr/bin:/bin")});
    let wanted = parse(&ground, Tool::Shell, arguments).unwrap();
    assert_eq!(wanted.request.cwd.as_path(), workspace.path().canonicalize().unwrap());
    assert_eq!(wanted.request.argv[1..], [b"-c".to_vec(), b"ls".to_vec()]);
    assert_eq!(wanted.request.timeout.as_millis(), 120_000);
    assert_eq!(wanted.max_output, 16_384);
    assert!(matches!(wanted.input, crate::runs::Input::Empty));
}

#[test]
fn working_directories_are_judged_and_explained() {
    let (workspace, ground) = ground();
    fs::create_dir(workspace.path().join("sub")).unwrap();
    fs::write(workspace.path().join("file"), "").unwrap();
    std::os::unix::fs::symlink("/", workspace.path().join("out")).unwrap();
    let cwd = |cwd: &str| {
        let arguments = json!({"argv": ["/bin/sh"], "cwd": cwd});
        parse(&ground, Tool::Exec, arguments).map(|w| w.request.cwd)
    };
    let root = ground.workspace();
    assert_eq!(cwd("sub"), Ok(root.join("sub").unwrap()));
    assert_eq!(cwd("sub/.."), Ok(root.clone()));
    assert_eq!(cwd(""), Ok(root.clone()));
    let missing = cwd("sub/no/such").unwrap_err();
    assert_eq!(
        missing,
        BadInput::NoSuchFolder { cwd: "sub/no/such".into(), nearest: format!("{root}/sub") }
    );
    assert!(matches!(cwd("file"), Err(BadInput::NotAFolder { .. })));
    for outside in ["/", "/nowhere/at/all", "..", "out"] {
        assert!(matches!(cwd(outside), Err(BadInput::FolderNotGranted { .. })), "{outside}");
    }
    assert!(matches!(cwd("a\0b"), Err(BadInput::Nul(_))));
}

#[test]
fn programs_are_found_as_execvp_finds_them() {
    let (workspace, ground) = ground();
    let program = workspace.path().join("tool");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    let mode = |mode| fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
    let root = ground.workspace().clone();
    let exec = |program: &str, path: &str| {
        let arguments = json!({"argv": [program], "env": path_only(path)});
        parse(&ground, Tool::Exec, arguments).map(|w| w.request.program)
    };
    mode(0o644);
    assert!(matches!(exec("./tool", ""), Err(BadInput::NotExecutable(_))));
    mode(0o755);
    let expected = Ok(root.join("tool").unwrap());
    assert_eq!(exec("./tool", ""), expected);
    assert_eq!(exec("tool", &format!("/nowhere:{root}")), expected);
    assert_eq!(exec("tool", "/nowhere:."), expected);
    assert!(matches!(exec("./other", ""), Err(BadInput::NoSuchProgram(_))));
    let absent = exec("tool", "/nowhere").unwrap_err().to_string();
    assert!(absent.contains("`tool` was not found in PATH (/nowhere)"), "{absent}");
    assert!(matches!(exec("", "/bin"), Err(BadInput::EmptyProgram)));
}

#[test]
fn a_program_the_profile_hides_is_passed_over() {
    let (_workspace, ground) = ground();
    let outside = tempfile::tempdir().unwrap();
    let hidden = outside.path().join("sh");
    fs::write(&hidden, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o755)).unwrap();
    let exec = |path: String| {
        let arguments = json!({"argv": ["sh"], "env": path_only(&path)});
        parse(&ground, Tool::Exec, arguments).map(|w| w.request.program.to_string())
    };
    let found = exec(format!("{}:/usr/bin:/bin", outside.path().display())).unwrap();
    assert!(found.ends_with("/bin/sh"), "{found}");
    let refused = exec(outside.path().display().to_string());
    assert!(matches!(refused, Err(BadInput::ProgramNotGranted { .. })), "{refused:?}");
}

#[test]
fn limits_on_bytes_are_explained() {
    let (_workspace, ground) = ground();
    let refused = |tool, arguments| parse(&ground, tool, arguments).unwrap_err();
    let long = "x".repeat(128 << 10);
    assert_eq!(refused(Tool::Shell, json!({"command": long})), BadInput::LongCommand(128 << 10));
    assert_eq!(
        refused(Tool::Exec, json!({"argv": ["sh", long]})),
        BadInput::LongArgument { at: 1, length: 128 << 10 }
    );
    let stdin = "x".repeat((1 << 20) + 1);
    assert_eq!(
        refused(Tool::Shell, json!({"command": "cat", "stdin": stdin})),
        BadInput::LongStdin((1 << 20) + 1)
    );
    assert_eq!(refused(Tool::Exec, json!({"argv": []})), BadInput::NoProgram);
    assert_eq!(
        refused(Tool::Exec, json!({"argv": ["sh", "a\0"]})),
        BadInput::Nul("argv[1]".into())
    );
}

#[test]
fn what_clients_are_told_is_short_and_in_a_fixed_order() {
    let (_workspace, ground) = ground();
    let tools = definitions(&ground);
    let names: Vec<&str> = tools.iter().map(|t| t.name.as_ref()).collect();
    let expected =
        ["exec", "run_list", "run_read", "run_signal", "run_write", "sandbox_explain", "shell"];
    assert_eq!(names, expected);
    let listed = serde_json::to_string(&tools).unwrap();
    assert!(listed.len() < 12_000, "{}", listed.len());
    for tool in &tools {
        let hints = tool.annotations.as_ref().unwrap();
        assert!(
            hints.read_only_hint.is_some()
                && hints.destructive_hint.is_some()
                && hints.idempotent_hint.is_some()
                && hints.open_world_hint.is_some()
        );
        assert_eq!(tool.meta.as_ref().unwrap().0["anthropic/alwaysLoad"], true);
    }
    assert!(instructions(&ground).len() < 2000);
}
