//! The command lines of real agents: what their models see of a denial. Where they are installed
//! (`scripts/agents install FOLDER`, then `NONO_AGENTS=FOLDER`); each that is missing is named on
//! standard error.

use nono_integration_tests::binary::programs;
use std::path::Path;
use std::process::Command;

#[test]
fn models_see_the_denial_and_its_way_out_first() {
    let Some(folder) = std::env::var_os("NONO_AGENTS") else {
        return eprintln!("NOT TESTED: NONO_AGENTS names no folder with agents");
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let mut check = Command::new(root.join("scripts/agents"));
    check.arg("check").arg(folder).arg(programs().join("nono-mcp"));
    let output = check.output().expect("start scripts/agents");
    let said = String::from_utf8_lossy(&output.stdout);
    eprint!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(": ok"), "no agent is in NONO_AGENTS: {said}");
}
